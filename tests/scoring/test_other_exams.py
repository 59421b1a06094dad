"""Exams of one's own beside the router's: which speaks, and what it says of whom."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from modelsat.scoring.numeric_encoder import ExamStatistics, encode_profiles, measure_exam
from modelsat.scoring.other_exams import OtherExams
from modelsat.types import CapabilityProfile, FloatArray, TaskResult

from .test_numeric_encoder import TASKS, make_exam, make_profile

SUBJECTS = ("refunds", "poems", "joins")
FAR, NEAR = np.array([0.0], np.float32), np.array([0.95], np.float32)


def embed(texts: Sequence[str]) -> FloatArray:
    """Unit vectors with one entry per subject that a text names, and one for anything else."""
    counts = np.array([[*(text.count(subject) for subject in SUBJECTS), 0.1] for text in texts])
    return np.asarray(counts / np.linalg.norm(counts, axis=1, keepdims=True), dtype=np.float32)


def shop(shots: int = 20, **accuracy: float) -> CapabilityProfile:
    return CapabilityProfile(
        candidate="any",
        exam="shop",
        exam_hash="other",
        results=tuple(
            TaskResult(task=task, keywords=(task,), accuracy=value, shots=shots)
            for task, value in accuracy.items()
        ),
    )


@pytest.fixture
def candidates(rng: np.random.Generator) -> list[CapabilityProfile]:
    """Eight that sat the router's exam; the first two of one level, which is a half."""
    chances = [dict(zip(TASKS, rng.uniform(0.2, 0.9, 3), strict=True)) for _ in range(8)]
    profiles = [make_profile(f"m{at}", chance, rng) for at, chance in enumerate(chances)]
    half = replace(
        profiles[0],
        results=tuple(replace(result, accuracy=0.5, items=(1.0, 0.0) * 5) for result in profiles[0].results),
    )
    return [half, replace(half, candidate="m1"), *profiles[2:]]


@pytest.fixture
def statistics(candidates: list[CapabilityProfile]) -> ExamStatistics:
    return measure_exam(make_exam(), candidates)


def gather(profiles: Sequence[CapabilityProfile], statistics: ExamStatistics) -> OtherExams:
    return OtherExams.of(profiles, encode_profiles(profiles, statistics), statistics, embed)


def test_of_two_with_one_level_the_better_at_ones_own_exam_gains(
    candidates: list[CapabilityProfile], statistics: ExamStatistics
) -> None:
    good = replace(candidates[0], other_exams=(shop(refunds=0.9, poems=0.9),))
    bad = replace(candidates[1], other_exams=(shop(refunds=0.2, poems=0.2),))
    heard = gather([good, bad], statistics).score(embed(["refunds"]), FAR)
    assert heard.gains[0, 0] > 0.5
    assert heard.gains[0, 1] < -0.5


def test_the_task_closest_to_the_instruction_decides(
    candidates: list[CapabilityProfile], statistics: ExamStatistics
) -> None:
    clerk = replace(candidates[0], other_exams=(shop(refunds=0.9, poems=0.3),))
    poet = replace(candidates[1], other_exams=(shop(refunds=0.3, poems=0.9),))
    texts, others = embed(["refunds", "poems"]), gather([clerk, poet], statistics)
    heard = others.score(texts, np.zeros(2, np.float32))
    assert heard.gains[0, 0] > heard.gains[0, 1]
    assert heard.gains[1, 0] < heard.gains[1, 1]
    # Tasks stand in the order of their names: poems, refunds.
    assert [others.task_attention(row[None], [0]).argmax() for row in texts] == [1, 0]


def test_whichever_exam_has_something_closer_speaks(
    candidates: list[CapabilityProfile], statistics: ExamStatistics
) -> None:
    both = replace(candidates[0], other_exams=(shop(refunds=0.9),))
    others = gather([both, shop(refunds=0.9), candidates[2]], statistics)
    about_it = others.score(embed(["refunds"]), FAR)
    elsewhere = others.score(embed(["physics"]), NEAR)
    assert about_it.share[0, 0] > 0.95
    assert elsewhere.share[0, 0] < 0.05
    # Who sat nothing else is judged by it whatever is asked; who did not sit it, never.
    assert about_it.share[0, 1] == elsewhere.share[0, 1] == 1.0
    assert about_it.share[0, 2] == elsewhere.share[0, 2] == 0.0
    assert about_it.nearest[0, 2] == -1.0


def test_few_shots_say_little(candidates: list[CapabilityProfile], statistics: ExamStatistics) -> None:
    gains = []
    for shots in (1, 5, 20, 1_000):
        one = replace(candidates[0], other_exams=(shop(shots, refunds=1.0),))
        gains.append(float(gather([one], statistics).score(embed(["refunds"]), FAR).gains[0, 0]))
    assert gains == sorted(gains)
    assert 0 < gains[0] < 0.5
    assert gains[-1] < 10


def test_a_candidate_is_heard_alike_in_any_company(
    candidates: list[CapabilityProfile], statistics: ExamStatistics
) -> None:
    zoo = [
        replace(candidates[0], other_exams=(shop(refunds=0.9, poems=0.3),)),
        replace(candidates[1], other_exams=(replace(shop(joins=0.7), exam="sql"),)),
        shop(poems=0.4),
    ]
    text, nearest = embed(["refunds", "a poems and joins", "else"]), np.array([0.1, 0.5, 0.9], np.float32)
    together = gather(zoo, statistics).score(text, nearest)
    for column, profile in enumerate(zoo):
        alone = gather([profile], statistics).score(text, nearest)
        for name in ("share", "gains", "nearest"):
            np.testing.assert_allclose(
                getattr(alone, name)[:, 0], getattr(together, name)[:, column], atol=1e-5
            )


def test_an_example_question_finds_its_task_where_keywords_do_not(
    candidates: list[CapabilityProfile], statistics: ExamStatistics
) -> None:
    def clerk(name: str, accuracy: float) -> TaskResult:
        return TaskResult(
            task=name, keywords=("service",), accuracy=accuracy, shots=20, examples=(f"Write about {name}.",)
        )

    exam = replace(shop(refunds=0.5), results=(clerk("refunds", 0.9), clerk("poems", 0.2)))
    others = gather([replace(candidates[0], other_exams=(exam,))], statistics)
    heard = others.score(embed(["my refunds", "some poems"]), np.zeros(2, np.float32))
    assert heard.gains[0, 0] > 0 > heard.gains[1, 0]
    assert heard.nearest.min() > 0.9
