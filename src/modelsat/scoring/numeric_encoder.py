"""The numeric capability encoder: profiles as standardised numbers, with everything measured once, in tuning.

A candidate's profile becomes an overall level and one residual per exam item: how much better or worse it did than its
level predicts. All constants come from `ExamStatistics`, which a checkpoint stores, never from the zoo at hand: a
candidate's score must not depend on its company.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.irt import estimate_levels, fit_difficulties, solve_probability
from modelsat.errors import DataError
from modelsat.types import CapabilityProfile, FloatArray, TaskResult

# Floor of p(1-p), so that an item that a candidate surely solves cannot blow its residual up.
_LEAST_VARIANCE = 0.02
_FEWEST_CANDIDATES = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExamStatistics:
    """What tuning measured on the exam, over candidates that tuning saw.

    Attributes:
        exam_hash: The exam's hash; cards with this hash compare item by item.
        tasks: Task names.
        shots: [task] int; items per task. Items stand task after task.
        difficulty: [item] Rasch difficulties in logits.
        bias: [item] mean residual of the seen candidates: the Rasch model's own error there.
        level_mean: Mean level of the seen candidates, in logits.
        level_deviation: Standard deviation of their levels.
    """

    exam_hash: str
    tasks: tuple[str, ...]
    shots: tuple[int, ...]
    difficulty: FloatArray
    bias: FloatArray
    level_mean: float
    level_deviation: float

    @property
    def task_of_item(self) -> NDArray[np.intp]:
        """[item] int; the position of each item's task."""
        return np.repeat(np.arange(len(self.tasks)), self.shots)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CardBatch:
    """Several profiles as numbers.

    Units are the items of the router's exam, then the tasks of other exams that some candidate of the batch sat.

    Attributes:
        levels: [candidate] standardised overall level.
        residuals: [candidate, unit] standardised residual; 0 where there is no result.
        weights: [candidate, unit] items that the unit stands for; 0 for an exam that the candidate did not sit.
        variances: [candidate, unit] p(1-p) of a single answer.
        scales: [candidate, unit] what a residual was divided by: residual x scale is in units of score.
        other_tasks: Names of the units beyond the router's exam, and what they are about in words: their keywords in
            one text, then example questions.
    """

    levels: FloatArray
    residuals: FloatArray
    weights: FloatArray
    variances: FloatArray
    scales: FloatArray
    other_tasks: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def of_own_exam(self) -> "CardBatch":
        """The same without the tasks of other exams."""
        return self._part(slice(None), slice(self.residuals.shape[1] - len(self.other_tasks)))

    def take(self, candidates: Sequence[int]) -> "CardBatch":
        """Some of the candidates, without the tasks of other exams."""
        return self.of_own_exam()._part(list(candidates), slice(None))

    def _part(self, candidates: slice | list[int], units: slice) -> "CardBatch":
        return CardBatch(
            levels=self.levels[candidates],
            residuals=self.residuals[candidates, units],
            weights=self.weights[candidates, units],
            variances=self.variances[candidates, units],
            scales=self.scales[candidates, units],
        )


def measure_exam(exam: AptitudeTest, profiles: Sequence[CapabilityProfile]) -> ExamStatistics:
    """Fit the statistics of an exam on the candidates that tuning may see.

    Raises:
        DataError: Fewer than three of them sat the exam.
    """
    shots = tuple(len(task.items) for task in exam.tasks)
    tasks = tuple(task.name for task in exam.tasks)
    rows = [_answers(profile, tasks, shots) for profile in profiles if profile.exam_hash == exam.hash]
    if len(rows) < _FEWEST_CANDIDATES:
        raise DataError(
            f"exam {exam.name}: {len(rows)} candidates have a card of it; tuning needs at least {_FEWEST_CANDIDATES}."
        )
    answers = np.stack([answers for answers, _ in rows])
    weights = np.stack([weights for _, weights in rows])
    difficulty = fit_difficulties(answers, weights)
    levels = estimate_levels(answers, weights, difficulty)
    residuals = weights * (answers - solve_probability(levels, difficulty))
    return ExamStatistics(
        exam_hash=exam.hash,
        tasks=tasks,
        shots=shots,
        difficulty=difficulty,
        bias=residuals.sum(0) / np.maximum(weights.sum(0), 1.0),
        level_mean=float(levels.mean()),
        level_deviation=float(levels.std()),
    )


def encode_profiles(profiles: Sequence[CapabilityProfile], statistics: ExamStatistics) -> CardBatch:
    """Turn profiles into numbers.

    A candidate that sat part of the exam has no residual on the rest: its level speaks there. A result without items
    counts as its mean on each item. Tasks of other exams become units of their own, measured against the candidate's
    mean there.

    Args:
        profiles: One per candidate.
        statistics: Of the router's exam.
    """
    known = [_known(profile, statistics) for profile in profiles]
    answers = np.stack([answers for answers, _ in known])
    weights = np.stack([weights for _, weights in known])
    others = sorted(
        {
            other_task(sat, result)
            for profile in profiles
            for sat in other_exams(profile, statistics)
            for result in sat.results
        }
    )
    levels = _levels(profiles, answers, weights, statistics)
    solved = solve_probability(levels, statistics.difficulty)
    variance = np.maximum(solved * (1.0 - solved), _LEAST_VARIANCE)
    raw = np.where(weights > 0, answers - solved - statistics.bias, 0.0)
    by_item = np.stack([_has_items(profile, statistics) for profile in profiles])
    # A bare accuracy says nothing of single items: the task's mean residual stands on each of them.
    raw = np.where(by_item, raw, mean_by_task(raw, statistics))
    scale = np.sqrt(mean_by_task(variance, statistics))
    sat = (weights.sum(1, keepdims=True) > 0).astype(np.float32)
    extra, extra_weights = _other_units(profiles, others, statistics)
    return CardBatch(
        levels=((levels - statistics.level_mean) / statistics.level_deviation).astype(np.float32),
        residuals=np.concatenate([raw / scale, extra], axis=1).astype(np.float32),
        # Items that were not sat keep their weight with residual 0: the less was sat, the more the level decides.
        weights=np.concatenate([np.broadcast_to(sat, raw.shape), extra_weights], axis=1).astype(np.float32),
        variances=np.concatenate([variance, np.full_like(extra, 0.25)], axis=1).astype(np.float32),
        scales=np.concatenate([scale, np.full_like(extra, 0.5)], axis=1).astype(np.float32),
        other_tasks=tuple(others),
    )


def level_accuracies(cards: CardBatch, statistics: ExamStatistics) -> FloatArray:
    """[candidate] accuracy on the whole exam that a candidate's level predicts, whatever of it the candidate sat."""
    levels = cards.levels * statistics.level_deviation + statistics.level_mean
    return np.asarray(solve_probability(levels, statistics.difficulty).mean(1))


def mean_by_task(values: FloatArray, statistics: ExamStatistics) -> FloatArray:
    """Replace every item's value by the mean over its task; [candidate, item] to the same shape."""
    task_of_item = statistics.task_of_item
    means = [values[:, task_of_item == task].mean(1) for task in range(len(statistics.tasks))]
    return np.stack(means, axis=1)[:, task_of_item]


def own_exam(profile: CapabilityProfile, statistics: ExamStatistics) -> CapabilityProfile | None:
    """What of a profile is of the router's exam; None where it was not sat."""
    return next((sat for sat in profile.exams if sat.exam_hash == statistics.exam_hash), None)


def other_exams(profile: CapabilityProfile, statistics: ExamStatistics) -> tuple[CapabilityProfile, ...]:
    """What of a profile is of other exams."""
    return tuple(sat for sat in profile.exams if sat.exam_hash != statistics.exam_hash)


def other_task(sat: CapabilityProfile, result: TaskResult) -> tuple[str, tuple[str, ...]]:
    """How a task of another exam is called in evidence, and what it is about: keywords in one text, then examples."""
    return f"{sat.exam}: {result.task}", (", ".join(result.keywords), *result.examples)


def _known(profile: CapabilityProfile, statistics: ExamStatistics) -> tuple[FloatArray, FloatArray]:
    sat = own_exam(profile, statistics)
    if sat is None:
        empty = np.zeros(len(statistics.difficulty), dtype=np.float32)
        return empty, empty
    return _answers(sat, statistics.tasks, statistics.shots)


def _answers(
    profile: CapabilityProfile, tasks: Sequence[str], shots: Sequence[int]
) -> tuple[FloatArray, FloatArray]:
    """A profile's answers and their weights, [item] each."""
    results = {result.task: result for result in profile.results}
    unknown = sorted(set(results) - set(tasks))
    if unknown:
        raise DataError(
            f"profile of {profile.candidate}: task {unknown[0]!r} is not in the exam {profile.exam} "
            f"({profile.exam_hash}); grade the card again."
        )
    answers, weights = [], []
    for task, count in zip(tasks, shots, strict=True):
        result = results.get(task)
        if result is None:
            answers.append(np.zeros(count))
            weights.append(np.zeros(count))
        elif result.items:
            if len(result.items) != count:
                raise DataError(
                    f"profile of {profile.candidate}: task {task!r} has {len(result.items)} item results; "
                    f"the exam has {count} items there."
                )
            answers.append(np.array([0.0 if score is None else score for score in result.items]))
            weights.append(np.array([float(score is not None) for score in result.items]))
        else:
            answers.append(np.full(count, result.accuracy))
            weights.append(np.full(count, min(1.0, result.shots / count)))
    return (
        np.concatenate(answers).astype(np.float32),
        np.concatenate(weights).astype(np.float32),
    )


def _has_items(profile: CapabilityProfile, statistics: ExamStatistics) -> NDArray[np.bool_]:
    """[item]; False where only the accuracy of the item's task is known."""
    sat = own_exam(profile, statistics)
    bare = {result.task for result in sat.results if not result.items} if sat is not None else set()
    return np.repeat([task not in bare for task in statistics.tasks], statistics.shots)


def _levels(
    profiles: Sequence[CapabilityProfile],
    answers: FloatArray,
    weights: FloatArray,
    statistics: ExamStatistics,
) -> FloatArray:
    """[candidate] levels in logits; from the mean on other exams where the router's own was not sat."""
    elsewhere = weights.sum(1) == 0
    if elsewhere.any():
        answers, weights = answers.copy(), weights.copy()
        for row in np.flatnonzero(elsewhere).tolist():
            results = [result for sat in profiles[row].exams for result in sat.results]
            shots = np.array([result.shots for result in results], dtype=np.float32)
            answers[row] = np.average([result.accuracy for result in results], weights=shots)
            weights[row] = shots.sum() / answers.shape[1]
    return estimate_levels(answers, weights, statistics.difficulty)


def _other_units(
    profiles: Sequence[CapabilityProfile],
    others: Sequence[tuple[str, tuple[str, ...]]],
    statistics: ExamStatistics,
) -> tuple[FloatArray, FloatArray]:
    """Residuals and weights on the tasks of other exams, [candidate, other task] each."""
    position = {key: at for at, key in enumerate(others)}
    residuals = np.zeros((len(profiles), len(others)), dtype=np.float32)
    weights = np.zeros_like(residuals)
    for row, profile in enumerate(profiles):
        for sat in other_exams(profile, statistics):
            deviation = max(sat.level * (1.0 - sat.level), _LEAST_VARIANCE) ** 0.5
            for result in sat.results:
                column = position[other_task(sat, result)]
                residuals[row, column] = (result.accuracy - sat.level) / deviation
                weights[row, column] = result.shots
    return residuals, weights


def other_task_keys(
    others: Sequence[tuple[str, tuple[str, ...]]], embed: Callable[[Sequence[str]], FloatArray]
) -> FloatArray:
    """Embed the tasks of other exams by their keywords, [other task, text]."""
    return embed([keywords for _, (keywords, *_) in others])
