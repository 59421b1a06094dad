"""Metrics against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.bench import metrics


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
def test_auc_is_the_chance_that_a_solved_pair_ranks_above_a_failed_one(pairs: list[tuple[bool, int]]) -> None:
    won = [logit for solved, logit in pairs if solved]
    lost = [logit for solved, logit in pairs if not solved]
    found = metrics.auc(np.array([a for a, _ in pairs], float), np.array([b for _, b in pairs], float))
    if not won or not lost:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(np.mean([(a > b) + 0.5 * (a == b) for a in won for b in lost]))


def test_pairs_without_outcome_are_left_out() -> None:
    scores = np.array([[1.0, np.nan], [0.0, 0.0]])
    assert metrics.auc(scores, np.array([[2.0, -9.0], [1.0, 0.0]])) == 1.0


def test_within_candidate_auc_does_not_see_levels() -> None:
    scores = np.array([[1, 1], [1, 0], [1, 0], [0, 0]], dtype=float)
    levels = np.tile([0.75, 0.25], (4, 1))
    assert metrics.auc(scores, levels) > 0.7
    assert metrics.within_candidate_auc(scores, levels) == 0.5


def test_calibration_error_is_nought_for_honest_and_large_for_vain(rng: np.random.Generator) -> None:
    probability = rng.uniform(size=50_000)
    scores = (rng.uniform(size=50_000) < probability).astype(float)
    assert metrics.expected_calibration_error(scores, probability) < 0.01
    assert metrics.expected_calibration_error(np.zeros(10), np.full(10, 0.9)) == pytest.approx(0.9)


def test_best_single_is_chosen_on_tuning() -> None:
    assert metrics.best_single(np.array([[1, 0], [1, 0], [1, 1], [0, 1]], dtype=float)) == 0


def test_gap_closed_is_a_share_of_the_way_to_the_oracle() -> None:
    assert metrics.gap_closed(0.6, 0.5, 0.75) == pytest.approx(0.4)
    assert np.isnan(metrics.gap_closed(0.5, 0.5, 0.5))


def test_selection_entropy() -> None:
    assert metrics.selection_entropy(np.array([0, 0, 0]), 4) == 0.0
    assert metrics.selection_entropy(np.arange(4), 4) == pytest.approx(1.0)
