"""Metrics by their published names.

Everywhere, `scores` are outcomes (what candidates really achieved), `logits` and `probabilities` are a router's, and
both are [instruction, candidate]. NaN in `scores` means that there is no outcome; such a pair is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

Array = NDArray[np.floating]
Index = NDArray[np.intp]
ECE_BINS = 15


def auc(scores: Array, logits: Array) -> float:
    """AUC (area under the ROC curve) over all (instruction, candidate) pairs.

    The probability that a solved pair ranks above a failed one. A pair is solved from a score of 0.5 on; ties in
    logits count one half.

    Args:
        scores: Any shape.
        logits: The same shape.

    Returns:
        From 0 to 1; NaN if all pairs are solved or all are failed.
    """
    known = ~np.isnan(scores)
    solved = scores[known] >= 0.5
    if not len(solved) or solved.all() or not solved.any():
        return float("nan")
    return float(roc_auc_score(solved, logits[known]))


def within_candidate_auc(scores: Array, logits: Array) -> float:
    """Mean over candidates of each one's own AUC (wAUC): does the router know which instructions are hard?

    Returns:
        From 0 to 1; candidates that solve or fail everything are left out; NaN if none remains.
    """
    each = [auc(scores[:, column], logits[:, column]) for column in range(scores.shape[1])]
    defined = [value for value in each if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")


def expected_calibration_error(scores: Array, probabilities: Array, bins: int = ECE_BINS) -> float:
    """ECE: mean gap between probability and mean score over equal-mass bins, weighted by their size.

    The bins hold equally many pairs each (also called adaptive ECE), not equal widths of probability.
    """
    known = ~np.isnan(scores)
    score, probability = scores[known].astype(np.float64), probabilities[known].astype(np.float64)
    if not len(score):
        return float("nan")
    order = np.argsort(probability, kind="stable")
    gaps = [
        abs(probability[part].mean() - score[part].mean()) * len(part)
        for part in np.array_split(order, min(bins, len(order)))
    ]
    return float(np.sum(gaps) / len(score))


def achieved(scores: Array, chosen: Index) -> NDArray[np.float64]:
    """Score of the chosen candidate per instruction, [instruction]; its mean is the routing accuracy."""
    picked: NDArray[np.float64] = scores[np.arange(len(scores)), chosen].astype(np.float64)
    return picked


def best_single(tuning_scores: Array) -> int:
    """The best single model: the candidate with the highest mean score on tuning data, never on test data."""
    return int(np.nanmean(tuning_scores.astype(np.float64), axis=0).argmax())


def gap_closed(routed: float, single: float, best_possible: float) -> float:
    """Share of the way from the best single model to the oracle; NaN if the two are equal."""
    distance = best_possible - single
    return float((routed - single) / distance) if distance > 0 else float("nan")


def selection_entropy(chosen: Index, candidates: int) -> float:
    """Entropy of the choices over its maximum: 0 (always one candidate) to 1 (all equally often)."""
    if candidates < 2:
        return 0.0
    share = np.bincount(chosen, minlength=candidates) / len(chosen)
    share = share[share > 0]
    return float(max(0.0, -(share * np.log(share)).sum() / np.log(candidates)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One setting of a method.

    Attributes:
        setting: The setting.
        cost: Mean money per instruction.
        quality: Mean score.
        strongest_rate: Share sent to the strongest candidate.
    """

    setting: str
    cost: float
    quality: float
    strongest_rate: float


def hull(points: Sequence[Point]) -> list[Point]:
    """Upper concave, non-decreasing hull: the settings that no mix of two others beats, cheapest first."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.quality)):
        if kept and point.quality <= kept[-1].quality:
            continue
        while len(kept) > 1 and _slope(kept[-2], kept[-1]) <= _slope(kept[-2], point):
            kept.pop()
        kept.append(point)
    return kept


def aiq(points: Sequence[Point], *, cheapest: float, most_expensive: float) -> float:
    """Average improvement in quality (RouterBench): mean height of the hull between two costs.

    Args:
        points: Settings of a method.
        cheapest: Cost of the cheapest candidate.
        most_expensive: Cost of the most expensive candidate.

    Returns:
        A quality; NaN if all candidates cost the same.
    """
    if not most_expensive > cheapest:
        return float("nan")
    edge = hull(points)
    costs, qualities = [point.cost for point in edge], [point.quality for point in edge]
    inner = [cost for cost in costs if cheapest < cost < most_expensive]
    grid = np.array([cheapest, *inner, most_expensive])
    heights = np.interp(grid, costs, qualities)
    return float(np.trapezoid(heights, grid) / (most_expensive - cheapest))


def cheapest_at(points: Sequence[Point], quality: float) -> Point | None:
    """The cheapest mix of two settings that reaches a quality; None if none does."""
    edge = hull(points)
    for before, after in zip([edge[0], *edge], edge, strict=False):
        if after.quality >= quality:
            rise = after.quality - before.quality
            share = (quality - before.quality) / rise if rise > 0 and quality > before.quality else 0.0
            if before is after or share == 0.0:
                return before if before.quality >= quality else after
            return Point(
                setting=f"{before.setting} and {after.setting}",
                cost=before.cost + share * (after.cost - before.cost),
                quality=quality,
                strongest_rate=before.strongest_rate + share * (after.strongest_rate - before.strongest_rate),
            )
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """Share of the gap between a weak and a strong candidate recovered as more calls go to the strong one (RouteLLM).

    Attributes:
        apgr: Mean share of the gap over all shares of calls; 0.5 for mixing at random.
        cpt50: Least share of strong calls that recovers half of the gap.
        cpt80: Least share of strong calls that recovers 80% of it.
    """

    apgr: float
    cpt50: float
    cpt80: float


def gap_recovered(
    strong: NDArray[np.float64], weak: NDArray[np.float64], preference: NDArray[np.float64]
) -> Recovered:
    """Send more and more instructions to the strong candidate, first those with the highest preference.

    Args:
        strong: [instruction] scores.
        weak: [instruction] scores.
        preference: [instruction]; how much the router prefers the strong one. Among equals the order is random,
            and measured by its expectation.

    Returns:
        All NaN if the strong candidate is no better than the weak one here.
    """
    gains = strong - weak
    if gains.sum() <= 0:
        return Recovered(apgr=float("nan"), cpt50=float("nan"), cpt80=float("nan"))
    _, group = np.unique(-preference, return_inverse=True)
    mean_gain = np.bincount(group, weights=gains) / np.bincount(group)
    ordered = mean_gain[np.sort(group)]
    recovered = np.concatenate([[0.0], np.cumsum(ordered)]) / gains.sum()
    shares = np.linspace(0.0, 1.0, len(recovered))
    return Recovered(
        apgr=float(np.trapezoid(recovered, shares)),
        cpt50=float(shares[np.argmax(recovered >= 0.5 - 1e-12)]),
        cpt80=float(shares[np.argmax(recovered >= 0.8 - 1e-12)]),
    )


def _slope(first: Point, second: Point) -> float:
    rise, run = second.quality - first.quality, second.cost - first.cost
    return rise / run if run > 0 else float("inf")
