"""Release stream (paper: Figure 5): models arrive by date, the zoo is the five best so far and the newest.

The router is frozen: tuned on outcomes of models released up to a cutoff, with an exam chosen on those models.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from modelsat.bench.evaluation_set import EvaluationSet
from modelsat.bench.methods import MODEL_SAT, ORACLE, RANDOM, Method, choose_with
from modelsat.bench.reporting.numbers import count, percent, whole_percent
from modelsat.bench.reporting.plots import BASELINE, INK, OTHER, OWN, Plot, draw, label_lines, percent_scale
from modelsat.bench.reporting.rows import BEST_SINGLE, grouped, number, role
from modelsat.bench.reporting.views import View
from modelsat.bench.reporting.words import Finding, by_value
from modelsat.bench.results import BenchmarkResult, Cell, Row, Table
from modelsat.bench.run import BenchmarkRun
from modelsat.bench.section import Column, Section, TableSpec
from modelsat.records.side_tables import ModelFacts
from modelsat.statistics import PairedBootstrap
from modelsat.types import CapabilityProfile

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEST = 5


def means(rows: Sequence[Row]) -> dict[str, float]:
    """Each method's mean accuracy over the arrivals of one group's stream."""
    return {
        method: sum(number(row, "accuracy") for row in steps) / len(steps)
        for method, steps in grouped(rows, "method").items()
    }


def _strongest(rows: Sequence[Row], *, without: str = "") -> str:
    """The baseline with the highest mean; empty if there is none."""
    known = means([row for row in rows if role(row) == "baseline" and row["method"] != without])
    return max(known, key=lambda method: known[method], default="")


def _summarised(rows: list[Row]) -> list[Row]:
    kept = []
    for here in grouped(rows, "group").values():
        kept += [row for row in here if row["method"] in (MODEL_SAT, BEST_SINGLE, _strongest(here))]
    return kept


TABLE = TableSpec(
    name="stream",
    title="Models arrive, the router stays as it is",
    columns=(
        Column("group"),
        Column("step", count),
        Column("date"),
        Column("arrived"),
        Column("method"),
        Column("accuracy", percent, bounds=("low", "high")),
    ),
    summarise=_summarised,
)


def arrivals(
    candidates: Sequence[str], facts: Mapping[str, ModelFacts], cutoff: str
) -> list[tuple[str, str]]:
    """Candidates released after the cutoff with their month, in the order of their release."""
    dated = [(facts[name].released, name) for name in candidates if name in facts]
    return [(name, date) for date, name in sorted(dated) if date > cutoff]


def zoo_at(arrived: Sequence[CapabilityProfile], newest: CapabilityProfile) -> tuple[str, ...]:
    """The five that did best in the exam so far, and the newest."""
    best = sorted(arrived, key=lambda card: (-card.level, card.candidate))[:BEST]
    return (*(card.candidate for card in best), newest.candidate)


def compute(run: BenchmarkRun) -> Iterator[Table]:
    """All streams of a run, if its data has any."""
    if run.streams:
        streams = {group: (routed, run.methods(routed)) for group, routed in run.streams.items()}
        yield stream_table(streams, run.facts, cutoffs=run.cutoffs, seed=run.seed)


def stream_table(
    streams: Mapping[str, tuple[EvaluationSet, Sequence[Method]]],
    facts: Mapping[str, ModelFacts],
    *,
    cutoffs: Mapping[str, str],
    seed: int,
) -> Table:
    """Accuracy of every method after each arrival.

    Args:
        streams: Set and methods by group of models that share instructions; Model-SAT there is tuned up to the cutoff.
        facts: Release dates.
        cutoffs: By group.
        seed: Of the bootstrap.
    """
    rows: list[tuple[Cell, ...]] = []
    described = []
    for group, (routed, methods) in streams.items():
        coming = arrivals(routed.table.candidates, facts, cutoffs[group])
        rows += _group_rows(group, routed, methods, facts, coming, seed=seed)
        described.append(
            f"{group}: cutoff {cutoffs[group]}, {len(routed.seen)} candidates before, {len(coming)} arrivals, "
            f"{len(routed.widest)} instructions"
        )
    return TABLE.table(
        rows,
        "Zoo: the five best in the exam so far and the newest. Model-SAT is frozen: exam attention on sentence "
        "embeddings (no backbone: tuning that for every cutoff would take hours), tuned on candidates released up to "
        "the cutoff, its exam chosen on them. Methods that know names have all tuning outcomes of every arrival. "
        f"{'; '.join(described)}.",
    )


def _group_rows(
    group: str,
    routed: EvaluationSet,
    methods: Sequence[Method],
    facts: Mapping[str, ModelFacts],
    coming: Sequence[tuple[str, str]],
    *,
    seed: int,
) -> list[tuple[Cell, ...]]:
    at = routed.widest
    cards = {card.candidate: card for card in routed.profiles}
    arriving = {name for name, _ in coming}
    arrived = [card for name, card in cards.items() if name not in arriving and facts.get(name)]
    means_on_tuning = np.nanmean(routed.tuning.scores, axis=0).tolist()
    tuning = dict(zip(routed.tuning.candidates, means_on_tuning, strict=True))
    bootstrap = PairedBootstrap(len(at), rng=np.random.default_rng(seed))
    rows: list[tuple[Cell, ...]] = []
    for step, (name, date) in enumerate(coming, start=1):
        members = zoo_at(arrived, cards[name])
        arrived.append(cards[name])
        strongest = routed.table.candidates.index(max(members, key=lambda member: tuning[member]))
        achieved = [
            choose_with(method, routed, at, members, strongest=strongest).achieved for method in methods
        ]
        intervals = bootstrap.intervals(np.stack(achieved, axis=1))
        rows += [
            (group, step, date, name, method.name, interval.mean, interval.low, interval.high)
            for method, interval in zip(methods, intervals, strict=True)
        ]
    return rows


def findings(result: BenchmarkResult) -> Iterator[Finding]:
    """Means over arrivals, beside the strongest baseline."""
    for group, rows in grouped(result.records("stream"), "group").items():
        known, best = means(rows), _strongest(rows)
        if MODEL_SAT in known and best:
            what = f"Accuracy over the release stream of {group}, mean over arrivals"
            yield by_value(known[MODEL_SAT], known[best], what, best, percent)


def views(result: BenchmarkResult) -> Iterator[View]:
    """Mean over arrivals, first and last step of each method."""
    shown: list[tuple[str, ...]] = []
    accuracy = TABLE.columns[-1]
    for group, here in grouped(result.records("stream"), "group").items():
        known = means(here)
        for method, steps in grouped(here, "method").items():
            ends = (accuracy.write(row) for row in (steps[0], steps[-1]))
            shown.append((group, method, percent(known[method]), *ends))
    if shown:
        yield View(
            title="Over the release stream, by method",
            note="Mean over all arrivals, and the accuracy after the first and the last one with its 95% interval.",
            headings=("group", "method", "mean accuracy", "first", "last"),
            numeric=frozenset({2, 3, 4}),
            rows=tuple(shown),
            marked=frozenset(place for place, row in enumerate(shown) if row[1] == MODEL_SAT),
        )


def plots(result: BenchmarkResult) -> Iterator[Plot]:
    """Accuracy after each arrival, one plot per group of candidates."""
    for group, rows in grouped(result.records("stream"), "group").items():
        if MODEL_SAT in means(rows) and _strongest(rows):
            yield _lines(group, rows)


def _lines(group: str, rows: Sequence[Row]) -> Plot:
    known, best = means(rows), _strongest(rows, without=BEST_SINGLE)
    arrivals = {number(row, "step"): str(row["arrived"]) for row in rows}
    looks = {MODEL_SAT: (OWN, 3.0), best: (BASELINE, 2.4), BEST_SINGLE: (INK, 1.8)}

    def paint(axes: "Axes") -> None:
        for method, steps in grouped(rows, "method").items():
            # Far above and below, the oracle and a blind choice would press all other lines into one.
            if role(steps[0]) not in ("own", "baseline") or method == RANDOM:
                continue
            places = [number(row, "step") for row in steps]
            low, middle, high = (
                [100 * number(row, name) for row in steps] for name in ("low", "accuracy", "high")
            )
            colour, width = looks.get(method, (OTHER, 1.0))
            label = method if method in looks else None
            axes.plot(places, middle, color=colour, linewidth=width, label=label, zorder=1 + width)
            if method == MODEL_SAT:
                axes.fill_between(places, low, high, color=OWN, alpha=0.13, linewidth=0)
        axes.set_xticks(
            sorted(arrivals),
            [arrivals[step] for step in sorted(arrivals)],
            rotation=40 if len(arrivals) <= 10 else 90,
            ha="right",
            rotation_mode="anchor",
            fontsize=9,
        )
        percent_scale(axes.yaxis)
        axes.grid(axis="y")
        label_lines(axes)

    listed = ", ".join(
        f"{method} {whole_percent(known[method])}"
        for method in (MODEL_SAT, best, RANDOM, ORACLE)
        if method in known
    )
    return draw(
        paint,
        title=f"Accuracy as models of {group} arrive, the router frozen before the first",
        caption="After each arrival, in the zoo of the five best so far and the newest, with Model-SAT's 95% interval; "
        f"grey: other baselines. Means over arrivals: {listed}",
        height=3.4,
        name=f"stream-{group}",
        table="stream",
    )


SECTION = Section(
    name="stream",
    order=50,
    heading="Models that arrive",
    reading="The router was tuned on models and outcomes from before the first arrival and stays as it is; every new "
    "model only sits the exam. Intervals are of each accuracy, not of the difference between two.",
    tables=(TABLE,),
    compute=compute,
    findings=findings,
    views=views,
    plots=plots,
    needs_torch=True,
)
