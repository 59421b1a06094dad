"""Profiles as numbers: what a card says must not depend on company, and bare accuracies must not invent items."""

from dataclasses import replace

import numpy as np
import pytest

from modelsat.capability.aptitude import AptitudeTest, ExamItem, ExamTask
from modelsat.errors import DataError
from modelsat.scoring.numeric_encoder import ExamStatistics, encode_profiles, measure_exam
from modelsat.types import CapabilityProfile, TaskResult

SHOTS = 10
TASKS = ("algebra", "law", "biology")


def make_exam() -> AptitudeTest:
    return AptitudeTest(
        name="small",
        dataset="none",
        tasks=tuple(
            ExamTask(
                name=task,
                keywords=(task,),
                items=tuple(
                    ExamItem(id=f"{task}-{at}", content_hash=f"{at:016x}", stem_hash=f"{at:012x}")
                    for at in range(SHOTS)
                ),
            )
            for task in TASKS
        ),
    )


def make_profile(name: str, chances: dict[str, float], rng: np.random.Generator) -> CapabilityProfile:
    results = []
    for task, chance in chances.items():
        items = tuple(float(x) for x in rng.random(SHOTS) < chance)
        results.append(
            TaskResult(task=task, keywords=(task,), accuracy=float(np.mean(items)), shots=SHOTS, items=items)
        )
    return CapabilityProfile(candidate=name, exam="small", exam_hash=make_exam().hash, results=tuple(results))


@pytest.fixture
def profiles(rng: np.random.Generator) -> list[CapabilityProfile]:
    chances = [dict(zip(TASKS, rng.uniform(0.2, 0.9, 3), strict=True)) for _ in range(8)]
    return [make_profile(f"m{at}", chance, rng) for at, chance in enumerate(chances)]


@pytest.fixture
def statistics(profiles: list[CapabilityProfile]) -> ExamStatistics:
    return measure_exam(make_exam(), profiles)


def test_a_card_reads_the_same_whatever_the_company(
    profiles: list[CapabilityProfile], statistics: ExamStatistics
) -> None:
    together = encode_profiles(profiles, statistics)
    for row, profile in enumerate(profiles):
        alone = encode_profiles([profile], statistics)
        np.testing.assert_allclose(alone.levels[0], together.levels[row], atol=1e-6)
        np.testing.assert_allclose(alone.residuals[0], together.residuals[row], atol=1e-6)


def test_residuals_have_the_level_taken_out(
    profiles: list[CapabilityProfile], statistics: ExamStatistics
) -> None:
    cards = encode_profiles(profiles, statistics)
    assert np.abs((cards.residuals * cards.scales).mean()) < 0.02
    ranks = np.argsort([profile.level for profile in profiles])
    assert (np.diff(cards.levels[ranks]) > -1e-5).all()


def test_tasks_not_sat_leave_the_level_to_decide(
    profiles: list[CapabilityProfile], statistics: ExamStatistics
) -> None:
    part = replace(profiles[0], results=profiles[0].results[:1])
    cards = encode_profiles([part], statistics)
    assert (cards.residuals[0, SHOTS:] == 0).all()
    assert (cards.weights[0] == 1).all()
    assert np.abs(cards.residuals[0, :SHOTS]).min() > 0


def test_a_bare_accuracy_stands_equally_on_every_item_of_its_task(
    profiles: list[CapabilityProfile], statistics: ExamStatistics
) -> None:
    bare = replace(profiles[0], results=tuple(replace(r, items=()) for r in profiles[0].results))
    cards = encode_profiles([profiles[0], bare], statistics)
    np.testing.assert_allclose(cards.levels[0], cards.levels[1], atol=1e-4)
    for task in range(len(TASKS)):
        items = slice(task * SHOTS, (task + 1) * SHOTS)
        assert np.ptp(cards.residuals[1, items]) < 1e-6
        np.testing.assert_allclose(
            cards.residuals[1, items].mean(), cards.residuals[0, items].mean(), atol=1e-3
        )


def test_another_exam_becomes_units_of_its_own(
    profiles: list[CapabilityProfile], statistics: ExamStatistics
) -> None:
    other = CapabilityProfile(
        candidate="niche",
        exam="sql",
        exam_hash="another",
        results=(
            TaskResult(task="joins", keywords=("joins",), accuracy=0.9, shots=20),
            TaskResult(task="windows", keywords=("windows",), accuracy=0.3, shots=20),
        ),
    )
    cards = encode_profiles([profiles[0], other], statistics)
    assert [name for name, _ in cards.other_tasks] == ["sql: joins", "sql: windows"]
    assert (cards.weights[1, : 3 * SHOTS] == 0).all()
    assert (cards.weights[0, 3 * SHOTS :] == 0).all()
    assert cards.residuals[1, -2] > 0 > cards.residuals[1, -1]


def test_a_further_exam_leaves_what_the_routers_own_says(
    profiles: list[CapabilityProfile], statistics: ExamStatistics
) -> None:
    sql = TaskResult(task="joins", keywords=("joins",), accuracy=0.9, shots=20)
    other = CapabilityProfile(candidate="niche", exam="sql", exam_hash="another", results=(sql,))
    both = [replace(profiles[0], other_exams=(other,)), replace(other, other_exams=(profiles[0],))]
    cards = encode_profiles([profiles[0], *both], statistics)
    for row in (1, 2):
        np.testing.assert_allclose(cards.levels[row], cards.levels[0], atol=1e-6)
        np.testing.assert_allclose(cards.residuals[row, :-1], cards.residuals[0, :-1], atol=1e-6)
        assert cards.weights[row, -1] == 20


def test_a_task_unknown_to_the_exam_is_refused(
    profiles: list[CapabilityProfile], statistics: ExamStatistics
) -> None:
    wrong = replace(
        profiles[0],
        results=(TaskResult(task="cooking", keywords=("cooking",), accuracy=0.5, shots=2),),
    )
    with pytest.raises(DataError, match="'cooking' is not in the exam"):
        encode_profiles([wrong], statistics)
