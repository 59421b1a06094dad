"""What 8 bits and fewer tokens cost: the engine's scores and choices beside those in fp32 at the tuned token budget.

Everything here is read on validation: a precision and a budget are settings, and settings are not chosen on test.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelsat.bench import metrics
from modelsat.bench.choosing import choose_in_zoos
from modelsat.bench.heldout import HeldOut
from modelsat.bench.timing import machine, versions
from modelsat.onnx.cache import has_vnni
from modelsat.onnx.load import load_onnx_scorer
from modelsat.onnx.sizes import Precision
from modelsat.scoring.checkpoint import load_checkpoint, shipped_folder
from modelsat.threads import usable_cores
from modelsat.types import ScoreMatrix

AUC_LOSS_BAR = 0.004
BUDGETS = (32, 64, 96, 128, 160, 192, 256)
_PACKAGES = ("modelsat", "onnxruntime", "numpy")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRow:
    """One engine at one token budget.

    Attributes:
        precision: Of linear maps.
        tokens: Token budget of an instruction.
        auc: Of Pr("Yes") over all pairs.
        within_auc: Mean AUC within a candidate.
        auc_loss: AUC of the reference minus this one.
        largest_difference: Of Pr("Yes") against the reference.
        changed: Share of choices that differ from the reference's, mean over zoos.
        points: What these changes were worth: mean score of the chosen over the reference's, in points.
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
class EngineReport:
    """All rows; the first is the reference, fp32 at the tuned budget.

    Attributes:
        machine: Processor, cores, threads and load.
        versions: Of Python and the packages that decide numbers.
        layers: Of the backbone, as tuned.
        instructions: That were scored.
        candidates: That they were scored for.
        rows: One per precision and budget.
    """

    machine: dict[str, str]
    versions: dict[str, str]
    layers: int | None
    instructions: int
    candidates: int
    rows: tuple[EngineRow, ...]

    def to_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {**asdict(self), "auc_loss_bar": AUC_LOSS_BAR}


def measure_engines(
    held_out: HeldOut,
    *,
    checkpoint: Path | None = None,
    budgets: Sequence[int] = BUDGETS,
    progress: Progress | None = None,
) -> EngineReport:
    """Score held-out instructions in fp32, in 8 bits where the processor can, and at other token budgets.

    Args:
        held_out: Validation instructions.
        checkpoint: Folder of a router; the shipped one by default.
        budgets: Token budgets beside the tuned one, in the fastest precision.
        progress: Called with (runs done, runs in all).

    Raises:
        LayoutError: The engine cannot run the checkpoint.
        MissingExtraError: The engine is not installed.
    """
    config = load_checkpoint(checkpoint or shipped_folder()).config
    here = machine(usable_cores())
    fastest: Precision = "int8" if has_vnni() else "fp32"
    runs: list[tuple[Precision, int]] = [("fp32", config.tokens), (fastest, config.tokens)]
    runs += [(fastest, budget) for budget in budgets]
    rows: list[EngineRow] = []
    reference: ScoreMatrix | None = None
    for done, (precision, tokens) in enumerate(dict.fromkeys(runs)):
        if progress:
            progress(done, len(set(runs)))
        scorer = load_onnx_scorer(checkpoint, precision=precision, tokens=tokens)
        begun = time.process_time()
        scores = scorer.score(held_out.table.instructions, held_out.profiles)
        seconds = time.process_time() - begun
        reference = reference or scores
        rows.append(
            _row(precision, tokens, scores, reference, held_out, 1000 * seconds / len(held_out.table))
        )
    if progress:
        progress(len(rows), len(rows))
    return EngineReport(
        machine=here,
        versions=versions(_PACKAGES),
        layers=config.layers,
        instructions=len(held_out.table),
        candidates=len(held_out.profiles),
        rows=tuple(rows),
    )


def _row(
    precision: Precision,
    tokens: int,
    scores: ScoreMatrix,
    reference: ScoreMatrix,
    held_out: HeldOut,
    cpu_ms: float,
) -> EngineRow:
    truth = held_out.table.scores
    rows = np.arange(len(truth))
    chosen, expected = (choose_in_zoos(each, held_out, rows) for each in (scores, reference))
    auc = metrics.auc(truth, scores.logits)
    return EngineRow(
        precision=precision,
        tokens=tokens,
        auc=auc,
        within_auc=metrics.within_candidate_auc(truth, scores.logits),
        auc_loss=metrics.auc(truth, reference.logits) - auc,
        largest_difference=float(np.abs(scores.probabilities - reference.probabilities).max()),
        changed=float(np.mean([(chosen[zoo] != expected[zoo]).mean() for zoo in chosen])),
        points=100
        * float(np.nanmean([truth[rows, chosen[zoo]] - truth[rows, expected[zoo]] for zoo in chosen])),
        cpu_ms=cpu_ms,
    )
