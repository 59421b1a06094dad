"""Quality of the probabilities: do scores rank solved pairs above failed ones, and is P(right) calibrated?"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from modelsat.bench import metrics
from modelsat.bench.evaluation_set import EvaluationSet
from modelsat.bench.methods import MODEL_SAT, Method
from modelsat.bench.reporting.numbers import count, percent, three_decimals, unsigned_points
from modelsat.bench.reporting.plots import BASELINE, MUTED, OTHER, OWN, Plot, draw
from modelsat.bench.reporting.rows import grouped, headline_part, headline_rows, number, part_name
from modelsat.bench.reporting.views import View
from modelsat.bench.reporting.words import Finding, best_of
from modelsat.bench.results import BenchmarkResult, Cell, Row, Table
from modelsat.bench.run import BenchmarkRun
from modelsat.bench.section import Column, Section, TableSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS = 10
_COLOURS = {"seen": OWN, "unseen": BASELINE}

RANKING = TableSpec(
    name="ranking",
    title="Telling solved from failed",
    columns=(
        Column("method"),
        Column("part"),
        Column("candidates"),
        Column("auc", three_decimals, "AUC"),
        Column("within_auc", three_decimals, "within-candidate AUC"),
        Column("ece", three_decimals, "ECE"),
        Column("n", count),
    ),
    summarise=headline_rows,
)
RELIABILITY = TableSpec(
    name="reliability",
    title="Calibration of P(right)",
    columns=(
        Column("candidates"),
        Column("bin_low", percent, "from"),
        Column("bin_high", percent, "to"),
        Column("predicted", percent),
        Column("observed", percent),
        Column("count", count),
    ),
    only_plotted=True,
)


def compute(run: BenchmarkRun) -> Iterator[Table]:
    """Ranking of every method, and calibration of Model-SAT."""
    sets = (run.core, *run.beyond)
    yield ranking_table([(routed, run.methods(routed)) for routed in sets])
    for method in run.methods(run.core):
        if method.name == MODEL_SAT:
            yield reliability_table(run.core, method)


def ranking_table(compared: Sequence[tuple[EvaluationSet, Sequence[Method]]]) -> Table:
    """How well scores tell solved from failed pairs, by part and group of candidates."""
    rows: list[tuple[Cell, ...]] = []
    for routed, methods in compared:
        for method in methods:
            if method.rule != "best score":
                continue
            for part, at in routed.parts.items():
                for group, members in routed.groups.items():
                    cells = np.ix_(at, routed.columns(members))
                    truth = routed.table.scores[cells]
                    values = [
                        (
                            metrics.auc(truth, scores.logits[cells]),
                            metrics.within_candidate_auc(truth, scores.logits[cells]),
                            metrics.expected_calibration_error(truth, scores.probabilities[cells]),
                        )
                        for scores in method.scores
                    ]
                    rows.append((method.name, part, group, *np.mean(values, axis=0), int(truth.size)))
    return RANKING.table(
        rows,
        "AUC over all pairs of instruction and candidate; within: mean of each candidate's own AUC; ECE over 15 "
        "equal-mass bins. Unseen: candidates that tuning never saw (methods that know names were fitted on them).",
    )


def reliability_table(routed: EvaluationSet, method: Method) -> Table:
    """A router's probabilities beside outcomes, in equal-mass bins, on the widest part."""
    (scores,) = method.scores
    rows: list[tuple[Cell, ...]] = []
    for group, members in routed.groups.items():
        cells = np.ix_(routed.widest, routed.columns(members))
        predicted, truth = scores.probabilities[cells].ravel(), routed.table.scores[cells].ravel()
        for part in np.array_split(np.argsort(predicted, kind="stable"), _BINS):
            if len(part):
                inside = predicted[part].astype(np.float64)
                rows.append((group, inside.min(), inside.max(), inside.mean(), truth[part].mean(), len(part)))
    return RELIABILITY.table(
        rows, "Model-SAT's P(right) in ten bins of equally many pairs, beside the share that was solved."
    )


def findings(result: BenchmarkResult) -> Iterator[Finding]:
    """The router's AUC and calibration beside the best baseline's."""
    for group, rows in grouped(headline_rows(result.records("ranking")), "candidates").items():
        yield from best_of(rows, "auc", f"AUC on {group} candidates", three_decimals)
        what = f"Calibration error (ECE) on {group} candidates"
        yield from best_of(rows, "ece", what, three_decimals, higher=False)


def views(result: BenchmarkResult) -> Iterator[View]:
    """Every method in the headline part."""
    table = result.table("ranking")
    if table is not None:
        records = table.records()
        note = f"{table.note} Here: {part_name(headline_part(records))}."
        yield RANKING.view(headline_rows(records), note=note, without=("part",))


def plots(result: BenchmarkResult) -> Iterator[Plot]:
    """Predicted beside observed, for seen and unseen candidates."""
    groups = grouped(result.records("reliability"), "candidates")
    if not groups:
        return
    errors = listed_errors(groups)

    def paint(axes: "Axes") -> None:
        axes.plot([0, 100], [0, 100], color=MUTED, linewidth=1.2, linestyle=(0, (4, 2)), label="as predicted")
        for group, rows in groups.items():
            line = sorted(rows, key=lambda row: number(row, "predicted"))
            axes.plot(
                [100 * number(row, "predicted") for row in line],
                [100 * number(row, "observed") for row in line],
                color=_COLOURS.get(group, OTHER),
                marker="o",
                label=f"{group} candidates",
            )
        axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="predicted", ylabel="observed")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:.0f}%")
        axes.grid()
        axes.legend(loc="upper left")

    yield draw(
        paint,
        title="Calibration of P(right): predicted and observed share of right answers",
        caption=f"Ten bins of equally many pairs; mean distance {errors}",
        height=4.0,
        name="reliability",
        table="reliability",
    )


def listed_errors(groups: dict[str, list[Row]]) -> str:
    """Mean distance of predicted from observed by group, in points, weighted by pairs."""
    errors = []
    for group, rows in groups.items():
        total = sum(number(row, "count") for row in rows)
        gaps = (
            abs(number(row, "predicted") - number(row, "observed")) * number(row, "count") for row in rows
        )
        errors.append(f"{unsigned_points(sum(gaps) / total)} points for {group} candidates")
    return ", ".join(errors)


SECTION = Section(
    name="probability",
    order=30,
    heading="Is P(right) a probability?",
    reading="AUC: how often a solved pair ranks above a failed one; within-candidate AUC: the same for each candidate "
    "on its own, which asks whether the hard instructions are known. ECE: distance between predicted and observed "
    "shares.",
    tables=(RANKING, RELIABILITY),
    compute=compute,
    findings=findings,
    views=views,
    plots=plots,
    part_of="zoos",
)
