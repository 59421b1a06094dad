"""What all commands of `modelsat import` have in common: where rows go, and the options that say so."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelsat.cli.import_report import bring_in, pairs

if TYPE_CHECKING:
    from modelsat.records.importers import SourceRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an import goes, as the command line says.

    Attributes:
        output: The outcomes directory.
        constants: Field to a value that holds for every row.
        ending: "parquet" or "jsonl"; None for the directory's own.
        skip_bad: Write although some rows cannot be read.
        replace: Outcomes take the place of those that the directory has.
        as_json: Print JSON.
    """

    output: Path
    constants: Mapping[str, str]
    ending: str | None
    skip_bad: bool
    replace: bool
    as_json: bool

    def take(self, rows: "Iterable[SourceRow]") -> None:
        """Add rows, and print an account of them; see `bring_in`."""
        bring_in(
            rows,
            self.output,
            self.constants,
            self.ending,
            skip_bad=self.skip_bad,
            replace=self.replace,
            as_json=self.as_json,
        )


def command(app: typer.Typer, name: str, *, epilog: str) -> Callable[[Callable[..., None]], None]:
    """Make a command of a function whose parameter `target` stands for the options that all formats share.

    Args:
        app: Where the command goes.
        name: The format.
        epilog: What stands below its help.
    """
    shared = inspect.signature(_target).parameters

    def register(read: Callable[..., None]) -> None:
        def run(**options: Any) -> None:  # noqa: ANN401 - the command line's values
            target = _target(**{name: options.pop(name) for name in shared})
            read(target=target, **options)

        own = [part for part in inspect.signature(read).parameters.values() if part.name != "target"]
        parts = sorted((*own, *shared.values()), key=lambda part: part.default is not inspect.Parameter.empty)
        run.__signature__ = inspect.Signature(parts)  # type: ignore[attr-defined]
        run.__doc__ = read.__doc__
        app.command(name, epilog=epilog)(run)

    return register


def _target(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="The outcomes directory to write or add to."),
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="One value for every row, whatever the log says; repeat for each.",
            show_default=False,
        ),
    ] = None,
    ending: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Write parquet or jsonl (default: as the folder has it, else parquet).",
            show_default=False,
        ),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave rows that cannot be read out.")] = False,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Let outcomes take the place of those that the folder has already."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> Target:
    return Target(
        output=output,
        constants=pairs("--set", set_, "VALUE"),
        ending=ending,
        skip_bad=skip_bad,
        replace=replace,
        as_json=as_json,
    )
