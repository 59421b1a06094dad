"""The small world of the benchmark's tests."""

from tests.bench.conftest import cards, directory, exam, held_out

__all__ = ["cards", "directory", "exam", "held_out"]
