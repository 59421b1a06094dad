"""Choices of Model-SAT by subject, on the widest part."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from modelsat.bench.methods import MODEL_SAT, choose_in
from modelsat.bench.reporting.numbers import whole_percent
from modelsat.bench.reporting.plots import Plot, draw
from modelsat.bench.reporting.rows import among, distinct, grouped, number
from modelsat.bench.results import BenchmarkResult, Cell, Row, Table
from modelsat.bench.run import BenchmarkRun
from modelsat.bench.section import Column, Section, TableSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A cell of the heat map is labelled from this share on.
_LABELLED_SHARE = 0.1

TABLE = TableSpec(
    name="choices",
    title="Choices of Model-SAT",
    columns=(Column("zoo"), Column("subject"), Column("candidate"), Column("share", whole_percent)),
    only_plotted=True,
)


def compute(run: BenchmarkRun) -> Iterator[Table]:
    """Share of each subject's instructions that each candidate of a zoo gets."""
    routed, at = run.core, run.core.widest
    own = next((method for method in run.methods(routed) if method.name == MODEL_SAT), None)
    if own is None:
        return
    subjects = np.array(routed.group_of([routed.table.instructions[row] for row in at]), dtype=np.str_)
    rows: list[tuple[Cell, ...]] = []
    for zoo, members in routed.zoos.items():
        picked = choose_in(own.scores[0], at, members)
        for subject in np.unique(subjects):
            inside = picked[subjects == subject]
            for member, column in zip(members, routed.columns(members), strict=True):
                rows.append((zoo, str(subject), member, float((inside == column).mean())))
    yield TABLE.table(rows, "Share of each subject's instructions, by zoo.")


def plots(result: BenchmarkResult) -> Iterator[Plot]:
    """One map per zoo."""
    for zoo, rows in grouped(result.records("choices"), "zoo").items():
        yield _map(zoo, rows)


def _map(zoo: str, rows: Sequence[Row]) -> Plot:
    from matplotlib.colors import LinearSegmentedColormap

    share = {(str(row["subject"]), str(row["candidate"])): number(row, "share") for row in rows}
    subjects = distinct(row["subject"] for row in rows)
    candidates = distinct(row["candidate"] for row in rows)
    table = np.array([[share.get((subject, name), 0.0) for name in candidates] for subject in subjects])
    # Most chosen candidates first, and subjects by their first choice: the map then reads as blocks.
    columns = np.argsort(-table.mean(axis=0), kind="stable")
    table = table[:, columns]
    order = np.lexsort((-table.max(axis=1), table.argmax(axis=1)))
    table = table[order]
    firsts = Counter(candidates[columns[place]] for place in table.argmax(axis=1)).most_common()
    title = f"{firsts[0][0]} is the first choice for {firsts[0][1]} of {len(subjects)} subjects"
    title += f", {firsts[1][0]} for {firsts[1][1]}" if len(firsts) > 1 else ""
    title += f", {among(zoo)}"

    def paint(axes: "Axes") -> None:
        blues = LinearSegmentedColormap.from_list("choice", ["#f2f6fa", "#9cc7e4", "#0072b2", "#003a5c"])
        axes.pcolormesh(table, cmap=blues, vmin=0, vmax=1, edgecolors="#ffffff", linewidth=1.5)
        for down, across in np.argwhere(table >= _LABELLED_SHARE):
            axes.text(
                across + 0.5,
                down + 0.5,
                whole_percent(table[down, across]),
                ha="center",
                va="center",
                fontsize=10,
                color="#ffffff" if table[down, across] > 0.45 else "#101820",
            )
        axes.set_xticks(
            np.arange(len(candidates)) + 0.5,
            [candidates[place] for place in columns],
            rotation=35,
            ha="right",
            rotation_mode="anchor",
        )
        axes.set_yticks(np.arange(len(subjects)) + 0.5, [subjects[place] for place in order])
        axes.tick_params(length=0)
        axes.invert_yaxis()
        for spine in axes.spines.values():
            spine.set_visible(False)

    return draw(
        paint,
        title=title,
        caption="Share of a subject's instructions that each candidate gets",
        height=0.34 * len(subjects) + 1.5,
        name=f"choices-{zoo}",
        table="choices",
    )


SECTION = Section(
    name="choices",
    order=20,
    heading="Choices by subject",
    reading="A router that always sends everything to one candidate shows as one dark column.",
    tables=(TABLE,),
    compute=compute,
    plots=plots,
    part_of="zoos",
)
