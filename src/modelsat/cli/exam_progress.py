"""The exam's progress bars: one per candidate, with money so far and time left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from modelsat.cli.output import console

if TYPE_CHECKING:
    from rich.progress import TaskID

    from modelsat.exam.runner import Snapshot


@contextmanager
def exam_progress() -> "Iterator[Callable[[Snapshot], None]]":
    """Show how far every candidate is, on stderr.

    Yields:
        A callback for snapshots.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[notes]}"),
    )
    tasks: dict[str, TaskID] = {}
    target = console(stderr=True)
    with Progress(*columns, console=target, transient=True, disable=not target.is_terminal) as bar:

        def show(snapshot: "Snapshot") -> None:
            task = tasks.get(snapshot.candidate)
            if task is None:
                # Begun with the answers that were there: time left is reckoned from this run's alone.
                tasks[snapshot.candidate] = bar.add_task(
                    snapshot.candidate,
                    total=snapshot.expected,
                    completed=snapshot.answered,
                    notes=notes(snapshot),
                )
            else:
                bar.update(task, completed=snapshot.answered, total=snapshot.expected, notes=notes(snapshot))

        yield show


def notes(snapshot: "Snapshot") -> str:
    """Money and mishaps in a few words."""
    parts = [f"cost {snapshot.cost:.4g}"] if snapshot.cost else []
    parts += [f"{snapshot.unreadable} unreadable"] if snapshot.unreadable else []
    parts += [f"{snapshot.lost} lost"] if snapshot.lost else []
    return ", ".join(parts)
