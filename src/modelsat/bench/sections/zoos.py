"""The main table: every method in every zoo, paired against the best single candidate and against Model-SAT."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelsat.bench import metrics
from modelsat.bench.evaluation_set import EvaluationSet
from modelsat.bench.methods import MODEL_SAT, ORACLE, RANDOM, Chosen, Method, choose_with
from modelsat.bench.reporting.numbers import (
    UNDEFINED,
    count,
    percent,
    points,
    two_decimals,
    unsigned_points,
    whole_percent,
)
from modelsat.bench.reporting.plots import BASELINE, INK, OTHER, OWN, Plot, draw
from modelsat.bench.reporting.rows import (
    BEST_SINGLE,
    among,
    averaged_zoos,
    baselines_in,
    distinct,
    headline_part,
    headline_zoo_rows,
    number,
    own_row,
    part_name,
    role,
    strongest_baseline,
    zoo_places,
    zoo_rows,
)
from modelsat.bench.reporting.views import View
from modelsat.bench.reporting.words import Finding, judged, lead_over, listed, with_interval
from modelsat.bench.results import MEAN_ZOO, BenchmarkResult, Cell, Row, Table
from modelsat.bench.run import BenchmarkRun
from modelsat.bench.section import Column, Section, TableSpec
from modelsat.statistics import PairedBootstrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A title names at most so many zoos.
_NAMED_ZOOS = 2


def _summarised(rows: list[Row]) -> list[Row]:
    """The mean over zoos, and in every zoo the methods that sentences and short tables are about."""
    part = headline_part(rows)
    averaged = {row["zoo"] for row in rows if row["part"] == part}
    beside: dict[tuple[Cell, Cell], list[Row]] = {}
    for row in rows:
        beside.setdefault((row["zoo"], row["part"]), []).append(row)

    def kept(row: Row) -> bool:
        mean, headline = row["zoo"] == MEAN_ZOO, row["part"] == part
        if (mean or len(averaged) == 1) and headline:
            return True
        return (mean or headline or row["zoo"] not in averaged) and _matters(
            row, beside[row["zoo"], row["part"]]
        )

    return [row for row in rows if kept(row)]


def _matters(row: Row, beside: list[Row]) -> bool:
    """The router, its references, its strongest and its closest baseline, and every baseline that beats it."""
    if row["method"] in (MODEL_SAT, ORACLE) or str(row["method"]).startswith(BEST_SINGLE):
        return True
    closest = _closest(beside)
    beats = role(row) == "baseline" and row["lead"] is not None and judged(row, "lead") == "lost"
    return beats or row is closest or row is strongest_baseline(beside)


TABLE = TableSpec(
    name="zoos",
    title="Choosing within each zoo",
    columns=(
        Column("method"),
        Column("zoo"),
        Column("part"),
        Column("n", count),
        Column("accuracy", percent),
        Column("gain", points, "gain, points", ("gain_low", "gain_high")),
        Column("gap_closed", percent),
        Column("regret", unsigned_points, "regret, points"),
        Column("entropy", two_decimals),
        Column("strongest_rate", whole_percent, "to the strongest"),
        Column("lead", points, "Model-SAT's lead, points", ("lead_low", "lead_high")),
        Column("serves_unseen"),
    ),
    summarise=_summarised,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Zoo:
    """One zoo on the instructions of one part: best single candidate, oracle, and each method's choices."""

    name: str
    single: NDArray[np.float64]
    best: NDArray[np.float64]
    chosen: dict[str, Chosen]


def compute(run: BenchmarkRun) -> Iterator[Table]:
    """Every method in every zoo and part."""
    sets = (run.core, *run.beyond)
    yield zoo_table([(routed, run.methods(routed)) for routed in sets], seed=run.seed)


def zoo_table(compared: Sequence[tuple[EvaluationSet, Sequence[Method]]], *, seed: int) -> Table:
    """Every method in every zoo and part.

    Args:
        compared: Evaluation sets with their methods.
        seed: Of the bootstrap.
    """
    rows: list[tuple[Cell, ...]] = []
    for routed, methods in compared:
        for part, at in routed.parts.items():
            rows += _part_rows(routed, methods, part, at, seed=seed)
    tuning = ", ".join(f"{len(routed.tuning):,} of {routed.name}" for routed, _ in compared)
    notes = " ".join(note for routed, _ in compared for note in routed.notes)
    return TABLE.table(
        rows,
        f"Gain: over the zoo's best single candidate on tuning outcomes ({tuning}). Lead: Model-SAT minus the method, "
        "on the same instructions. Methods that do not serve unseen candidates were fitted on the tuning outcomes of "
        f"all candidates, including those that Model-SAT never saw. {notes}".rstrip(),
    )


def _part_rows(
    routed: EvaluationSet, methods: Sequence[Method], part: str, rows: NDArray[np.intp], *, seed: int
) -> list[tuple[Cell, ...]]:
    zoos = [_choose_all(routed, methods, zoo, rows) for zoo in routed.zoos]
    if len(zoos) > 1:
        zoos.append(_mean_of(zoos))
    bootstrap = PairedBootstrap(len(rows), rng=np.random.default_rng(seed))
    cells: list[tuple[Cell, ...]] = []
    for zoo in zoos:
        achieved = np.stack([zoo.chosen[method.name].achieved for method in methods], axis=1)
        gains = bootstrap.intervals(achieved - zoo.single[:, None])
        own = zoo.chosen.get(MODEL_SAT)
        leads = gains if own is None else bootstrap.intervals(own.achieved[:, None] - achieved)
        for method, gain, lead in zip(methods, gains, leads, strict=True):
            chosen = zoo.chosen[method.name]
            accuracy = float(chosen.achieved.mean())
            compared = own is not None and method.name != MODEL_SAT
            cells.append(
                (
                    method.name,
                    zoo.name,
                    part,
                    len(rows),
                    accuracy,
                    gain.mean,
                    gain.low,
                    gain.high,
                    metrics.gap_closed(accuracy, float(zoo.single.mean()), float(zoo.best.mean())),
                    float((zoo.best - chosen.achieved).mean()),
                    chosen.entropy,
                    chosen.strongest_rate,
                    *((lead.mean, lead.low, lead.high) if compared else (None, None, None)),
                    method.serves_unseen,
                )
            )
    return cells


def _choose_all(routed: EvaluationSet, methods: Sequence[Method], zoo: str, rows: NDArray[np.intp]) -> _Zoo:
    members, strongest = routed.zoos[zoo], routed.best_single(zoo)
    truth = routed.table.scores
    return _Zoo(
        name=zoo,
        single=truth[rows, strongest].astype(np.float64),
        best=truth[np.ix_(rows, routed.columns(members))].max(axis=1).astype(np.float64),
        chosen={
            method.name: choose_with(method, routed, rows, members, strongest=strongest) for method in methods
        },
    )


def _mean_of(zoos: Sequence[_Zoo]) -> _Zoo:
    """All zoos as one: their mean on every instruction, so that the interval allows for their correlation."""

    def mean(name: str) -> Chosen:
        each = [zoo.chosen[name] for zoo in zoos]
        return Chosen(
            achieved=np.mean([chosen.achieved for chosen in each], axis=0),
            entropy=float(np.mean([chosen.entropy for chosen in each])),
            strongest_rate=float(np.mean([chosen.strongest_rate for chosen in each])),
        )

    return _Zoo(
        name=MEAN_ZOO,
        single=np.mean([zoo.single for zoo in zoos], axis=0),
        best=np.mean([zoo.best for zoo in zoos], axis=0),
        chosen={name: mean(name) for name in zoos[0].chosen},
    )


def findings(result: BenchmarkResult) -> Iterator[Finding]:
    """The router against the best single candidate, the baselines and its controls."""
    headline = headline_zoo_rows(result)
    own, others = own_row(headline), baselines_in(headline, "lead")
    if own is None:
        return
    zoos = averaged_zoos(result)
    mean = len(zoos) > 1
    gap = number(own, "gap_closed")
    way = f", {percent(gap)} of the way to the oracle" if gap == gap else ""
    where = f"in the mean over {len(zoos)} zoos" if mean else among(zoos[0])
    yield Finding(
        judged(own, "gain"),
        f"{MODEL_SAT} is right on {percent(number(own, 'accuracy'))} of {count(number(own, 'n'))} instructions "
        f"{where}: {with_interval(own, 'gain')} points over the best single candidate{way}.",
    )
    if mean:
        beaten = [row for row in others if judged(row, "lead") == "won"]
        if beaten:
            closest = min(beaten, key=lambda row: number(row, "lead"))
            yield Finding(
                "won",
                f"In the mean over the zoos it leads {len(beaten)} of {len(others)} baselines with the interval above "
                f"0; the closest of them is {closest['method']}, by {with_interval(closest, 'lead')} points.",
            )
        yield from (lead_over(row, "In the mean over the zoos") for row in others if row not in beaten)
    serving = [row for row in others if row["serves_unseen"] is True]
    if serving:
        closest = min(serving, key=lambda row: number(row, "lead"))
        yield lead_over(
            closest, f"Of {len(serving)} baselines that can serve a candidate never seen in tuning"
        )
    yield from _by_zoo(result)
    yield from _by_part(result)
    for row in headline:
        if role(row) == "control" and row["lead"] is not None:
            verdict = judged(row, "lead")
            meaning = "it uses the cards" if verdict == "won" else "the cards are not shown to matter"
            lost = with_interval(row, "lead")
            yield Finding(verdict, f"With wrong cards ({row['method']}) it loses {lost} points: {meaning}.")


def _by_zoo(result: BenchmarkResult) -> Iterator[Finding]:
    clear = []
    for zoo, rows in zoo_places(result).items():
        others, closest = baselines_in(rows, "lead"), _closest(rows)
        defeats = [row for row in others if judged(row, "lead") == "lost"]
        if closest is None:
            continue
        if not defeats and judged(closest, "lead") == "won":
            clear.append(f"{zoo} (closest: {closest['method']}, {with_interval(closest, 'lead')})")
        else:
            yield from (lead_over(row, among(zoo)) for row in defeats or [closest])
    if clear:
        yield Finding("won", f"It leads every baseline, interval above 0, in {listed(clear)}.")


def _by_part(result: BenchmarkResult) -> Iterator[Finding]:
    rows = result.records("zoos")
    for part in distinct(row["part"] for row in rows):
        here = zoo_rows(result, part=part)
        own, strongest = own_row(here), strongest_baseline(here)
        if part == headline_part(rows) or own is None:
            continue
        gain = with_interval(own, "gain")
        yield Finding(
            judged(own, "gain"),
            f"On {part_name(part)}, it gains {gain} points over the best single candidate.",
        )
        if strongest is not None and strongest["lead"] is not None and strongest["method"] != BEST_SINGLE:
            yield lead_over(strongest, f"On {part_name(part)}")


def _closest(rows: Iterable[Row]) -> Row | None:
    return min(baselines_in(rows, "lead"), key=lambda row: number(row, "lead"), default=None)


def views(result: BenchmarkResult) -> Iterator[View]:
    """Methods in the headline part, and the router beside the strongest baseline by zoo and by part."""
    headline = sorted(headline_zoo_rows(result), key=lambda row: -number(row, "accuracy"))
    if not headline:
        return
    zoos = averaged_zoos(result)
    yield TABLE.view(
        headline,
        title="Mean over the zoos, by method" if len(zoos) > 1 else f"By method, {among(zoos[0])}",
        note=f"{count(number(headline[0], 'n'))} instructions: {part_name(str(headline[0]['part']))}. Gain: over the "
        "best single candidate. Lead: Model-SAT minus the method. Both with paired 95% intervals.",
        without=("zoo", "part", "n"),
    )
    places = zoo_places(result)
    if len(places) > 1:
        yield _beside("By zoo", "zoo", places)
    parts = distinct(row["part"] for row in result.records("zoos") if row["zoo"] in (MEAN_ZOO, zoos[0]))
    if len(parts) > 1:
        mean = MEAN_ZOO if len(zoos) > 1 else zoos[0]
        yield _beside("By part", "part", {part_name(part): zoo_rows(result, mean, part) for part in parts})


def _beside(title: str, index: str, groups: dict[str, list[Row]]) -> View:
    """The router beside the strongest baseline, for groups of rows."""

    def line(name: str, rows: list[Row]) -> tuple[str, ...]:
        own, strongest = own_row(rows), strongest_baseline(rows)
        accuracy = {str(row["method"]): percent(number(row, "accuracy")) for row in rows}
        return (
            name,
            accuracy.get(BEST_SINGLE, UNDEFINED),
            accuracy.get(MODEL_SAT, UNDEFINED),
            UNDEFINED if own is None else with_interval(own, "gain"),
            UNDEFINED if strongest is None else str(strongest["method"]),
            UNDEFINED if strongest is None or strongest["lead"] is None else with_interval(strongest, "lead"),
            accuracy.get(ORACLE, UNDEFINED),
        )

    return View(
        title=title,
        note="",
        headings=(index, BEST_SINGLE, "routed", "gain", "strongest baseline", "lead over it", ORACLE),
        numeric=frozenset({1, 2, 3, 5, 6}),
        rows=tuple(line(name, rows) for name, rows in groups.items()),
    )


def plots(result: BenchmarkResult) -> Iterator[Plot]:
    """Gain in every zoo beside the strongest baseline there, and every method's gain in the headline part."""
    shown = [(zoo, rows) for zoo, rows in zoo_places(result).items() if own_row(rows) is not None]
    if not shown:
        return
    clear = sum(judged(row, "gain") == "won" for _, rows in shown for row in rows if role(row) == "own")
    beaten = [
        zoo for zoo, rows in shown if any(judged(row, "lead") == "lost" for row in baselines_in(rows, "lead"))
    ]
    named = listed(beaten) if 0 < len(beaten) <= _NAMED_ZOOS else f"{len(beaten)} of them"
    title = f"{MODEL_SAT} beats the best single candidate in {clear} of {len(shown)} zoos; "
    title += f"a baseline beats it in {named}" if beaten else "no baseline beats it in any"
    bars: list[tuple[str, Row, str]] = []
    for zoo, rows in shown:
        # The best single candidate is the zero line: it needs no bar.
        strongest = strongest_baseline([row for row in rows if row["method"] != BEST_SINGLE])
        own = own_row(rows)
        bars += [(zoo, row, colour) for row, colour in ((own, OWN), (strongest, BASELINE)) if row is not None]
    yield draw(
        lambda axes: _bars(axes, bars),
        title=title,
        caption="Gain over the best single candidate, points, with paired 95% intervals; beside it the most accurate "
        "baseline of each zoo",
        height=0.3 * len(bars) + 0.6,
        name="zoos",
        table="zoos",
    )
    rows = sorted(headline_zoo_rows(result), key=lambda row: -number(row, "gain"))
    rows = [row for row in rows if role(row) in ("own", "baseline") and row["method"] != RANDOM]
    strongest = strongest_baseline(rows)
    if strongest is None or strongest["lead"] is None:
        return
    lead = with_interval(strongest, "lead")
    yield draw(
        lambda axes: _bars(axes, [("", row, {"own": OWN}.get(role(row), OTHER)) for row in rows]),
        title={
            "won": f"{MODEL_SAT} leads every baseline; next is {strongest['method']}",
            "lost": f"{strongest['method']} beats {MODEL_SAT}",
        }.get(judged(strongest, "lead"), f"{MODEL_SAT} and {strongest['method']} are too close to call"),
        caption="Gain over the best single candidate, points, with paired 95% intervals: "
        f"{part_name(str(rows[0]['part']))}. Lead over {strongest['method']}: {lead}",
        height=0.3 * len(rows) + 0.6,
        name="methods",
        table="zoos",
    )


def _bars(axes: "Axes", bars: Sequence[tuple[str, Row, str]]) -> None:
    names, before = [], ""
    for place, (zoo, row, colour) in enumerate(bars):
        gain, low, high = (100 * number(row, name) for name in ("gain", "gain_low", "gain_high"))
        axes.barh(place, gain, height=0.66, color=colour)
        axes.plot([low, high], [place, place], color=INK, linewidth=1.3)
        axes.annotate(
            points(gain / 100),
            (max(gain, high, 0), place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=10,
        )
        if zoo and zoo != before and place:
            axes.axhline(place - 0.5, color="#e3e6ea", linewidth=0.8)
        method = str(row["method"])
        names.append(f"{zoo}: {method}" if zoo and zoo != before else method)
        before = zoo
    axes.axvline(0, color=INK, linewidth=0.9)
    axes.set_yticks(range(len(bars)), names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.invert_yaxis()
    axes.margins(x=0.1, y=0.02)


SECTION = Section(
    name="zoos",
    order=10,
    heading="Choosing within a zoo",
    reading="Every method routes the same instructions; accuracy is the mean score of the candidates it chose. Gain "
    "compares with the best single candidate, lead compares Model-SAT with the method. An interval that holds 0 "
    "decides nothing.",
    tables=(TABLE,),
    compute=compute,
    findings=findings,
    views=views,
    plots=plots,
)
