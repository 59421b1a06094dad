"""What one tuning step sees of the candidates: resampled exams and virtual candidates.

An exam is a noisy measurement, and tuning should say so: at every step each task's items are drawn anew with
replacement. A virtual candidate follows one real parent in some categories and another in others, in its outcomes and
in its profile alike, so that the router must read profiles and cannot memorise names.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from modelsat.scoring.numeric_encoder import CardBatch, ExamStatistics
from modelsat.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """The candidates of one step.

    Attributes:
        cards: Their profiles as numbers.
        parents: [candidate, category] int; whose outcomes it has in each category.
    """

    cards: CardBatch
    parents: NDArray[np.intp]

    def scores(self, scores: FloatArray, categories: NDArray[np.intp]) -> FloatArray:
        """Outcomes of these candidates.

        Args:
            scores: [instruction, real candidate]; NaN where unknown.
            categories: [instruction] category of each.

        Returns:
            [instruction, candidate].
        """
        return scores[np.arange(len(scores))[:, None], self.parents[:, categories].T]


def draw_candidates(
    cards: CardBatch,
    statistics: ExamStatistics,
    item_categories: NDArray[np.intp],
    *,
    categories: int,
    mixup_ratio: float,
    rng: np.random.Generator,
) -> Candidates:
    """Resample every real candidate's exam and add virtual candidates.

    Args:
        cards: The real candidates, complete exam.
        statistics: Of the exam.
        item_categories: [item] category of each item.
        categories: How many categories there are.
        mixup_ratio: Virtual candidates per real one.
        rng: Source of randomness.
    """
    real = len(cards.levels)
    resampled = resample(cards, statistics, rng)
    own = np.broadcast_to(np.arange(real)[:, None], (real, categories))
    count = round(mixup_ratio * real)
    if not count:
        return Candidates(cards=resampled, parents=own.astype(np.intp))
    pair = rng.integers(0, real, (count, 2))
    parents = np.take_along_axis(pair, rng.integers(0, 2, (count, categories)), axis=1)
    mixed = _mix(resampled, statistics, parents[:, item_categories])
    return Candidates(cards=_join(resampled, mixed), parents=np.concatenate([own, parents]).astype(np.intp))


def resample(cards: CardBatch, statistics: ExamStatistics, rng: np.random.Generator) -> CardBatch:
    """Draw each task's items with replacement; levels move with what was drawn, and residuals with the levels."""
    times = np.concatenate(
        [rng.multinomial(shots, np.full(shots, 1.0 / shots)) for shots in statistics.shots]
    ).astype(np.float32)
    # One Newton step from the old level to the level at which the drawn answers balance.
    shift = (cards.residuals * cards.scales * times).sum(1) / (cards.variances * times).sum(1)
    residuals = (cards.residuals - shift[:, None] * cards.variances / cards.scales) * times
    return replace(
        cards,
        residuals=residuals.astype(np.float32),
        levels=(cards.levels + shift / statistics.level_deviation).astype(np.float32),
    )


def _mix(cards: CardBatch, statistics: ExamStatistics, parents: NDArray[np.intp]) -> CardBatch:
    """Profiles that take each item from one parent, [candidate, item] -> row of `cards`."""
    items = np.arange(parents.shape[1])
    item_levels = cards.levels[parents]
    levels = item_levels.mean(1)
    scales = cards.scales[parents, items]
    # A parent's level above the mixture's own shows as better answers on the parent's items.
    gap = (item_levels - levels[:, None]) * statistics.level_deviation
    return replace(
        cards,
        levels=levels.astype(np.float32),
        residuals=(cards.residuals[parents, items] + gap * scales).astype(np.float32),
        weights=cards.weights[parents, items],
        variances=cards.variances[parents, items],
        scales=scales,
    )


def _join(first: CardBatch, second: CardBatch) -> CardBatch:
    return replace(
        first,
        levels=np.concatenate([first.levels, second.levels]),
        residuals=np.concatenate([first.residuals, second.residuals]),
        weights=np.concatenate([first.weights, second.weights]),
        variances=np.concatenate([first.variances, second.variances]),
        scales=np.concatenate([first.scales, second.scales]),
    )


def pair_weights(
    scores: FloatArray, levels: FloatArray, *, strength_weight: float, lucky_weight: float
) -> FloatArray:
    """How much each outcome counts in tuning (paper: data refinement).

    Args:
        scores: [instruction, candidate]; NaN where unknown.
        levels: [candidate] standardised.
        strength_weight: How much more a stronger candidate counts, per standard deviation.
        lucky_weight: Weight of a solved outcome where fewer than one in ten solved: likely a lucky guess.

    Returns:
        [instruction, candidate], 0 where the outcome is unknown, mean about 1.
    """
    known = ~np.isnan(scores)
    strength = np.exp(strength_weight * levels)
    weights = known * (strength / strength.mean())[None]
    solved = np.where(known, scores, 0.0)
    rare = solved.sum(1) < 0.1 * known.sum(1)
    refined = np.where(rare[:, None] & (solved > 0.5), lucky_weight * weights, weights)
    return np.asarray(refined, dtype=np.float32)


def homogeneous_groups(
    scores: FloatArray, *, group: int, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw groups of one candidate's instructions: one solved first, then failed ones (paper: tuning, k-shot groups).

    Args:
        scores: [instruction, candidate]; NaN where unknown.
        group: Instructions in a group (k).
        count: Groups to draw.
        rng: Source of randomness.

    Returns:
        Candidates [count] and instructions [count, group]; none where no candidate has enough solved and failed ones.
    """
    able = [
        column
        for column in range(scores.shape[1])
        if (scores[:, column] > 0.5).any() and (scores[:, column] <= 0.5).sum() >= group - 1
    ]
    candidates = rng.choice(able, count) if able else np.empty(0, dtype=np.intp)
    rows = np.empty((len(candidates), group), dtype=np.intp)
    for at, column in enumerate(candidates):
        rows[at, 0] = rng.choice(np.flatnonzero(scores[:, column] > 0.5))
        rows[at, 1:] = rng.choice(np.flatnonzero(scores[:, column] <= 0.5), group - 1, replace=False)
    return candidates.astype(np.intp), rows
