"""`modelsat`: assembled from one file per command group.

Those files import what their commands need inside the commands, so that `modelsat --help` stays quick.
"""

from typing import Annotated

import typer

from modelsat.cli import (
    bench,
    cache,
    demo,
    distil,
    evaluate,
    exam,
    imports,
    keys,
    report,
    route,
    serve,
    store,
    tune,
    zoo,
)
from modelsat.cli.output import CommandGroup
from modelsat.environment import settle_threads

# Before any command imports numpy or torch.
settle_threads()

app = typer.Typer(
    name="modelsat",
    cls=CommandGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("route")(route.route)
app.command("demo")(demo.demo)
app.add_typer(zoo.app, name="zoo")
app.add_typer(exam.app, name="exam")
app.add_typer(imports.app, name="import")
app.command("tune")(tune.tune)
app.command("distil", epilog=distil.EPILOG)(distil.distil)
app.command("evaluate", epilog=evaluate.EPILOG)(evaluate.evaluate)
app.add_typer(bench.app, name="bench")
app.add_typer(cache.app, name="cache")
app.add_typer(keys.app, name="keys")
app.add_typer(store.app, name="store")
app.command("report", epilog="Example: modelsat report --since 7d --html report.html")(report.report)
app.command("serve", epilog=serve.EXAMPLES)(serve.serve)


def _print_version(wanted: bool) -> None:
    if wanted:
        from modelsat import __version__

        typer.echo(f"modelsat {__version__}")
        raise typer.Exit


@app.callback()
def modelsat(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Route each instruction to the model most likely to get it right."""
