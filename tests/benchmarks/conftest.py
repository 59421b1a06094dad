"""The small world of the benchmark's tests."""

from tests.bench.conftest import cards, directory, exam, routed

__all__ = ["cards", "directory", "exam", "routed"]
