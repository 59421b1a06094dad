"""Quality of the router in 8 bits and at other token budgets, beside fp32 at the tuned budget.

Measured on validation: precision and budget are settings, and settings are not chosen on test.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.measure import listed, run
from modelsat.bench import metrics
from modelsat.bench.evaluation_set import EvaluationSet, core_set
from modelsat.bench.methods import choose_in_zoos
from modelsat.bench.timing import machine, versions
from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.card import read_cards
from modelsat.capability.zoo import ModelZoo
from modelsat.cli.output import print_json, print_table, progress_bars
from modelsat.errors import DataError
from modelsat.onnx.load import can_run, load_onnx_scorer
from modelsat.onnx.session import has_vnni
from modelsat.onnx.sizes import Precision
from modelsat.progress import Progress, no_progress
from modelsat.records.splits import read_splits
from modelsat.records.store import OutcomeDirectory
from modelsat.scoring.checkpoint import Checkpoint, load_checkpoint
from modelsat.types import ScoreMatrix

AUC_LOSS_BAR = 0.004
BUDGETS = (32, 64, 96, 128, 160, 192, 256)
_PACKAGES = ("modelsat", "onnxruntime", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxRow:
    """One precision at one token budget; differences are from the reference.

    Attributes:
        precision: Of linear maps.
        tokens: Token budget of an instruction.
        auc: AUC of Pr("Yes") over all pairs.
        within_auc: Mean AUC within a candidate.
        auc_loss: AUC lost.
        largest_difference: Largest difference of Pr("Yes").
        changed: Share of choices that differ, mean over zoos.
        points: Accuracy gained by these changes, in points.
        cpu_ms: CPU milliseconds an instruction, of all threads; unlike seconds, about the same on a busy machine.
    """

    precision: Precision
    tokens: int
    auc: float
    within_auc: float
    auc_loss: float
    largest_difference: float
    changed: float
    points: float
    cpu_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxReport:
    """All rows; the first is the reference, fp32 at the tuned budget.

    Attributes:
        machine: Processor, cores, threads and load.
        versions: Versions of Python and of the packages that decide numbers.
        layers: Layers of the backbone, as tuned.
        instructions: Number of instructions scored.
        candidates: Number of candidates.
        rows: One per precision and budget.
    """

    machine: dict[str, str]
    versions: dict[str, str]
    layers: int | None
    instructions: int
    candidates: int
    rows: tuple[OnnxRow, ...]

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {**asdict(self), "auc_loss_bar": AUC_LOSS_BAR}


def main(
    outcomes: Annotated[Path, typer.Option(metavar="FOLDER", help="Instructions and outcomes.")],
    splits: Annotated[Path | None, typer.Option(metavar="FILE", help="Held-out candidates and zoos.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Default: as shipped.")] = None,
    cards: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Default: the shipped zoo's.")] = None,
    tokens: Annotated[
        list[int] | None, typer.Option(min=2, help="Token budget; repeatable (default: 32 to 256).")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="A random subset of so many instructions.")] = None,
    seed: Annotated[int, typer.Option(help="Of the subset.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare 8 bits, and other token budgets, with fp32 on validation instructions."""
    tuned = load_checkpoint(checkpoint)
    if not can_run(tuned.config):
        raise DataError(
            "ONNX Runtime cannot run this router; it needs layout exam_attention on the embedded models."
        )
    routed = core_set(
        OutcomeDirectory.load(outcomes),
        ModelZoo.shipped().profiles if cards is None else read_cards(cards),
        exam=AptitudeTest.shipped(),
        splits=None if splits is None else read_splits(splits),
        part="validation",
        limit=limit,
        rng=np.random.default_rng(seed),
    )
    with progress_bars() as advance:
        report = measure_quality(routed, checkpoint=tuned, budgets=tokens or BUDGETS, progress=advance)
    if as_json:
        print_json(report.to_json())
        return
    typer.echo(listed(report.machine | report.versions))
    typer.echo(
        f"{report.instructions} validation instructions, {report.candidates} candidates, "
        f"{report.layers or 'all'} layers; differences are from the first row."
    )
    numbers = ("tokens", "AUC", "AUC lost", "wAUC", "largest difference", "changed", "points", "CPU ms")
    print_table(("precision", *numbers), list(map(written, map(asdict, report.rows))), numeric=numbers)


def written(row: dict[str, Any]) -> tuple[str, ...]:
    """The cells of a row as text."""
    return (
        row["precision"],
        str(row["tokens"]),
        f"{row['auc']:.4f}",
        f"{row['auc_loss']:+.4f}",
        f"{row['within_auc']:.4f}",
        f"{row['largest_difference']:.4f}",
        f"{row['changed']:.1%}",
        f"{row['points']:+.2f}",
        f"{row['cpu_ms']:.0f}",
    )


def measure_quality(
    routed: EvaluationSet,
    *,
    checkpoint: Checkpoint | None = None,
    budgets: Sequence[int] = BUDGETS,
    progress: Progress = no_progress,
) -> OnnxReport:
    """Score held-out instructions in fp32, in 8 bits where the processor can, and at other token budgets.

    Args:
        routed: Validation instructions.
        checkpoint: The router; the shipped one by default.
        budgets: Token budgets beside the tuned one, in the fastest precision.
        progress: Called with (runs done, runs in total).

    Raises:
        LayoutError: ONNX Runtime cannot run the checkpoint.
        MissingExtraError: ONNX Runtime is not installed.
    """
    checkpoint = checkpoint or load_checkpoint()
    config = checkpoint.config
    here = machine()
    fastest: Precision = "int8" if has_vnni() else "fp32"
    first: list[tuple[Precision, int]] = [("fp32", config.tokens), (fastest, config.tokens)]
    runs = dict.fromkeys([*first, *((fastest, budget) for budget in budgets)])
    rows: list[OnnxRow] = []
    reference: ScoreMatrix | None = None
    for done, (precision, tokens) in enumerate(runs):
        progress("scoring", done, len(runs))
        scorer = load_onnx_scorer(checkpoint, precision=precision, tokens=tokens)
        begun = time.process_time()
        scores = scorer.score(routed.table.instructions, routed.profiles)
        cpu_ms = 1000 * (time.process_time() - begun) / len(routed.table)
        reference = reference or scores
        rows.append(_row(precision, tokens, scores, reference, routed, cpu_ms))
    progress("scoring", len(rows), len(rows))
    return OnnxReport(
        machine=here,
        versions=versions(_PACKAGES),
        layers=config.layers,
        instructions=len(routed.table),
        candidates=len(routed.profiles),
        rows=tuple(rows),
    )


def _row(
    precision: Precision,
    tokens: int,
    scores: ScoreMatrix,
    reference: ScoreMatrix,
    routed: EvaluationSet,
    cpu_ms: float,
) -> OnnxRow:
    truth = routed.table.scores
    rows = np.arange(len(truth))
    chosen, expected = (choose_in_zoos(each, routed, rows) for each in (scores, reference))
    gained = [truth[rows, chosen[zoo]] - truth[rows, expected[zoo]] for zoo in chosen]
    auc = metrics.auc(truth, scores.logits)
    return OnnxRow(
        precision=precision,
        tokens=tokens,
        auc=auc,
        within_auc=metrics.within_candidate_auc(truth, scores.logits),
        auc_loss=metrics.auc(truth, reference.logits) - auc,
        largest_difference=float(np.abs(scores.probabilities - reference.probabilities).max()),
        changed=float(np.mean([(chosen[zoo] != expected[zoo]).mean() for zoo in chosen])),
        points=100 * float(np.nanmean(gained)),
        cpu_ms=cpu_ms,
    )


if __name__ == "__main__":
    run(main)
