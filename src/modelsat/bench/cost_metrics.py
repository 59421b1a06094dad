"""Metrics of quality for money, by their published names: AIQ (RouterBench), APGR and CPT (RouteLLM); pure numpy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One setting of a method.

    Attributes:
        setting: What was set.
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


def aiq(points: Sequence[Point], *, cheapest: float, dearest: float) -> float:
    """Average improvement in quality: mean height of the hull between two costs.

    Args:
        points: Settings of a method.
        cheapest: Cost of the cheapest candidate.
        dearest: Cost of the dearest candidate.

    Returns:
        A quality; NaN where all candidates cost the same.
    """
    if not dearest > cheapest:
        return float("nan")
    edge = hull(points)
    costs, qualities = [point.cost for point in edge], [point.quality for point in edge]
    inner = [cost for cost in costs if cheapest < cost < dearest]
    grid = np.array([cheapest, *inner, dearest])
    heights = np.interp(grid, costs, qualities)
    return float(np.trapezoid(heights, grid) / (dearest - cheapest))


def cheapest_at(points: Sequence[Point], quality: float) -> Point | None:
    """The cheapest mix of two settings that reaches a quality; None where none does."""
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
    """How much of the gap between a weak and a strong candidate is recovered as more calls go to the strong one.

    Attributes:
        apgr: Mean share of the gap over all shares of calls; 0.5 for mixing at random.
        cpt50: Least share of strong calls that recovers half of the gap.
        cpt80: Least share of strong calls that recovers 80% of it.
    """

    apgr: float
    cpt50: float
    cpt80: float


def gap_recovered(strong: Array, weak: Array, preference: Array) -> Recovered:
    """Send more and more instructions to the strong candidate, those first that prefer it most.

    Args:
        strong: [instruction]; its scores.
        weak: [instruction]; the weak one's.
        preference: [instruction]; how much the router prefers the strong one. Among equals the order is random,
            and measured by its expectation.

    Returns:
        All NaN where the strong candidate is no better than the weak one here.
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
