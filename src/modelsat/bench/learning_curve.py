"""How much exam does a new candidate need? The same router with cards from shorter exams, and from none."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from modelsat.bench import metrics
from modelsat.bench.arena import Arena
from modelsat.bench.choosing import best_single, select
from modelsat.bench.results import Cell, Table
from modelsat.errors import DataError
from modelsat.routing.scorer import Scorer
from modelsat.statistics import PairedBootstrap
from modelsat.types import CapabilityProfile, FloatArray, ScoreMatrix, TaskResult, column_index

# Tasks and shots of each; the whole exam stands before them, no exam behind them.
SHORTER = ((50, 5), (20, 5), (10, 5))
NO_EXAM = "none"


def learning_curve(arena: Arena, scorer: Scorer, *, draws: int, seed: int) -> Table:
    """Score the arena with cards from exams of several lengths, on the widest part.

    Candidates of one group have the shorter exam; the others in a zoo keep their whole one, as when a new candidate
    joins known ones. Without an exam, a candidate counts as the average of the seen ones.

    Args:
        arena: The setting.
        scorer: The router.
        draws: Shorter exams that are drawn and averaged.
        seed: Of the draws and the bootstrap.
    """
    profiles = arena.held_out.profiles
    rng = np.random.default_rng(seed)
    lengths = [(tasks, shots) for tasks, shots in SHORTER for _ in range(draws)]
    shorter = [shorten(profiles, tasks=tasks, shots=shots, rng=rng) for tasks, shots in lengths]
    cards = [
        *profiles,
        *(
            replace(card, candidate=f"{card.candidate} (exam {at})")
            for at, drawn in enumerate(shorter)
            for card in drawn
        ),
        average(arena.seen_profiles, name="(no exam)"),
    ]
    scores = scorer.score(arena.held_out.table.instructions, cards)
    count = len(profiles)
    whole = (len(arena.exam.tasks), arena.exam.shots)
    logits = {whole: [scores.logits[:, :count]]}
    for at, length in enumerate(lengths, start=1):
        logits.setdefault(length, []).append(scores.logits[:, at * count : (at + 1) * count])
    logits[0, 0] = [np.repeat(scores.logits[:, -1:], count, axis=1)]
    rows: list[tuple[Cell, ...]] = []
    for group, members in arena.held_out.groups.items():
        columns = column_index(arena.held_out.table.candidates, members)
        for (tasks, shots), matrices in logits.items():
            label = f"{tasks}x{shots}" if tasks else NO_EXAM
            items = len(arena.exam.items) if (tasks, shots) == whole else tasks * shots
            rows.append(
                (label, tasks, shots, items, group, *_measure(arena, scores, matrices, columns, seed))
            )
    return Table.of(
        "learning_curve",
        "How much exam does a candidate need?",
        f"Tasks x shots; shorter exams are parts of the whole one, mean of {draws} draws. Gain over the best single "
        "candidate, mean over the zoos that hold a candidate of the group; without an exam, ties are broken blindly.",
        rows,
    )


def shorten(
    profiles: Sequence[CapabilityProfile], *, tasks: int, shots: int, rng: np.random.Generator
) -> list[CapabilityProfile]:
    """Cards as if all candidates had sat the same part of the exam.

    Args:
        profiles: Cards with single results, of one exam.
        tasks: Tasks to keep, drawn at random; all where the exam has no more.
        shots: Items to keep of each.
        rng: Draws both.

    Raises:
        DataError: A card has no single results.
    """
    names = sorted({result.task for card in profiles for result in card.results})
    kept = set(rng.permutation(names)[:tasks].tolist())
    items: dict[str, NDArray[np.intp]] = {}
    for card in profiles:
        for result in card.results:
            if result.task in kept and not result.items:
                raise DataError(
                    f"card of {card.candidate}: no single results on task {result.task!r}; a shorter exam cannot be "
                    "made of it. Grade it again from outcomes."
                )
            if result.task in kept and result.task not in items:
                items[result.task] = rng.permutation(len(result.items))[:shots]
    return [replace(card, results=_part(card, items)) for card in profiles]


def _part(card: CapabilityProfile, items: dict[str, NDArray[np.intp]]) -> tuple[TaskResult, ...]:
    results = []
    for result in card.results:
        kept = set(items.get(result.task, np.empty(0, dtype=np.intp)).tolist())
        answers = tuple(score if at in kept else None for at, score in enumerate(result.items))
        sat = [score for score in answers if score is not None]
        if sat:
            results.append(replace(result, items=answers, shots=len(sat), accuracy=float(np.mean(sat))))
    # Whoever sat none of the items drawn keeps what he has: a card cannot be empty.
    return tuple(results) or card.results


def average(profiles: Sequence[CapabilityProfile], *, name: str) -> CapabilityProfile:
    """The card of an average candidate: the mean of each task, without single results."""
    tasks: dict[str, list[TaskResult]] = {}
    for card in profiles:
        for result in card.results:
            tasks.setdefault(result.task, []).append(result)
    return CapabilityProfile(
        candidate=name,
        exam=profiles[0].exam,
        exam_hash=profiles[0].exam_hash,
        results=tuple(
            TaskResult(
                task=task,
                keywords=results[0].keywords,
                accuracy=float(np.mean([result.accuracy for result in results])),
                shots=max(result.shots for result in results),
            )
            for task, results in tasks.items()
        ),
    )


def _measure(
    arena: Arena,
    whole: ScoreMatrix,
    matrices: Sequence[FloatArray],
    columns: NDArray[np.intp],
    seed: int,
) -> tuple[float, float, float, float]:
    """AUC of the group, and mean gain with its interval, averaged over draws."""
    held_out, rows = arena.held_out, arena.widest
    truth = held_out.table.scores
    cells = np.ix_(rows, columns)
    auc = float(np.mean([metrics.auc(truth[cells], matrix[cells]) for matrix in matrices]))
    gains = []
    for zoo, members in held_out.zoos.items():
        inside = column_index(held_out.table.candidates, members)
        if not set(inside.tolist()) & set(columns.tolist()):
            continue
        single = truth[rows, best_single(held_out, zoo)].astype(np.float64)
        for matrix in matrices:
            logits = select(whole, rows, np.arange(truth.shape[1])).logits.copy()
            logits[:, columns] = matrix[cells]
            gains.append(expected_of_best(logits[:, inside], truth[np.ix_(rows, inside)]) - single)
    if not gains:
        nothing = float("nan")
        return auc, nothing, nothing, nothing
    interval = PairedBootstrap(len(rows), rng=np.random.default_rng(seed)).interval(np.mean(gains, axis=0))
    return auc, interval.mean, interval.low, interval.high


def expected_of_best(logits: FloatArray, truth: FloatArray) -> NDArray[np.float64]:
    """Score of the best-scored candidate, [instruction]; the mean over those that share the first place."""
    first = logits == logits.max(axis=1, keepdims=True)
    expected: NDArray[np.float64] = (truth * first).sum(axis=1, dtype=np.float64) / first.sum(axis=1)
    return expected
