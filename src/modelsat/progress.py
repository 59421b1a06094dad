"""Progress of long work, reported through one kind of callback in the whole library."""

from collections.abc import Callable

# Called as progress(step, done, total). A step is a few words; what follows ": " in them are details that may change
# while it goes on, e.g. "our-model: cost $0.12".
Progress = Callable[[str, int, int], None]


def no_progress(step: str, done: int, total: int) -> None:
    """Report nothing."""
