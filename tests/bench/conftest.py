"""The small world, made once for all tests of the benchmark."""

import numpy as np
import pytest

from modelsat.bench.arena import Arena, core_arena, source_arena
from modelsat.bench.baselines import Effort, rivals
from modelsat.bench.contenders import model_sat
from modelsat.bench.heldout import HeldOut, hold_out
from modelsat.bench.zoos import Contest
from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.grading import exam_table, grade
from modelsat.records.store import OutcomeDirectory
from modelsat.types import CapabilityProfile
from tests.bench.world import ABROAD, SPLITS, TaskAccuracy, embed, make_directory, make_exam


@pytest.fixture(scope="session")
def directory() -> OutcomeDirectory:
    """One protocol."""
    return make_directory(abroad=False)


@pytest.fixture(scope="session")
def wide_directory() -> OutcomeDirectory:
    """Two protocols."""
    return make_directory(abroad=True)


@pytest.fixture(scope="session")
def exam(directory: OutcomeDirectory) -> AptitudeTest:
    """Of the first protocol."""
    return make_exam(directory)


@pytest.fixture(scope="session")
def cards(directory: OutcomeDirectory, exam: AptitudeTest) -> list[CapabilityProfile]:
    """Of all candidates of the first protocol."""
    return grade(exam_table(directory.instructions, directory.outcomes, exam), exam)


@pytest.fixture(scope="session")
def held_out(directory: OutcomeDirectory, exam: AptitudeTest, cards: list[CapabilityProfile]) -> HeldOut:
    """For the final test."""
    return hold_out(directory, cards, exam=exam, splits=SPLITS, rng=np.random.default_rng(0))


@pytest.fixture(scope="session")
def arena(directory: OutcomeDirectory, exam: AptitudeTest, cards: list[CapabilityProfile]) -> Arena:
    """The core arena of the final test."""
    return core_arena(
        directory,
        cards,
        exam=exam,
        splits=SPLITS,
        part="test",
        limit=None,
        learn=None,
        rng=np.random.default_rng(0),
    )


@pytest.fixture(scope="session")
def abroad(wide_directory: OutcomeDirectory) -> Arena:
    """The other protocol; its exam knows the older half of its candidates."""
    return source_arena(
        wide_directory,
        ABROAD,
        name=ABROAD,
        splits=SPLITS,
        part="test",
        datasets=[ABROAD],
        part_name="ood_datasets",
        exam_candidates=("p", "q", "r", "s"),
        rng=np.random.default_rng(0),
    )


@pytest.fixture(scope="session")
def contest(arena: Arena, directory: OutcomeDirectory) -> Contest:
    """Every method in the core arena; the router knows subjects and reads cards."""
    own, *controls = model_sat(arena, TaskAccuracy(), note="", seed=0, shuffles=3)
    fitted = rivals(
        arena,
        embed,
        items=directory.instructions,
        outputs={},
        effort=Effort(pairs=2_000, trees=20),
        seed=0,
    )
    return Contest(arena=arena, methods=(own, *fitted, *controls))
