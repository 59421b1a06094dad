"""Quality for money: every method's curve as money is given more or less weight, in each zoo."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelsat.bench.choosing import best_single, select
from modelsat.bench.controls import LEVEL_KEPT, SHUFFLED
from modelsat.bench.cost_metrics import Point, Recovered, aiq, cheapest_at, gap_recovered, hull
from modelsat.bench.methods import MODEL_SAT, Method
from modelsat.bench.prices import PriceTable
from modelsat.bench.results import Cell, Table
from modelsat.bench.zoos import Contest
from modelsat.routing.policy import RoutingPolicy, rank
from modelsat.types import column_index

STATIC_MIX = "static mix"
ONE_CANDIDATE = "one candidate"
# Methods whose whole curve is shown; the others are summed up.
CURVES = (MODEL_SAT, "kNN", "exam-only kNN")
_SETTINGS = 32
_PER = 1_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Market:
    """One zoo with its prices, on the widest part.

    Attributes:
        members: Its candidates.
        truth: [instruction, member].
        prices: [instruction, member]; expected money per answer.
        tuning: [member]; mean score on tuning outcomes.
        strongest: Position of the best on tuning outcomes.
    """

    members: tuple[str, ...]
    truth: NDArray[np.float64]
    prices: NDArray[np.float64]
    tuning: NDArray[np.float64]
    strongest: int

    def point(self, setting: str, chosen: NDArray[np.intp]) -> Point:
        rows = np.arange(len(chosen))
        return Point(
            setting=setting,
            cost=float(self.prices[rows, chosen].mean()),
            quality=float(self.truth[rows, chosen].mean()),
            strongest_rate=float((chosen == self.strongest).mean()),
        )

    def always(self, member: int) -> Point:
        return self.point(self.members[member], np.full(len(self.truth), member))


def cost_tables(contest: Contest, prices: PriceTable) -> list[Table]:
    """Cost-quality curves and what they come to.

    Args:
        contest: The core arena with its methods.
        prices: Of the candidates; a zoo with an unpriced one is left out.
    """
    curves: list[tuple[Cell, ...]] = []
    sums: list[tuple[Cell, ...]] = []
    unpriced = []
    for zoo in contest.arena.held_out.zoos:
        market = _market(contest, zoo, prices)
        if np.isnan(market.prices).any():
            unpriced.append(zoo)
            continue
        points = {ONE_CANDIDATE: [market.always(at) for at in range(len(market.members))]}
        points[STATIC_MIX] = _static_mix(market)
        recovered = {STATIC_MIX: _mixed_at_random(market)}
        for method in contest.methods:
            if method.rule == "best score" and method.name not in (SHUFFLED, LEVEL_KEPT):
                points[method.name], recovered[method.name] = _swept(contest, method, zoo, market)
        for name in (ONE_CANDIDATE, STATIC_MIX, *CURVES):
            curves += [
                (zoo, name, point.setting, _PER * point.cost, point.quality) for point in points.get(name, [])
            ]
        sums += [(zoo, name, *_summary(market, points[name], recovered[name])) for name in recovered]
    source = f"Prices of {prices.date} in {prices.currency}; input by length of the text, output by the mean answer."
    left_out = f" Left out for want of prices: {', '.join(unpriced)}." if unpriced else ""
    return [
        Table.of(
            "cost_quality",
            "Quality for money",
            f"Cost: {prices.currency} per {_PER:,} instructions. {source} Settings: worth of a solved instruction, in "
            f"money, under the policy value; best ignores money.{left_out}",
            curves,
        ),
        Table.of(
            "cost",
            "What the curves come to",
            "AIQ: mean height of the curve between the cheapest and the dearest candidate. APGR, CPT: two candidates, "
            "the strongest on tuning outcomes and the cheapest; mean share of their gap recovered, and share of strong "
            "calls that recovers 50% and 80%. Saved: against always asking the strongest, at its quality; "
            f"strongest_rate there. Settings are read off the curve with hindsight. {source}{left_out}",
            sums,
        ),
    ]


def _market(contest: Contest, zoo: str, prices: PriceTable) -> _Market:
    held_out, rows = contest.arena.held_out, contest.arena.widest
    members = held_out.zoos[zoo]
    columns = column_index(held_out.table.candidates, members)
    lengths = [held_out.profiles[column].mean_output_tokens for column in columns]
    return _Market(
        members=members,
        truth=held_out.table.scores[np.ix_(rows, columns)].astype(np.float64),
        prices=prices.expected(
            [held_out.table.instructions[row] for row in rows],
            members,
            [np.nan if length is None else length for length in lengths],
        ),
        tuning=np.nanmean(held_out.tuning.scores[:, columns].astype(np.float64), axis=0),
        strongest=int(np.flatnonzero(columns == best_single(held_out, zoo))[0]),
    )


def _static_mix(market: _Market) -> list[Point]:
    """The candidates that a mix fixed beforehand would use: the hull on tuning outcomes, measured here."""
    known = [
        Point(setting=str(at), cost=float(cost), quality=float(quality), strongest_rate=0.0)
        for at, (cost, quality) in enumerate(zip(market.prices.mean(axis=0), market.tuning, strict=True))
    ]
    return [market.always(int(point.setting)) for point in hull(known)]


def _swept(
    contest: Contest, method: Method, zoo: str, market: _Market
) -> tuple[list[Point], Recovered | None]:
    held_out, rows = contest.arena.held_out, contest.arena.widest
    columns = column_index(held_out.table.candidates, held_out.zoos[zoo])
    scores = select(method.scores[0], rows, columns)
    costs = market.prices.mean(axis=0)
    # From where the cheapest is always worth its price to where a difference of 1% is worth the dearest.
    worths = [
        0.0,
        *np.geomspace(max(float(costs.min()), 1e-9), 100 * max(float(costs.max()), 1e-9), _SETTINGS),
    ]
    policies = [RoutingPolicy(kind="value", amount=float(f"{worth:.3g}")) for worth in worths]
    points: list[Point] = []
    for policy in (*policies, RoutingPolicy()):
        point = market.point(str(policy), rank(scores, policy, prices=market.prices)[:, 0])
        # Many worths choose alike; one of them says it all.
        if policy.kind == "best" or not points or _differ(point, points[-1]):
            points.append(point)
    weak = int(costs.argmin())
    if weak == market.strongest:
        return points, None
    probabilities = scores.probabilities.astype(np.float64)
    return points, gap_recovered(
        market.truth[:, market.strongest],
        market.truth[:, weak],
        probabilities[:, market.strongest] - probabilities[:, weak],
    )


def _differ(first: Point, second: Point) -> bool:
    return (first.cost, first.quality) != (second.cost, second.quality)


def _mixed_at_random(market: _Market) -> Recovered | None:
    weak = int(market.prices.mean(axis=0).argmin())
    if weak == market.strongest:
        return None
    return gap_recovered(
        market.truth[:, market.strongest], market.truth[:, weak], np.zeros(len(market.truth))
    )


def _summary(market: _Market, points: Sequence[Point], recovered: Recovered | None) -> tuple[Cell, ...]:
    costs = market.prices.mean(axis=0)
    strongest = market.always(market.strongest)
    reached = cheapest_at(points, strongest.quality)
    return (
        aiq(points, cheapest=float(costs.min()), dearest=float(costs.max())),
        *((recovered.apgr, recovered.cpt50, recovered.cpt80) if recovered else (None, None, None)),
        None if reached is None else 1 - reached.cost / strongest.cost,
        None if reached is None else reached.strongest_rate,
    )
