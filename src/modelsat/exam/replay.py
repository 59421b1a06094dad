"""Replays adaptive exams on recorded answers: calls saved, and error against the full exam.

Each candidate in turn sits the exam adaptively, with an item bank fitted without it; its recorded answers stand in for
replies. The estimate of each task is compared with the accuracy over all recorded items of the task.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.irt import ItemBank, answer_matrix
from modelsat.exam.plan import TaskEstimates
from modelsat.progress import Progress, no_progress
from modelsat.types import CapabilityProfile, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Adaptive exams of one width, over all candidates.

    Attributes:
        width: Half-width of the interval at which a task was stopped.
        candidates: Number of candidates.
        saved: Share of the full exam's calls that were not made.
        fewest_saved: The same for the candidate that saved least.
        task_error: Mean absolute difference of a task's accuracy from the full exam's.
        level_error: Mean absolute difference of the overall accuracy from the full exam's.
        level_bias: Mean difference of the overall accuracy.
        rank_correlation: Spearman's, of overall accuracies with the full exam's, over candidates.
        coverage: Share of task accuracies inside their 95% interval.
        random_error: `task_error` of as many randomly chosen items per task, averaged.
    """

    width: float
    candidates: int
    saved: float
    fewest_saved: float
    task_error: float
    level_error: float
    level_bias: float
    rank_correlation: float
    coverage: float
    random_error: float

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def replay(
    exam: AptitudeTest,
    profiles: Sequence[CapabilityProfile],
    widths: Sequence[float],
    *,
    rng: np.random.Generator,
    progress: Progress = no_progress,
) -> list[Replay]:
    """Replay the adaptive exam at several widths.

    Args:
        exam: The exam.
        profiles: Cards with results per item of it.
        widths: Half-widths at which a task is stopped.
        rng: Draws the random items for comparison.
        progress: Called with the candidates done and in all.

    Raises:
        DataError: Too few candidates have results per item.
    """
    answers = answer_matrix(exam, profiles)
    ItemBank.fit(exam, answers[1:])
    rows: list[list[_Sat]] = [[] for _ in widths]
    for candidate, recorded in enumerate(answers):
        bank = ItemBank.fit(exam, np.delete(answers, candidate, axis=0))
        for at, width in enumerate(widths):
            rows[at].append(_sit(exam, recorded, bank, width, rng))
        progress("replaying", candidate + 1, len(answers))
    return [_summary(width, sat) for width, sat in zip(widths, rows, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sat:
    asked: float
    errors: np.ndarray
    inside: np.ndarray
    random_errors: np.ndarray
    level: float
    full_level: float


def _sit(
    exam: AptitudeTest, recorded: FloatArray, bank: ItemBank, width: float, rng: np.random.Generator
) -> _Sat:
    known = ~np.isnan(recorded)
    pairs = [(item.id, task.name) for task in exam.tasks for item in task.items]
    items = [pair for pair, there in zip(pairs, known, strict=True) if there]
    replies = recorded[known].astype(np.float64)
    state = TaskEstimates(items, bank)
    nothing = np.zeros(len(items), dtype=np.bool_)
    while chosen := state.next_items(width, nothing):
        state.answers[chosen] = replies[chosen]
    mean, half = state.accuracy(state.ability())
    tasks = len(state.tasks)
    full = np.bincount(state.task_of_item, replies, tasks) / state.sizes
    asked = np.bincount(state.task_of_item, ~np.isnan(state.answers), tasks)
    by_chance = np.array(
        [
            rng.choice(replies[state.task_of_item == task], size=int(asked[task]), replace=False).mean()
            for task in range(tasks)
        ]
    )
    return _Sat(
        asked=float(asked.sum() / len(items)),
        errors=np.abs(mean - full),
        # Rounding: an item's share of a task is not a whole number of floats.
        inside=np.abs(mean - full) <= half + 1e-9,
        random_errors=np.abs(by_chance - full),
        level=float((mean * state.sizes).sum() / len(items)),
        full_level=float(replies.mean()),
    )


def _summary(width: float, sat: Sequence[_Sat]) -> Replay:
    levels = np.array([one.level for one in sat])
    full = np.array([one.full_level for one in sat])
    return Replay(
        width=width,
        candidates=len(sat),
        saved=1.0 - float(np.mean([one.asked for one in sat])),
        fewest_saved=1.0 - max(one.asked for one in sat),
        task_error=float(np.mean(np.concatenate([one.errors for one in sat]))),
        level_error=float(np.abs(levels - full).mean()),
        level_bias=float((levels - full).mean()),
        rank_correlation=float(np.corrcoef(_ranks(levels), _ranks(full))[0, 1]),
        coverage=float(np.mean(np.concatenate([one.inside for one in sat]))),
        random_error=float(np.mean(np.concatenate([one.random_errors for one in sat]))),
    )


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values)).astype(np.float64)
