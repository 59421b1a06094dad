"""The small world, made once for all tests of the benchmark."""

import numpy as np
import pytest

from modelsat.bench.baselines import fit_baselines
from modelsat.bench.evaluation_set import EvaluationSet, core_set, source_set
from modelsat.bench.methods import Method, router_methods
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
def routed(directory: OutcomeDirectory, exam: AptitudeTest, cards: list[CapabilityProfile]) -> EvaluationSet:
    """The core set of the final test."""
    return core_set(directory, cards, exam=exam, splits=SPLITS, rng=np.random.default_rng(0))


@pytest.fixture(scope="session")
def abroad(wide_directory: OutcomeDirectory) -> EvaluationSet:
    """The other protocol; its exam knows the older half of its candidates."""
    return source_set(
        wide_directory,
        ABROAD,
        name=ABROAD,
        splits=SPLITS,
        part="test",
        datasets=[ABROAD],
        exam_candidates=("p", "q", "r", "s"),
        rng=np.random.default_rng(0),
    )


@pytest.fixture(scope="session")
def methods(routed: EvaluationSet, directory: OutcomeDirectory) -> list[Method]:
    """Every method on the core set; the router knows subjects and uses cards."""
    own, *controls = router_methods(routed, TaskAccuracy(), note="", seed=0, shuffles=3)
    fitted = fit_baselines(
        routed, embed, items=directory.instructions, outputs={}, pairs=2_000, trees=20, seed=0
    )
    return [own, *fitted, *controls]
