"""What one step sees: resampled exams, virtual candidates, weights of outcomes, homogeneous groups."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from modelsat.scoring.numeric_encoder import CardBatch, ExamStatistics
from modelsat.tuning.samples import Candidates, draw_candidates, homogeneous_groups, pair_weights, resample
from modelsat.types import FloatArray

TASKS, SHOTS, REAL = 3, 10, 5
ITEMS = TASKS * SHOTS
# One task to a category.
ITEM_CATEGORIES: NDArray[np.intp] = np.repeat(np.arange(TASKS), SHOTS).astype(np.intp)
SEEDS = st.integers(0, 2**32 - 1)


def statistics() -> ExamStatistics:
    return ExamStatistics(
        exam_hash="exam",
        tasks=("algebra", "law", "biology"),
        shots=(SHOTS,) * TASKS,
        difficulty=np.zeros(ITEMS, dtype=np.float32),
        bias=np.zeros(ITEMS, dtype=np.float32),
        level_mean=0.0,
        level_deviation=0.8,
    )


def cards(seed: int = 0) -> CardBatch:
    """Candidates whose residuals sum to nothing, as the Rasch model leaves them."""
    rng = np.random.default_rng(seed)
    residuals = rng.normal(size=(REAL, ITEMS)).astype(np.float32)
    scales = np.repeat(rng.uniform(0.3, 0.5, (REAL, TASKS)), SHOTS, axis=1).astype(np.float32)
    residuals -= (residuals * scales).sum(1, keepdims=True) / scales.sum(1, keepdims=True)
    return CardBatch(
        levels=rng.normal(size=REAL).astype(np.float32),
        residuals=residuals,
        weights=np.ones((REAL, ITEMS), dtype=np.float32),
        variances=scales**2,
        scales=scales,
    )


def draw(seed: int, *, mixup_ratio: float = 2.0) -> Candidates:
    return draw_candidates(
        cards(seed),
        statistics(),
        ITEM_CATEGORIES,
        categories=TASKS,
        mixup_ratio=mixup_ratio,
        rng=np.random.default_rng(seed),
    )


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_a_level_rises_exactly_where_better_answers_were_drawn(seed: int) -> None:
    before, after = cards(seed), resample(cards(seed), statistics(), np.random.default_rng(seed))
    times = drawn_times(before, after)
    drawn_better = (before.residuals * before.scales * times).sum(1)
    np.testing.assert_array_equal(np.sign(after.levels - before.levels), np.sign(drawn_better))
    # At the new level the drawn answers balance again: what moved the level is not counted a second time.
    np.testing.assert_allclose((after.residuals * after.scales).sum(1), 0.0, atol=1e-3)


def drawn_times(before: CardBatch, after: CardBatch) -> FloatArray:
    """[candidate, item] how often each was drawn."""
    shift = (after.levels - before.levels)[:, None] * statistics().level_deviation
    times = after.residuals / (before.residuals - shift * before.variances / before.scales)
    return np.asarray(times, dtype=np.float32)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_every_task_keeps_its_number_of_items(seed: int) -> None:
    before, after = cards(seed), resample(cards(seed), statistics(), np.random.default_rng(seed))
    times = drawn_times(before, after)[0]
    np.testing.assert_allclose(times, np.round(times), atol=1e-2)
    np.testing.assert_allclose(times.reshape(TASKS, SHOTS).sum(1), SHOTS, atol=1e-2)


def test_resampling_averages_out(rng: np.random.Generator) -> None:
    before = cards()
    drawn = [resample(before, statistics(), rng) for _ in range(2000)]
    spread = np.std([one.levels for one in drawn], axis=0)
    assert (spread > 0.05).all()
    np.testing.assert_allclose(np.mean([one.levels for one in drawn], axis=0), before.levels, atol=0.05)
    np.testing.assert_allclose(np.mean([one.residuals for one in drawn], axis=0), before.residuals, atol=0.3)


def test_real_candidates_keep_their_outcomes_and_virtual_ones_come_after(rng: np.random.Generator) -> None:
    drawn = draw(0)
    scores = rng.random((7, REAL)).astype(np.float32)
    categories = rng.integers(0, TASKS, 7).astype(np.intp)
    assert len(drawn.cards.levels) == len(drawn.parents) == REAL + 2 * REAL
    np.testing.assert_array_equal(drawn.scores(scores, categories)[:, :REAL], scores)


def test_without_virtual_candidates_only_real_ones_are_drawn() -> None:
    assert draw(0, mixup_ratio=0.0).cards.residuals.shape == (REAL, ITEMS)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_a_virtual_candidate_solves_what_its_parent_in_the_category_solves(seed: int) -> None:
    drawn = draw(seed)
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 2, (40, REAL)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.2] = np.nan
    categories = rng.integers(0, TASKS, 40).astype(np.intp)
    found = drawn.scores(scores, categories)
    for row, category in enumerate(categories):
        for column, parents in enumerate(drawn.parents):
            np.testing.assert_equal(found[row, column], scores[row, parents[category]])
    assert all(len(set(parents)) <= 2 for parents in drawn.parents.tolist())


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_a_virtual_card_says_of_every_item_what_the_parents_card_says(seed: int) -> None:
    """Level and residual together stand for an answer; taken apart differently, they must still add up to it."""
    drawn = draw(seed)
    soft_targets = drawn.cards.levels[:, None] * statistics().level_deviation * drawn.cards.scales + (
        drawn.cards.residuals
    )
    items = np.arange(ITEMS)
    for row in range(REAL, len(drawn.parents)):
        parents = drawn.parents[row, ITEM_CATEGORIES]
        np.testing.assert_allclose(soft_targets[row], soft_targets[parents, items], atol=1e-4)
        np.testing.assert_allclose(drawn.cards.scales[row], drawn.cards.scales[parents, items])
        np.testing.assert_allclose(
            drawn.cards.levels[row], drawn.cards.levels[drawn.parents[row]].mean(), atol=1e-5
        )


def test_unknown_outcomes_weigh_nothing_and_known_ones_one() -> None:
    scores = np.array([[1, 0, np.nan], [0, 1, 1]], dtype=np.float32)
    levels = np.array([-1, 0, 1], dtype=np.float32)
    weights = pair_weights(scores, levels, strength_weight=0.0, lucky_weight=1.0)
    np.testing.assert_array_equal(weights, [[1, 1, 0], [1, 1, 1]])


def test_outcomes_of_stronger_candidates_count_more() -> None:
    scores = np.zeros((2, 3), dtype=np.float32)
    levels = np.array([-1, 0, 1], dtype=np.float32)
    weights = pair_weights(scores, levels, strength_weight=0.5, lucky_weight=1.0)
    assert (np.diff(weights, axis=1) > 0).all()
    np.testing.assert_allclose(weights[:, 1:] / weights[:, :-1], np.exp(0.5), rtol=1e-5)
    np.testing.assert_allclose(weights.mean(), 1.0, rtol=1e-5)


def test_only_the_solved_outcome_among_many_failures_is_a_lucky_guess() -> None:
    scores = np.zeros((3, 20), dtype=np.float32)
    scores[0, 4] = 1
    scores[1, :3] = 1
    weights = pair_weights(scores, np.zeros(20, dtype=np.float32), strength_weight=0.0, lucky_weight=0.25)
    expected = np.ones_like(scores)
    expected[0, 4] = 0.25
    np.testing.assert_allclose(weights, expected)


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.integers(2, 5))
def test_a_group_is_one_candidates_solved_instruction_then_failed_ones(seed: int, group: int) -> None:
    rng = np.random.default_rng(seed)
    scores: FloatArray = rng.integers(0, 2, (16, 4)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.1] = np.nan
    candidates, rows = homogeneous_groups(scores, group=group, count=9, rng=rng)
    assert rows.shape == (len(candidates), group)
    for candidate, members in zip(candidates, rows, strict=True):
        assert scores[members[0], candidate] == 1
        assert (scores[members[1:], candidate] == 0).all()
        assert len(set(members.tolist())) == group


@pytest.mark.parametrize("score", [0.0, 1.0, np.nan])
def test_where_no_candidate_both_solved_and_failed_there_is_no_group(
    score: float, rng: np.random.Generator
) -> None:
    scores = np.full((6, 3), score, dtype=np.float32)
    candidates, rows = homogeneous_groups(scores, group=3, count=5, rng=rng)
    assert candidates.shape == (0,)
    assert rows.shape == (0, 3)
