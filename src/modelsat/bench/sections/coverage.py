"""Coverage (paper: Figure 1): the share of the strongest candidate's solved instructions that small ones solve."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelsat.bench.evaluation_set import EvaluationSet
from modelsat.bench.reporting.numbers import count, percent, whole_percent
from modelsat.bench.reporting.plots import MUTED, OWN, Plot, draw
from modelsat.bench.reporting.rows import grouped, number
from modelsat.bench.reporting.words import Finding
from modelsat.bench.results import BenchmarkResult, Cell, Row, Table
from modelsat.bench.run import BenchmarkRun
from modelsat.bench.section import Column, Section, TableSpec
from modelsat.records.side_tables import ModelFacts
from modelsat.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMALL = 10.0
_SOLVED = 0.5
_MOST = 10


TABLE = TableSpec(
    name="coverage",
    title="What small candidates solve together",
    columns=(Column("group"), Column("size", count), Column("added"), Column("covered", percent)),
)


def compute(run: BenchmarkRun) -> Iterator[Table]:
    """All groups of candidates of a run."""
    sets = {routed.name: routed for routed in (run.core, *run.beyond)}
    sets |= {group: routed for group, routed in run.streams.items() if group not in sets}
    yield coverage_table(sets, run.facts)


def coverage_table(sets: Mapping[str, EvaluationSet], facts: Mapping[str, ModelFacts]) -> Table:
    """Greedy unions of small candidates, group by group.

    Tuning outcomes decide which candidate is the strongest, and which to add next; the share is measured on the
    instructions routed.

    Args:
        sets: By group of candidates that share instructions.
        facts: Sizes; if none is known, all but the strongest count as small.
    """
    rows: list[tuple[Cell, ...]] = []
    described = []
    for group, evaluated in sets.items():
        candidates = evaluated.table.candidates
        tuning, routed = (
            evaluated.tuning.scores >= _SOLVED,
            evaluated.table.scores[evaluated.widest] >= _SOLVED,
        )
        strongest = int(np.nanmean(evaluated.tuning.scores, axis=0).argmax())
        small = small_candidates(candidates, strongest, facts)
        order = greedy_cover(tuning[:, strongest], tuning[:, small])[:_MOST]
        covered = np.zeros(int(routed[:, strongest].sum()), dtype=np.bool_)
        for size, at in enumerate(order, start=1):
            covered |= routed[routed[:, strongest], small[at]]
            rows.append((group, size, candidates[small[at]], float(covered.mean())))
        described.append(
            f"{group}: strongest {candidates[strongest]}, {len(small)} small candidates, "
            f"{len(covered)} of {len(routed)} instructions solved by the strongest"
        )
    return TABLE.table(
        rows,
        f"Share of the strongest candidate's solved instructions that at least one of the small ones (up to "
        f"{SMALL:g}B parameters) solves. Order chosen on tuning outcomes. Multiple choice rewards guessing: part of a "
        "union is luck. "
        f"{'; '.join(described)}.",
    )


def small_candidates(
    candidates: Sequence[str], strongest: int, facts: Mapping[str, ModelFacts]
) -> NDArray[np.intp]:
    """Columns of the other candidates of known small size than the strongest; of all others if no size is known."""
    sizes = {at: facts[name].parameters for at, name in enumerate(candidates) if name in facts}
    known = {at: size for at, size in sizes.items() if size is not None}
    chosen = [
        at
        for at in range(len(candidates))
        if at != strongest and (not known or known.get(at, np.inf) <= SMALL)
    ]
    return np.array(chosen, dtype=np.intp)


def greedy_cover(target: NDArray[np.bool_], solved: NDArray[np.bool_] | FloatArray) -> list[int]:
    """Order in which candidates add most to what is covered; the first among equals first.

    Args:
        target: [instruction]; instructions to cover.
        solved: [instruction, candidate].

    Returns:
        Columns of `solved`, until none is left.
    """
    inside = np.asarray(solved, dtype=np.bool_)[target]
    covered = np.zeros(len(inside), dtype=np.bool_)
    order: list[int] = []
    while len(order) < inside.shape[1]:
        added = (inside & ~covered[:, None]).sum(axis=0)
        added[order] = -1
        best = int(added.argmax())
        order.append(best)
        covered |= inside[:, best]
    return order


def findings(result: BenchmarkResult) -> Iterator[Finding]:
    """Share that all small models of a group cover."""
    for group, rows in grouped(result.records("coverage"), "group").items():
        last = max(rows, key=lambda row: number(row, "size"))
        size = number(last, "size")
        models = "One small model" if size == 1 else f"{count(size)} small models"
        yield Finding(
            "fact",
            f"{models} of {group} {'solves' if size == 1 else 'together solve'} {percent(number(last, 'covered'))} of "
            "what the strongest one solves.",
        )


def plots(result: BenchmarkResult) -> Iterator[Plot]:
    """One plot per group."""
    for group, rows in grouped(result.records("coverage"), "group").items():
        yield _bars(group, sorted(rows, key=lambda row: number(row, "size")))


def _bars(group: str, rows: list[Row]) -> Plot:
    def paint(axes: "Axes") -> None:
        before = 0.0
        for place, row in enumerate(rows):
            covered = 100 * number(row, "covered")
            axes.barh(place, before, height=0.66, color=OWN, alpha=0.28)
            axes.barh(place, covered - before, left=before, height=0.66, color=OWN)
            axes.annotate(
                whole_percent(covered / 100),
                (covered, place),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
            )
            before = covered
        names = [f"{'+ ' if place else ''}{row['added']}" for place, row in enumerate(rows)]
        axes.set_yticks(range(len(rows)), names)
        axes.tick_params(axis="y", length=0)
        axes.set_xlim(0, 109)
        axes.set_xticks([0, 25, 50, 75, 100])
        axes.axvline(100, color=MUTED, linewidth=1, linestyle=(0, (4, 2)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}%")
        axes.grid(axis="x")
        axes.invert_yaxis()

    return draw(
        paint,
        title=f"What small models of {group} solve of what the strongest one solves",
        caption="Share of the strongest model's correct answers that at least one small model also has, each added in "
        "turn",
        height=0.36 * len(rows) + 0.5,
        name=f"coverage-{group}",
        table="coverage",
    )


SECTION = Section(
    name="coverage",
    order=60,
    heading="What small models can do together",
    reading="A bound, not a result of routing: the share of the strongest model's correct answers that some small "
    "model has too.",
    tables=(TABLE,),
    compute=compute,
    findings=findings,
    plots=plots,
)
