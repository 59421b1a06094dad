"""`modelsat bench`: the benchmark, its reports, and where the maintainers' measurements are now."""

from collections.abc import Callable, Mapping

import typer

from modelsat.cli import bench_suite
from modelsat.cli.bench_report import report
from modelsat.errors import DataError

app = typer.Typer(no_args_is_help=True)
app.callback(
    invoke_without_command=True,
    epilog='Example: modelsat bench --suite quick --outcomes data/ -o report/ --require "lead.mean>0"',
)(bench_suite.bench)
app.command(epilog="Example: modelsat bench report report/result.json -o report --no-plots")(report)

# Commands of 0.3 that only maintainers need: module in benchmarks/ and make target, by name.
_MOVED: Mapping[str, tuple[str, str]] = {
    "speed": ("speed", "bench-speed"),
    "gateway": ("gateway", "bench-gateway"),
    "exam": ("exam", "bench-exam"),
    "students": ("students", "bench-students"),
    "engine": ("onnx_quality", "bench-engine"),
}


def _moved(name: str, module: str, target: str) -> Callable[[], None]:
    def command() -> None:
        raise DataError(
            f"`modelsat bench {name}` is no longer part of the package. In a checkout of the repository, run "
            f"`python -m benchmarks.{module}` (same options) or `make {target}`."
        )

    return command


for _name, (_module, _target) in _MOVED.items():
    app.command(
        _name,
        hidden=True,
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(_moved(_name, _module, _target))
