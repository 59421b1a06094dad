"""Fixtures that every layer's tests share."""

from pathlib import Path

from modelsat.environment import disable_telemetry, settle_threads

# Before anything imports numpy, torch or ONNX Runtime: nothing is sent home, and one thread computes. The tests' models
# are too small for two, which would only wait for each other, and sums would depend on their number.
settle_threads(cores=1)
disable_telemetry()

import numpy as np  # noqa: E402
import pytest  # noqa: E402

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
