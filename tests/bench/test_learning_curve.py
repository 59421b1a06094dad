"""Cards from shorter exams: the same part for all, and more exam is worth more."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelsat.bench.evaluation_set import EvaluationSet
from modelsat.bench.sections.learning_curve import average, expected_of_best, learning_curve, shorten
from modelsat.errors import DataError
from modelsat.types import CapabilityProfile
from tests.bench.world import SUBJECTS, TaskAccuracy
from tests.profiles import profile


def test_all_candidates_sit_the_same_part(cards: list[CapabilityProfile]) -> None:
    shorter = shorten(cards, tasks=2, shots=5, rng=np.random.default_rng(0))
    sat = [
        [(result.task, tuple(score is not None for score in result.items)) for result in card.results]
        for card in shorter
    ]
    assert len(sat[0]) == 2
    assert all(part == sat[0] for part in sat)
    assert all(result.shots == 5 for card in shorter for result in card.results)


@settings(max_examples=20, deadline=None)
@given(tasks=st.integers(1, 9), shots=st.integers(1, 30), seed=st.integers(0, 9))
def test_no_length_asks_for_more_than_there_is(
    cards: list[CapabilityProfile], tasks: int, shots: int, seed: int
) -> None:
    for before, after in zip(
        cards, shorten(cards, tasks=tasks, shots=shots, rng=np.random.default_rng(seed)), strict=True
    ):
        assert len(after.results) == min(tasks, len(SUBJECTS))
        assert {result.shots for result in after.results} == {min(shots, 20)}
        kept = {result.task: result.items for result in before.results}
        for result in after.results:
            pairs = zip(result.items, kept[result.task], strict=True)
            assert all(score is None or score == whole for score, whole in pairs)


def test_a_card_without_single_results_cannot_be_shortened() -> None:
    with pytest.raises(DataError, match="card of x: no single results on task 'law'"):
        shorten([profile("x", {"law": 0.5})], tasks=1, shots=5, rng=np.random.default_rng(0))


def test_an_average_candidate_has_every_tasks_mean(cards: list[CapabilityProfile]) -> None:
    mean = average(cards, name="no one")
    for at, result in enumerate(mean.results):
        assert result.accuracy == pytest.approx(np.mean([card.results[at].accuracy for card in cards]))


def test_among_equals_the_choice_is_blind() -> None:
    logits = np.array([[1, 1, 0], [0, 2, 1]], dtype=np.float32)
    truth = np.array([[1, 0, 1], [0, 1, 0]], dtype=np.float32)
    np.testing.assert_allclose(expected_of_best(logits, truth), [0.5, 1.0])


def test_more_exam_is_worth_more(routed: EvaluationSet) -> None:
    rows = learning_curve(routed, TaskAccuracy(), draws=3, seed=0).records()
    assert [row["exam"] for row in rows[:5]] == ["4x20", "50x5", "20x5", "10x5", "none"]
    for group in ("seen", "unseen"):
        of_group = {row["exam"]: row for row in rows if row["candidates"] == group}
        assert of_group["10x5"]["auc"] > of_group["none"]["auc"]  # type: ignore[operator]
        assert of_group["none"]["items"] == 0
        # A single new candidate is no trouble where the other three are known.
        if group == "seen":
            assert of_group["4x20"]["gain"] > of_group["none"]["gain"]  # type: ignore[operator]
        assert of_group["4x20"]["auc"] > of_group["none"]["auc"]  # type: ignore[operator]
        assert of_group["4x20"]["gain_low"] <= of_group["4x20"]["gain"]  # type: ignore[operator]
