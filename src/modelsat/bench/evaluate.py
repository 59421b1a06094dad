"""Routing held-out outcomes and measuring the choices.

Routers here only score; the choice is `modelsat.routing.policy.rank`, the same as everywhere.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modelsat.bench import metrics
from modelsat.bench.baselines.by_name import BestSingle, Embed
from modelsat.bench.baselines.learners import CandidateRegressions
from modelsat.bench.baselines.neighbours import (
    Clusters,
    ExamNeighbours,
    NearestNeighbours,
)
from modelsat.bench.choosing import best_single, choose_in_zoos, gains_over_best_single, select
from modelsat.bench.heldout import HeldOut
from modelsat.bench.report import Choice, MeanGain, Quality, RouterReport
from modelsat.capability.aptitude import AptitudeTest
from modelsat.routing.policy import RoutingPolicy, rank
from modelsat.routing.scorer import Level, Scorer
from modelsat.statistics import PairedBootstrap
from modelsat.types import Instruction, ScoreMatrix, column_index

NEIGHBOUR_COUNTS = (50, 100, 200)


def baselines(
    held_out: HeldOut, embed: Embed, *, exam: AptitudeTest, instructions: Sequence[Instruction], seed: int = 0
) -> list[Scorer]:
    """The reference baselines, fitted on the tuning outcomes of all candidates, held-out ones included.

    Args:
        held_out: Has the tuning outcomes.
        embed: Texts to unit vectors.
        exam: For the baseline that knows candidates by exam items alone.
        instructions: Among which the exam's items are; that baseline is left out where they are not.
        seed: Of random choices and k-means.
    """
    tuning = held_out.tuning
    fitted: list[Scorer] = [Level()]
    if len(tuning):
        # Tuning texts are embedded once; every baseline then finds them in the cache.
        fitted.append(BestSingle(tuning))
        fitted += [NearestNeighbours(tuning, embed, k=k) for k in NEIGHBOUR_COUNTS]
        fitted += [Clusters(tuning, embed, seed=seed), CandidateRegressions(tuning, embed)]
    ids = {instruction.id for instruction in instructions}
    if all(item.id in ids for item in exam.items):
        fitted.append(ExamNeighbours(exam, instructions, embed))
    return fitted


def measure(name: str, scores: ScoreMatrix, held_out: HeldOut, *, seed: int = 0) -> RouterReport:
    """Measure one router's scores on every part, group and zoo.

    Args:
        name: What to call the router.
        scores: Of all candidates of the table on all its instructions, in their order.
        held_out: What really happened.
        seed: Of the bootstrap.
    """
    quality, choices, mean_gains = [], [], []
    for part, rows in held_out.parts.items():
        truth = held_out.table.scores[rows]
        for group, members in held_out.groups.items():
            columns = column_index(scores.candidates, members)
            quality.append(
                _quality(
                    part,
                    group,
                    truth[:, columns],
                    scores.logits[np.ix_(rows, columns)],
                    scores.probabilities[np.ix_(rows, columns)],
                )
            )
        for zoo in held_out.zoos:
            choice = _choice(part, zoo, scores, held_out, rows, seed=seed)
            if choice is not None:
                choices.append(choice)
        gains = gains_over_best_single(choose_in_zoos(scores, held_out, rows), held_out, rows)
        if len(gains):
            interval = PairedBootstrap(len(gains), rng=np.random.default_rng(seed)).interval(gains)
            mean_gains.append(
                MeanGain(part=part, zoos=gains.shape[1], instructions=len(gains), gain=interval)
            )
    return RouterReport(
        name=name, quality=tuple(quality), choices=tuple(choices), mean_gains=tuple(mean_gains)
    )


def _quality(
    part: str,
    group: str,
    truth: NDArray[np.float32],
    logits: NDArray[np.float32],
    probabilities: NDArray[np.float32],
) -> Quality:
    return Quality(
        part=part,
        group=group,
        candidates=truth.shape[1],
        pairs=int((~np.isnan(truth)).sum()),
        auc=metrics.auc(truth, logits),
        within_auc=metrics.within_candidate_auc(truth, logits),
        ece=metrics.expected_calibration_error(truth, probabilities),
        brier=metrics.brier(truth, probabilities),
    )


def _choice(
    part: str, zoo: str, scores: ScoreMatrix, held_out: HeldOut, rows: NDArray[np.intp], *, seed: int
) -> Choice | None:
    members = held_out.zoos[zoo]
    columns = column_index(scores.candidates, members)
    rows = rows[~np.isnan(held_out.table.scores[np.ix_(rows, columns)]).any(axis=1)]
    if not len(rows):
        return None
    truth = held_out.table.scores[np.ix_(rows, columns)]
    chosen = rank(select(scores, rows, columns), RoutingPolicy())[:, 0]
    single = int(np.flatnonzero(columns == best_single(held_out, zoo))[0])
    per_group = np.full(len(rows), single)
    if len(held_out.tuning):
        per_group = metrics.best_single_per_group(
            held_out.tuning.scores[:, columns],
            held_out.group_of(held_out.tuning.instructions),
            held_out.group_of([held_out.table.instructions[row] for row in rows]),
        )
    routed, alone, best = metrics.achieved(truth, chosen), truth[:, single], metrics.oracle(truth)
    rng = np.random.default_rng(seed)
    return Choice(
        part=part,
        zoo=zoo,
        candidates=len(members),
        instructions=len(rows),
        accuracy=float(routed.mean()),
        random=float(truth.mean()),
        best_single=members[single],
        best_single_accuracy=float(alone.mean()),
        best_per_group_accuracy=float(metrics.achieved(truth, per_group).mean()),
        oracle=float(best.mean()),
        gain=PairedBootstrap(len(routed), rng=rng).interval(routed - alone),
        gap_closed=metrics.gap_closed_interval(routed, alone, best, rng=rng),
        regret=metrics.regret(truth, chosen),
        entropy=metrics.selection_entropy(chosen, len(members)),
        strongest_rate=metrics.strongest_call_rate(chosen, single),
    )
