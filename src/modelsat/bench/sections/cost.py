"""Quality for money: every method's curve as money gets more or less weight, in each zoo."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelsat.bench.controls import LEVEL_KEPT, SHUFFLED
from modelsat.bench.evaluation_set import EvaluationSet
from modelsat.bench.methods import MODEL_SAT, Method, select
from modelsat.bench.metrics import Point, Recovered, aiq, cheapest_at, gap_recovered, hull
from modelsat.bench.prices import PriceTable
from modelsat.bench.reporting.numbers import count, percent, three_decimals, three_figures, whole_percent
from modelsat.bench.reporting.plots import (
    BASELINE,
    INK,
    MUTED,
    OTHER,
    OWN,
    Plot,
    draw,
    label_lines,
    log_scale,
    percent_scale,
)
from modelsat.bench.reporting.rows import among, grouped, number, own_row, strongest_baseline
from modelsat.bench.reporting.words import Finding, best_of, listed
from modelsat.bench.results import BenchmarkResult, Cell, Row, Table
from modelsat.bench.run import BenchmarkRun
from modelsat.bench.section import Column, Section, TableSpec
from modelsat.routing.policy import RoutingPolicy, rank

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STATIC_MIX = "static mix"
ONE_CANDIDATE = "one candidate"
# Methods whose whole curve is shown; the others are summed up.
CURVES = (MODEL_SAT, "kNN", "exam-only kNN")
_SETTINGS = 32
_PER = 1_000
# Costs that span more than this are drawn on a logarithmic scale.
_WIDE = 8

SUMS = TableSpec(
    name="cost",
    title="Summary of the cost-quality curves",
    columns=(
        Column("zoo"),
        Column("method"),
        Column("aiq", three_decimals, "AIQ"),
        Column("apgr", three_decimals, "APGR"),
        Column("cpt50", percent, "CPT(50%)"),
        Column("cpt80", percent, "CPT(80%)"),
        Column("saved", percent, "cost saved"),
        Column("strongest_rate", whole_percent, "to the strongest"),
    ),
)
CURVE = TableSpec(
    name="cost_quality",
    title="Quality for money",
    columns=(
        Column("zoo"),
        Column("method"),
        Column("setting"),
        Column("cost", three_figures, "cost per 1,000"),
        Column("quality", percent),
    ),
    only_plotted=True,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Market:
    """One zoo with its prices, on the widest part.

    Attributes:
        members: Its candidates.
        columns: Their columns in the set's table.
        truth: [instruction, member].
        prices: [instruction, member]; expected money per answer.
        tuning: [member]; mean score on tuning outcomes.
        strongest: Position of the best on tuning outcomes.
    """

    members: tuple[str, ...]
    columns: NDArray[np.intp]
    truth: NDArray[np.float64]
    prices: NDArray[np.float64]
    tuning: NDArray[np.float64]
    strongest: int

    @property
    def costs(self) -> NDArray[np.float64]:
        """[member]; mean money per answer."""
        mean: NDArray[np.float64] = self.prices.mean(axis=0)
        return mean

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

    def recovered(self, preference: NDArray[np.float64]) -> Recovered | None:
        """Gap between the cheapest and the strongest that is recovered; None if they are the same."""
        weak = int(self.costs.argmin())
        if weak == self.strongest:
            return None
        difference = preference[:, self.strongest] - preference[:, weak]
        return gap_recovered(self.truth[:, self.strongest], self.truth[:, weak], difference)


def compute(run: BenchmarkRun) -> Iterator[Table]:
    """Cost and quality of every method on the core set."""
    yield from cost_tables(run.core, run.methods(run.core), run.prices)


def cost_tables(routed: EvaluationSet, methods: Sequence[Method], prices: PriceTable) -> tuple[Table, Table]:
    """Cost-quality curves and their summary.

    Args:
        routed: The evaluation set.
        methods: Its methods.
        prices: Of the candidates; a zoo with an unpriced one is left out.
    """
    curves: list[tuple[Cell, ...]] = []
    sums: list[tuple[Cell, ...]] = []
    unpriced = []
    for zoo in routed.zoos:
        market = _market(routed, zoo, prices)
        if np.isnan(market.prices).any():
            unpriced.append(zoo)
            continue
        points = {ONE_CANDIDATE: [market.always(at) for at in range(len(market.members))]}
        points[STATIC_MIX] = _static_mix(market)
        recovered = {STATIC_MIX: market.recovered(np.zeros_like(market.truth))}
        for method in methods:
            if method.rule == "best score" and method.name not in (SHUFFLED, LEVEL_KEPT):
                points[method.name], recovered[method.name] = _swept(routed, method, market)
        for name in (ONE_CANDIDATE, STATIC_MIX, *CURVES):
            curves += [
                (zoo, name, point.setting, _PER * point.cost, point.quality) for point in points.get(name, [])
            ]
        sums += [(zoo, name, *_summary(market, points[name], recovered[name])) for name in recovered]
    source = f"Prices of {prices.date} in {prices.currency}; input by length of the text, output by the mean answer."
    left_out = f" Left out because of missing prices: {', '.join(unpriced)}." if unpriced else ""
    return (
        CURVE.table(
            curves,
            f"Cost: {prices.currency} per {_PER:,} instructions. {source} Settings: worth of a solved instruction, in "
            f"money, under the policy value; best ignores money.{left_out}",
        ),
        SUMS.table(
            sums,
            "AIQ: mean height of the curve between the cheapest and the most expensive candidate. APGR, CPT: two "
            "candidates, the strongest on tuning outcomes and the cheapest; mean share of their gap recovered, and "
            "share of strong calls that recovers 50% and 80%. Saved: against always asking the strongest, at its "
            f"quality; strongest_rate there. Settings are read off the curve with hindsight. {source}{left_out}",
        ),
    )


def _market(routed: EvaluationSet, zoo: str, prices: PriceTable) -> _Market:
    rows, members, columns = routed.widest, routed.zoos[zoo], routed.columns(routed.zoos[zoo])
    tuning = routed.tuning.scores[:, columns].astype(np.float64)
    return _Market(
        members=members,
        columns=columns,
        truth=routed.table.scores[np.ix_(rows, columns)].astype(np.float64),
        prices=prices.expected(
            [routed.table.instructions[row] for row in rows],
            members,
            [routed.profiles[column].mean_output_tokens for column in columns],
        ),
        tuning=np.nanmean(tuning, axis=0) if len(tuning) else np.zeros(len(members)),
        strongest=int(np.flatnonzero(columns == routed.best_single(zoo))[0]),
    )


def _static_mix(market: _Market) -> list[Point]:
    """The candidates that a mix fixed beforehand would use: the hull on tuning outcomes, measured here."""
    known = [
        Point(setting=str(at), cost=float(cost), quality=float(quality), strongest_rate=0.0)
        for at, (cost, quality) in enumerate(zip(market.costs, market.tuning, strict=True))
    ]
    return [market.always(int(point.setting)) for point in hull(known)]


def _swept(routed: EvaluationSet, method: Method, market: _Market) -> tuple[list[Point], Recovered | None]:
    scores = select(method.scores[0], routed.widest, market.columns)
    costs = market.costs
    # From where the cheapest is always worth its price to where a difference of 1% is worth the most expensive.
    least, most = (max(float(cost), 1e-9) for cost in (costs.min(), costs.max()))
    worths = [0.0, *np.geomspace(least, 100 * most, _SETTINGS)]
    policies = [RoutingPolicy(kind="value", amount=float(f"{worth:.3g}")) for worth in worths]
    points: list[Point] = []
    for policy in (*policies, RoutingPolicy()):
        point = market.point(str(policy), rank(scores, policy, prices=market.prices)[:, 0])
        # Of the many worths that choose alike, one is kept.
        same = points and (point.cost, point.quality) == (points[-1].cost, points[-1].quality)
        if policy.kind == "best" or not same:
            points.append(point)
    return points, market.recovered(scores.probabilities.astype(np.float64))


def _summary(market: _Market, points: Sequence[Point], recovered: Recovered | None) -> tuple[Cell, ...]:
    costs, strongest = market.costs, market.always(market.strongest)
    reached = cheapest_at(points, strongest.quality)
    return (
        aiq(points, cheapest=float(costs.min()), most_expensive=float(costs.max())),
        *((recovered.apgr, recovered.cpt50, recovered.cpt80) if recovered else (None, None, None)),
        None if reached is None else 1 - reached.cost / strongest.cost,
        None if reached is None else reached.strongest_rate,
    )


def findings(result: BenchmarkResult) -> Iterator[Finding]:
    """Quality over all budgets, and cost saved; without intervals."""
    saving, never = [], []
    for zoo, rows in grouped(result.records("cost"), "zoo").items():
        yield from best_of(rows, "aiq", f"Quality over all budgets (AIQ) {among(zoo)}", three_decimals)
        own = own_row(rows)
        if own is not None and own["saved"] is not None:
            saving.append(f"{whole_percent(number(own, 'saved'))} {among(zoo)}")
        elif own is not None:
            never.append(among(zoo))
    if saving:
        hindsight = "settings read off with hindsight, no interval"
        yield Finding(
            "fact", f"Cost saved at the quality of the strongest candidate ({hindsight}): {listed(saving)}."
        )
    if never:
        yield Finding(
            "fact",
            f"No setting reaches the strongest candidate's quality at a lower cost {listed(never)}.",
        )


def plots(result: BenchmarkResult) -> Iterator[Plot]:
    """Quality by cost, one plot per zoo with prices."""
    sums = grouped(result.records("cost"), "zoo")
    for zoo, rows in grouped(result.records("cost_quality"), "zoo").items():
        if own_row(rows) is not None:
            yield _curves(zoo, rows, sums.get(zoo, []))


def _curves(zoo: str, rows: Sequence[Row], sums: Sequence[Row]) -> Plot:
    own, best = own_row(sums), strongest_baseline(sums, "aiq")
    looks = {MODEL_SAT: (OWN, 3.0), STATIC_MIX: (INK, 1.6)}
    if best is not None:
        looks[str(best["method"])] = (BASELINE, 2.2)
    costs = [number(row, "cost") for row in rows]
    wide = min(costs) > 0 and max(costs) / min(costs) > _WIDE

    def paint(axes: "Axes") -> None:
        for method, line in grouped(rows, "method").items():
            points = sorted((number(row, "cost"), 100 * number(row, "quality")) for row in line)
            if method == ONE_CANDIDATE:
                axes.plot(*zip(*points, strict=True), "o", color=OTHER, markersize=4.5)
                continue
            colour, width = looks.get(method, (OTHER, 1.1))
            axes.plot(
                *zip(*points, strict=True),
                color=colour,
                linewidth=width,
                linestyle=(0, (4, 2)) if method == STATIC_MIX else "-",
                label=method if method in looks else None,
            )
        if wide:
            log_scale(axes, "x", costs)
        mix = max(
            (row for row in rows if row["method"] == STATIC_MIX),
            key=lambda row: number(row, "cost"),
            default=None,
        )
        if mix is not None:
            # The most expensive mix is the strongest candidate alone.
            axes.axhline(100 * number(mix, "quality"), color=MUTED, linewidth=1.2, linestyle=(0, (1.2, 2)))
        percent_scale(axes.yaxis)
        axes.grid(axis="y")
        axes.set_xlabel(f"cost per {count(_PER)} instructions{', logarithmic' if wide else ''}")
        label_lines(axes)

    saved = (
        "reached at no lower cost"
        if own is None or own["saved"] is None
        else (f"reached at {whole_percent(number(own, 'saved'))} less cost")
    )
    return draw(
        paint,
        title=f"Quality by cost {among(zoo)}",
        caption="Share of instructions answered right, by cost; points: single candidates; dotted: the strongest one "
        f"alone, its quality {saved} here, with the setting chosen in hindsight and no interval",
        height=3.2,
        name=f"cost-{zoo}",
        table="cost_quality",
    )


SECTION = Section(
    name="cost",
    order=70,
    heading="Money",
    reading="AIQ: mean quality over all budgets; APGR: share of the strongest candidate's advantage that is recovered, "
    "on average over call rates; CPT(x%): share of calls that must go to the strongest for x% of its advantage, less "
    "is better; cost saved: at the quality of the strongest candidate. Costs are per 1,000 instructions.",
    tables=(SUMS, CURVE),
    compute=compute,
    findings=findings,
    plots=plots,
)
