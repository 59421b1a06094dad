"""What every command prints with: tables, JSON, progress, and errors as one sentence.

Results go to stdout, everything else to stderr, so that `--json` can be piped.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

from modelsat.errors import ModelSatError
from modelsat.redaction import redact

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from typer._click import Command, Context

Progress = Callable[[int, int], None]
INTERRUPTED = 130


# Options by their names of 0.3, where a command has the name of today only.
RENAMED_OPTIONS = {
    "--engine": "--router",
    "--checkpoint": "--router",
    "--encoder": "--text-encoder",
    "--stem-share": "--option-dropout",
    "--outcome-share": "--hard-label-weight",
    "--gap-weight": "--margin-weight",
    "--asked-share": "--deferral-rate",
}


class CommandGroup(TyperGroup):
    """A command group whose commands may raise: what a user can mend becomes one sentence and exit code 1.

    The one place where errors meet the terminal: library code raises `ModelSatError`, and files raise
    `OSError`.
    """

    def resolve_command(
        self, ctx: "Context", args: list[str]
    ) -> tuple[str | None, "Command | None", list[str]]:
        """Find the command, and read options under their former names for one release, with a warning."""
        name, command, rest = super().resolve_command(ctx, args)
        known = {option for parameter in getattr(command, "params", ()) for option in parameter.opts}
        for at, word in enumerate(rest):
            option, sign, value = word.partition("=")
            renamed = RENAMED_OPTIONS.get(option)
            if renamed in known and option not in known:
                say(f"warning: {option} is now {renamed}; the old name goes with 0.5.")
                rest[at] = f"{renamed}{sign}{value}"
        return name, command, rest

    def invoke(self, ctx: "Context") -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ModelSatError as error:
            say(f"error: {error}")
        except BrokenPipeError:
            # The reader of a pipe has left (`| head`): click ends quietly.
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            say(f"error: {where}{error.strerror or error}; check the path.")
        except KeyboardInterrupt:
            say("stopped.")
            raise typer.Exit(INTERRUPTED) from None
        raise typer.Exit(1)


def say(message: str) -> None:
    """Write a line to stderr."""
    typer.echo(redact(message), err=True)


def print_json(value: object) -> None:
    """Write a value to stdout as JSON."""
    typer.echo(redact(json.dumps(value, ensure_ascii=False, indent=2)))


def console(*, stderr: bool = False, width: int | None = None) -> "Console":
    """A rich console; on a pipe it writes plain text."""
    from rich.console import Console

    return Console(stderr=stderr, width=width, highlight=False)


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    title: str = "",
    numeric: Sequence[str] = (),
    width: int | None = None,
) -> None:
    """Write a table to stdout.

    Args:
        columns: Headings.
        rows: Cells, written as text.
        title: Line above the table.
        numeric: Headings of columns to align right.
        width: Columns of the terminal; by default what it has, and on a pipe as wide as the table is.
    """
    table = make_table(columns, rows, title=title, numeric=numeric)
    target = console(width=width)
    if width is None and not target.is_terminal:
        # Measured on a console without end: a table on a pipe is as wide as it needs to be.
        target = console(width=max(80, console(width=10_000).measure(table).maximum))
    target.print(table)


def make_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "", numeric: Sequence[str] = ()
) -> "Table":
    """A rich table in the house's one style."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False, title_style="bold"
    )
    for column in columns:
        right = column in numeric
        table.add_column(column, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        # Text, not markup: a candidate's name may hold brackets.
        table.add_row(*(Text(redact(str(cell))) for cell in row))
    return table


@contextmanager
def progress(description: str, *, show: bool = True) -> Iterator[Progress]:
    """A progress bar on stderr, as the callback that library code takes.

    Args:
        description: What is going on.
        show: False gives a callback that does nothing.

    Yields:
        A callback for (done, in all).
    """
    if not show:
        yield lambda done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
