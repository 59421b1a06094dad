"""What every command prints with: tables, JSON, progress, and errors as one sentence.

Results go to stdout, everything else to stderr, so that `--json` can be piped.
"""

import json
import math
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from shutil import get_terminal_size
from textwrap import TextWrapper, fill, wrap
from typing import TYPE_CHECKING, Any, TextIO, cast

import typer
from typer.core import TyperGroup

from modelsat.errors import DataError, ModelSatError
from modelsat.redaction import redact

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID
    from typer._click import Command, Context

    from modelsat.progress import Progress

INTERRUPTED = 130
# What takes longer is worth a line.
MOMENT_S = 1.0
# Between columns.
GAP = 2
# Longest line of a title on a pipe.
TITLE = 120
# In a terminal they would move the cursor, or worse.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
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
    `OSError`. Whatever is written to the terminal, tracebacks and logs included, is redacted.
    """

    def main(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as click declares it
        """Run the command line."""
        sys.stdout, sys.stderr = _redacting(sys.stdout), _redacting(sys.stderr)
        return super().main(*args, **options)

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


class _RedactingStream:
    """A text stream without secrets. Its buffer, a way around, is not shown; all else is the stream's own."""

    buffer = None

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, redacted."""
        return self._stream.write(redact(text))


def _redacting(stream: Any) -> TextIO:  # noqa: ANN401 - it behaves like the stream that it wraps
    return cast(TextIO, stream if isinstance(stream, _RedactingStream) else _RedactingStream(stream))


def say(message: str) -> None:
    """Write a message to stderr."""
    typer.echo(_fitted(message, sys.stderr), err=True)


def print_text(text: str) -> None:
    """Write sentences to stdout."""
    typer.echo(_fitted(text, sys.stdout))


def _fitted(text: str, stream: TextIO) -> str:
    """A text whose lines end between words where a terminal's lines end; as it is on a pipe."""
    if not stream.isatty():
        return text
    width = get_terminal_size().columns
    return "\n".join(
        fill(line, width, break_long_words=False, break_on_hyphens=False) for line in text.split("\n")
    )


def confirm_deletion(warning: str) -> None:
    """Ask a person; where nobody can answer, nothing is deleted.

    Raises:
        DataError: The answer is no, or nobody is there.
    """
    if not sys.stdin.isatty():
        raise DataError(f"{warning} Pass --yes if that is meant; nothing was deleted.")
    if not typer.confirm(f"{warning} Go on?", err=True):
        raise DataError("nothing was deleted.")


def print_json(value: object) -> None:
    """Write a value to stdout as JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


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
    """Write a table to stdout. Words are never broken; columns without room go below the longest column of text.

    Args:
        columns: Headings.
        rows: Cells, written as text; control characters other than line breaks are escaped.
        title: Line above the table.
        numeric: Headings of columns to align right.
        width: Columns of the terminal; by default what it has, and on a pipe as wide as the table is.
    """
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    target = console(width=width)
    room = sys.maxsize if width is None and not target.is_terminal else target.width
    cells = [
        [_CONTROL.sub(lambda found: ascii(found[0])[1:-1], redact(str(cell))) for cell in row] for row in rows
    ]

    def sizes(separator: str | None) -> list[int]:
        """The longest line, or the longest word, of each column."""
        texts = ("\n".join([name, *(row[at] for row in cells)]) for at, name in enumerate(columns))
        return [max(map(cell_len, text.split(separator)), default=0) for text in texts]

    most, words = sizes("\n"), sizes(None)
    least = [min(room, most[at] if name in numeric else words[at]) for at, name in enumerate(columns)]
    for kept in range(len(columns), 0, -1):
        home = max(range(kept), key=lambda at: (columns[at] not in numeric, words[at]))
        # Words below are indented, and end in ":" or ";".
        least[home] = min(room, max(least[home], *(2 * GAP + 1 + word for word in words[kept:]), 0))
        if sum(least[:kept]) + GAP * (kept - 1) <= room:
            break
    below = [
        "; ".join(f"{name}: {cell}" for name, cell in zip(columns[kept:], row[kept:], strict=True))
        for row in cells
    ]
    most[home] = max(most[home], *(GAP + cell_len(text) for text in below), 0)
    widths = share_out(room - GAP * (kept - 1), least[:kept], most[:kept])
    table = Table(box=SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0), pad_edge=False, show_edge=False)
    for name, wide in zip(columns, widths, strict=False):
        table.add_column(name, justify="right" if name in numeric else "left", width=wide, overflow="fold")
    wrapper = TextWrapper(widths[home], " " * GAP, " " * 2 * GAP, break_on_hyphens=False)
    for row, text in zip(cells, below, strict=True):
        row[home] = "\n".join([row[home], *wrapper.wrap(text)])
        # Text, not markup: a candidate's name may hold brackets.
        table.add_row(*map(Text, row[:kept]))
    if title:
        typer.secho("\n".join(wrap(redact(title), min(room, TITLE))), bold=True)
    console(width=sum(widths) + GAP * (kept - 1)).print(table, "")


def share_out(room: int, least: Sequence[int], most: Sequence[int]) -> list[int]:
    """Widths of columns: each has its least, and what is left goes to those that lack most of what they want."""
    widths = list(least)
    for _ in range(min(room, sum(most)) - sum(least)):
        narrow = [column for column, width in enumerate(widths) if width < most[column]]
        at = max(narrow, key=lambda column: most[column] / max(1, widths[column]))
        widths[at] += 1
    return widths


@contextmanager
def progress_bars(*, lines: bool = False) -> "Iterator[Progress]":
    """Progress on stderr: bars on a terminal, elsewhere a line for a step that takes longer than a moment.

    Args:
        lines: Write lines on a terminal, too.

    Yields:
        A callback for the library (see `modelsat.progress`).
    """
    tasks: dict[str, TaskID] = {}
    named: dict[str, float] = {}
    bars: Bars | None = None

    def show(step: str, done: int, total: int) -> None:
        nonlocal bars
        name, _, details = step.partition(": ")
        if lines or not sys.stderr.isatty():
            if time.monotonic() - named.setdefault(name, time.monotonic()) > MOMENT_S:
                named[name] = math.inf
                say(f"{name} ...")
            return
        if bars is None:
            bars = _make_bars()
            bars.start()
        if name not in tasks:
            # Begun with what was done before: the time left is estimated from this run alone.
            tasks[name] = bars.add_task(name, total=total, completed=done, details=details)
        bars.update(tasks[name], completed=done, total=total, details=details)

    try:
        yield show
    finally:
        if bars is not None:
            bars.stop()


def _make_bars() -> "Bars":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[details]}"),
        console=console(stderr=True),
        transient=True,
    )
