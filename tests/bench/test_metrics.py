"""Metrics against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from modelsat.bench import metrics


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
def test_auc_is_scikit_learns(pairs: list[tuple[bool, int]]) -> None:
    solved, said = np.array([a for a, _ in pairs], float), np.array([b for _, b in pairs], float)
    found = metrics.auc(solved, said)
    if len(set(solved)) < 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(roc_auc_score(solved, said))


def test_pairs_without_outcome_are_left_out() -> None:
    scores = np.array([[1.0, np.nan], [0.0, 0.0]])
    assert metrics.auc(scores, np.array([[2.0, -9.0], [1.0, 0.0]])) == 1.0
    assert metrics.brier(scores, np.array([[1.0, 0.3], [0.0, 0.0]])) == 0.0


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


def test_best_single_is_chosen_on_tuning_and_per_group_falls_back() -> None:
    tuning = np.array([[1, 0], [1, 0], [1, 1], [0, 1]], dtype=float)
    groups = ["law", "law", "maths", "maths"]
    assert metrics.best_single(tuning) == 0
    assert metrics.best_single_per_group(tuning, groups, ["maths", "law", "new"]).tolist() == [1, 0, 0]


def test_oracle_regret_and_gap() -> None:
    scores = np.array([[1, 0], [0, 1], [0, 0], [1, 1]], dtype=float)
    chosen = np.array([0, 0, 0, 0])
    assert metrics.achieved(scores, chosen).mean() == 0.5
    assert metrics.oracle(scores).mean() == 0.75
    assert metrics.regret(scores, chosen) == 0.25
    assert metrics.gap_closed(0.6, 0.5, 0.75) == pytest.approx(0.4)
    assert np.isnan(metrics.gap_closed(0.5, 0.5, 0.5))


def test_entropy_and_strongest_call_rate() -> None:
    assert metrics.selection_entropy(np.array([0, 0, 0]), 4) == 0.0
    assert metrics.selection_entropy(np.arange(4), 4) == pytest.approx(1.0)
    assert metrics.strongest_call_rate(np.array([0, 1, 0, 0]), 0) == 0.75


def test_gap_closed_interval_holds_its_mean(rng: np.random.Generator) -> None:
    single, oracle = rng.integers(0, 2, size=(2, 500)).astype(float)
    oracle = np.maximum(single, oracle)
    routed = np.where(rng.uniform(size=500) < 0.5, oracle, single)
    interval = metrics.gap_closed_interval(routed, single, oracle, rng=rng)
    assert interval.low < interval.mean < interval.high
    assert interval.mean == pytest.approx(0.5, abs=0.15)
