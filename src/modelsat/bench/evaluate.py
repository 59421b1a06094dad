"""Routing held-out outcomes and measuring the choices.

Routers here only score; the choice is `modelsat.routing.policy.rank`, the same as everywhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from modelsat.bench import metrics
from modelsat.bench.cache import RowCache
from modelsat.bench.controls import derangement, shuffle_levels_kept
from modelsat.bench.heldout import HeldOut
from modelsat.bench.report import Choice, ControlReport, MeanGain, Quality, RouterReport
from modelsat.capability.aptitude import AptitudeTest
from modelsat.routing.baselines import BestSingle, Embed, Level, Random
from modelsat.routing.embedding_baselines import (
    Clusters,
    ExamNeighbours,
    LogisticRegression,
    NearestNeighbours,
)
from modelsat.routing.policy import RoutingPolicy, rank
from modelsat.routing.scorer import Scorer
from modelsat.types import CapabilityProfile, Instruction, ScoreMatrix, column_index

Progress = Callable[[int, int], None]
NEIGHBOUR_COUNTS = (50, 100, 200)
SHUFFLES = 8


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
    fitted: list[Scorer] = [Random(seed), Level()]
    if len(tuning):
        # Tuning texts are embedded once; every baseline then finds them in the cache.
        fitted.append(BestSingle(tuning))
        fitted += [NearestNeighbours(tuning, embed, k=k) for k in NEIGHBOUR_COUNTS]
        fitted += [Clusters(tuning, embed, seed=seed), LogisticRegression(tuning, embed)]
    ids = {instruction.id for instruction in instructions}
    if all(item.id in ids for item in exam.items):
        fitted.append(ExamNeighbours(exam, instructions, embed))
    return fitted


def score_cached(
    scorer: Scorer,
    instructions: Sequence[Instruction],
    profiles: Sequence[CapabilityProfile],
    cache: RowCache,
    *,
    progress: Progress | None = None,
) -> ScoreMatrix:
    """Score through a cache, which must be this scorer's and these profiles' own.

    Args:
        scorer: Scores what is not in the cache.
        instructions: The rows.
        profiles: The columns.
        cache: Of rows of logits, then probabilities.
        progress: Called with (instructions done, instructions in all).
    """

    def compute(positions: Sequence[int]) -> NDArray[np.float32]:
        scores = scorer.score([instructions[position] for position in positions], profiles)
        return np.concatenate([scores.logits, scores.probabilities], axis=1)

    rows = cache.get([instruction.text for instruction in instructions], compute, progress=progress)
    logits, probabilities = np.split(rows, 2, axis=1)
    return ScoreMatrix(
        instruction_ids=tuple(instruction.id for instruction in instructions),
        candidates=tuple(profile.candidate for profile in profiles),
        logits=logits,
        probabilities=probabilities,
    )


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
        gains = _gains(choose_in_zoos(scores, held_out, rows), held_out, rows)
        if len(gains):
            interval = metrics.paired_bootstrap(gains, rng=np.random.default_rng(seed))
            mean_gains.append(
                MeanGain(part=part, zoos=gains.shape[1], instructions=len(gains), gain=interval)
            )
    return RouterReport(
        name=name, quality=tuple(quality), choices=tuple(choices), mean_gains=tuple(mean_gains)
    )


def control_profiles(
    profiles: Sequence[CapabilityProfile], *, seed: int = 0, shuffles: int = SHUFFLES
) -> tuple[CapabilityProfile, ...]:
    """Cards with levels kept and strengths swapped: all candidates, shuffle after shuffle.

    They are to be scored in one go with the real ones, so that the controls cost no more passes of the
    network.
    """
    rng = np.random.default_rng(seed)
    return tuple(
        replace(card, candidate=f"{card.candidate} (shuffle {number + 1})")
        for number in range(shuffles)
        for card in shuffle_levels_kept(profiles, rng)
    )


def split_candidates(scores: ScoreMatrix, count: int) -> tuple[ScoreMatrix, ScoreMatrix]:
    """The first `count` candidates of a matrix, and the others."""
    rows = np.arange(len(scores.instruction_ids))
    columns = np.arange(len(scores.candidates))
    return _select(scores, rows, columns[:count]), _select(scores, rows, columns[count:])


def measure_controls(
    scores: ScoreMatrix, swapped: ScoreMatrix, held_out: HeldOut, *, seed: int = 0
) -> tuple[ControlReport, ...]:
    """Measure what the router loses with the wrong cards, on the widest part.

    Args:
        scores: With the real cards.
        swapped: With the cards of `control_profiles`, in their order.
        held_out: What really happened.
        seed: Of bootstrap and shuffles.
    """
    count = len(scores.candidates)
    rng = np.random.default_rng(seed)
    shuffles = len(swapped.candidates) // count
    # A score depends on the card, not on the name: another's card gives another's score.
    shuffled = [_columns(scores, scores, derangement(count, rng)) for _ in range(shuffles)]
    level_kept = [
        _columns(scores, swapped, np.arange(start, start + count))
        for start in range(0, shuffles * count, count)
    ]
    part, rows = list(held_out.parts.items())[-1]
    own = choose_in_zoos(scores, held_out, rows)
    own_gain = _gains(own, held_out, rows)
    reports = []
    for name, matrices in (("shuffled cards", shuffled), ("level-preserving shuffle", level_kept)):
        gain = np.mean(
            [_gains(choose_in_zoos(matrix, held_out, rows), held_out, rows) for matrix in matrices], axis=0
        )
        truth = held_out.table.scores[rows]
        reports.append(
            ControlReport(
                name=name,
                part=part,
                shuffles=shuffles,
                auc=float(np.mean([metrics.auc(truth, matrix.logits[rows]) for matrix in matrices])),
                gain=metrics.paired_bootstrap(gain, rng=np.random.default_rng(seed)),
                loss=metrics.paired_bootstrap(own_gain - gain, rng=np.random.default_rng(seed)),
            )
        )
    return tuple(reports)


def choose_in_zoos(
    scores: ScoreMatrix, held_out: HeldOut, rows: NDArray[np.intp]
) -> Mapping[str, NDArray[np.intp]]:
    """Chosen column of the whole table per instruction of a part, [instruction], by zoo."""
    chosen = {}
    for zoo, members in held_out.zoos.items():
        columns = column_index(scores.candidates, members)
        order = rank(_select(scores, rows, columns), RoutingPolicy())
        chosen[zoo] = columns[order[:, 0]]
    return chosen


def _gains(
    chosen: Mapping[str, NDArray[np.intp]], held_out: HeldOut, rows: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Score over the best single candidate on the instructions that all zoos share, [instruction, zoo]."""
    truth = held_out.table.scores[rows]
    columns = column_index(held_out.table.candidates, sorted(set().union(*held_out.zoos.values())))
    shared = ~np.isnan(truth[:, columns]).any(axis=1)
    truth = truth[shared]
    return np.stack(
        [
            metrics.achieved(truth, picked[shared]) - truth[:, best_single(held_out, zoo)]
            for zoo, picked in chosen.items()
        ],
        axis=1,
    )


def best_single(held_out: HeldOut, zoo: str) -> int:
    """Column of a zoo's best single candidate: on tuning outcomes, or by exam level where there are none."""
    columns = column_index(held_out.table.candidates, held_out.zoos[zoo])
    if len(held_out.tuning):
        best = metrics.best_single(held_out.tuning.scores[:, columns])
    else:
        best = int(np.argmax([held_out.profiles[column].level for column in columns]))
    return int(columns[best])


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
    chosen = rank(_select(scores, rows, columns), RoutingPolicy())[:, 0]
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
        gain=metrics.paired_bootstrap(routed - alone, rng=rng),
        gap_closed=metrics.gap_closed_interval(routed, alone, best, rng=rng),
        regret=metrics.regret(truth, chosen),
        entropy=metrics.selection_entropy(chosen, len(members)),
        strongest_rate=metrics.strongest_call_rate(chosen, single),
    )


def _select(scores: ScoreMatrix, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> ScoreMatrix:
    return ScoreMatrix(
        instruction_ids=tuple(scores.instruction_ids[row] for row in rows),
        candidates=tuple(scores.candidates[column] for column in columns),
        logits=scores.logits[np.ix_(rows, columns)],
        probabilities=scores.probabilities[np.ix_(rows, columns)],
    )


def _columns(named: ScoreMatrix, source: ScoreMatrix, columns: NDArray[np.intp]) -> ScoreMatrix:
    """Some columns of one matrix under the names of another."""
    return ScoreMatrix(
        instruction_ids=named.instruction_ids,
        candidates=named.candidates,
        logits=source.logits[:, columns],
        probabilities=source.probabilities[:, columns],
    )
