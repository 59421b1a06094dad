"""Fixtures that every layer's tests share."""

from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture
def rng() -> np.random.Generator:
    """Randomness with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def outcome_data() -> Path:
    """The folder of real outcomes; a test that needs it is skipped where it is not beside the repository."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not (folder / "outcomes.parquet").exists():
        pytest.skip(f"no outcome data at {folder}")
    return folder
