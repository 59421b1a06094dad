"""Recorded logs, and a way to spoil one of their lines."""

from pathlib import Path

import pytest

FIXTURES = Path(__file__).parent.parent / "fixtures"


@pytest.fixture
def fixtures() -> Path:
    """The folder of recorded logs."""
    return FIXTURES
