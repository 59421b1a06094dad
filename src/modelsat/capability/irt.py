"""Item response theory over the exam: item difficulties, candidates' levels, and ability per task.

The Rasch model is P(candidate m solves item i) = sigmoid(level_m - difficulty_i). A raw accuracy mixes a candidate's
overall level with its strength in one subject, and depends on which items it happened to sit. Taking the level out item
by item leaves what the rest of the router needs: where a candidate is better or worse than its level predicts.

The adaptive exam adds an advantage in each task, drawn from a normal distribution: P = sigmoid(level + advantage_t -
difficulty_i). A discrimination for every item was tried too: fitted on a few dozen candidates, it made estimates worse.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from modelsat.capability.aptitude import AptitudeTest
from modelsat.errors import DataError
from modelsat.types import CapabilityProfile, FloatArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

FEWEST_CANDIDATES = 5
# Weak priors: they keep an item that everyone solved, or a candidate that solved none, at a finite place.
_DIFFICULTY_VARIANCE = 4.0
_LEVEL_VARIANCE = 25.0
_FIRST_SPREAD = 0.6
_LEAST_SPREAD = 0.2
_EM_ROUNDS = 4
_NEWTON_STEPS = 15


def solve_probability(level: FloatArray, difficulty: FloatArray) -> FloatArray:
    """P(solved), [candidate, item], from levels [candidate] and difficulties [item], both in logits."""
    return np.asarray(1.0 / (1.0 + np.exp(difficulty[None, :] - level[:, None])), dtype=np.float32)


def estimate_levels(
    answers: FloatArray, weights: FloatArray, difficulty: FloatArray, *, steps: int = 30
) -> FloatArray:
    """Maximum a posteriori level of each candidate, with item difficulties fixed.

    Args:
        answers: [candidate, item] scores from 0 to 1; ignored where the weight is 0.
        weights: [candidate, item] how much each answer counts; 0 for an item that was not sat.
        difficulty: [item] in logits.
        steps: Newton steps.

    Returns:
        [candidate] levels in logits; near 0 for one that sat nothing.
    """
    level = np.zeros(len(answers), dtype=np.float32)
    for _ in range(steps):
        solved = solve_probability(level, difficulty)
        slope = (weights * (answers - solved)).sum(1) - level / _LEVEL_VARIANCE
        curvature = (weights * solved * (1.0 - solved)).sum(1) + 1.0 / _LEVEL_VARIANCE
        # A bounded step: from a far start, Newton's method would overshoot.
        level = (level + np.clip(slope / curvature, -1.0, 1.0)).astype(np.float32)
    return level


def fit_difficulties(answers: FloatArray, weights: FloatArray, *, steps: int = 60) -> FloatArray:
    """Fit item difficulties and candidate levels together, by alternating Newton steps.

    Args:
        answers: [candidate, item] scores from 0 to 1; ignored where the weight is 0.
        weights: [candidate, item] how much each answer counts.
        steps: Rounds of alternation.

    Returns:
        [item] difficulties in logits, with mean 0.
    """
    difficulty = np.zeros(answers.shape[1], dtype=np.float32)
    for _ in range(steps):
        level = estimate_levels(answers, weights, difficulty, steps=3)
        solved = solve_probability(level, difficulty)
        slope = (weights * (solved - answers)).sum(0) - difficulty / _DIFFICULTY_VARIANCE
        curvature = (weights * solved * (1.0 - solved)).sum(0) + 1.0 / _DIFFICULTY_VARIANCE
        difficulty = difficulty + np.clip(slope / curvature, -1.0, 1.0)
        difficulty = (difficulty - difficulty.mean()).astype(np.float32)
    return difficulty


def answer_matrix(exam: AptitudeTest, profiles: Sequence[CapabilityProfile]) -> np.ndarray:
    """Recorded answers of the candidates that sat exactly this exam.

    Returns:
        [candidate, item] float32; NaN where an item was not sat. Candidates without results per item are left out.
    """
    start: dict[str, int] = {}
    position = 0
    for task in exam.tasks:
        start[task.name] = position
        position += len(task.items)
    rows = []
    for profile in profiles:
        row = np.full(position, np.nan, dtype=np.float32)
        if profile.exam_hash == exam.hash:
            for result in profile.results:
                at = start[result.task]
                row[at : at + len(result.items)] = [
                    np.nan if score is None else score for score in result.items
                ]
        if not np.isnan(row).all():
            rows.append(row)
    return np.stack(rows) if rows else np.zeros((0, position), dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ItemBank:
    """Item difficulties and the spread of abilities, fitted to earlier candidates' answers.

    Attributes:
        index: Position of each item by its id.
        difficulty: [item] in logits.
        variance: [item] variance of the difficulty estimate.
        level_mean: Mean level of the candidates, in logits.
        level_deviation: Standard deviation of their levels.
        spread: Standard deviation of their advantages in a task.
        candidates: Number of candidates.
    """

    index: dict[str, int]
    difficulty: Vector
    variance: Vector
    level_mean: float
    level_deviation: float
    spread: float
    candidates: int

    @classmethod
    def of_profiles(cls, exam: AptitudeTest, profiles: Sequence[CapabilityProfile]) -> "ItemBank":
        """Fit the bank on cards of this exam that have results per item.

        Raises:
            DataError: There are too few of them.
        """
        return cls.fit(exam, answer_matrix(exam, profiles))

    @classmethod
    def fit(cls, exam: AptitudeTest, answers: NDArray[np.float32]) -> "ItemBank":
        """Fit the bank on recorded answers.

        Args:
            exam: The exam.
            answers: [candidate, item] scores from 0 to 1; NaN where an item was not sat.

        Raises:
            DataError: There are too few candidates.
        """
        if len(answers) < FEWEST_CANDIDATES:
            raise DataError(
                f"exam {exam.name}: {len(answers)} candidates have results per item; an adaptive exam needs at least "
                f"{FEWEST_CANDIDATES} to know how hard its items are. Pass a zoo with such cards as the setting "
                "'reference'."
            )
        weights = (~np.isnan(answers)).astype(np.float32)
        filled = np.nan_to_num(answers)
        difficulty = fit_difficulties(filled, weights)
        levels = estimate_levels(filled, weights, difficulty)
        solved = solve_probability(levels, difficulty)
        information = (weights * solved * (1.0 - solved)).sum(axis=0)
        task_of_item = np.repeat(np.arange(len(exam.tasks)), [len(task.items) for task in exam.tasks])
        bank = cls(
            index={item.id: at for at, item in enumerate(exam.items)},
            difficulty=difficulty.astype(np.float64),
            variance=1.0 / (information + 1.0 / _DIFFICULTY_VARIANCE).astype(np.float64),
            level_mean=float(levels.mean()),
            level_deviation=float(levels.std()) + 1e-6,
            spread=_FIRST_SPREAD,
            candidates=len(answers),
        )
        return _with_spread(bank, answers.astype(np.float64), task_of_item)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ability:
    """A candidate's ability in each task, estimated from its answers so far.

    Attributes:
        solved: [item] probability that the item is solved.
        slope: [item] derivative of `solved` with respect to the ability in the item's task.
        mean: [task] ability, level plus advantage, in logits.
        variance: [task] variance of `mean`.
        advantage: [task] advantage alone.
        advantage_variance: [task] variance of `advantage`.
    """

    solved: Vector
    slope: Vector
    mean: Vector
    variance: Vector
    advantage: Vector
    advantage_variance: Vector


def estimate_ability(
    answers: Vector,
    difficulty: Vector,
    variance: Vector,
    task_of_item: NDArray[np.intp],
    bank: ItemBank,
    *,
    tasks: int,
) -> Ability:
    """Estimate level and advantages with their uncertainty (Laplace approximation at the mode).

    Args:
        answers: [item] scores from 0 to 1; NaN where an item was not asked.
        difficulty: [item] in logits.
        variance: [item] variance of the difficulty.
        task_of_item: [item] index of each item's task.
        bank: The prior.
        tasks: Number of tasks.
    """
    asked = ~np.isnan(answers)
    given = np.nan_to_num(answers)
    # An uncertain difficulty flattens the item's curve (probit approximation).
    steepness = 1.0 / np.sqrt(1.0 + np.pi / 8.0 * variance)
    unknowns = np.zeros(tasks + 1)
    unknowns[0] = bank.level_mean
    diagonal = np.arange(1, tasks + 1)
    precision = np.zeros((tasks + 1, tasks + 1))
    for _ in range(_NEWTON_STEPS):
        solved = _sigmoid(steepness * (unknowns[0] + unknowns[1:][task_of_item] - difficulty))
        pull = np.bincount(task_of_item, asked * steepness * (given - solved), tasks)
        weight = np.bincount(task_of_item, asked * steepness**2 * solved * (1.0 - solved), tasks)
        gradient = np.concatenate(
            [
                [pull.sum() - (unknowns[0] - bank.level_mean) / bank.level_deviation**2],
                pull - unknowns[1:] / bank.spread**2,
            ]
        )
        precision[0, 0] = weight.sum() + 1.0 / bank.level_deviation**2
        precision[0, 1:] = precision[1:, 0] = weight
        precision[diagonal, diagonal] = weight + 1.0 / bank.spread**2
        step = np.linalg.solve(precision, gradient)
        unknowns += np.clip(step, -1.5, 1.5)
        if np.abs(step).max() < 1e-4:
            break
    covariance = np.linalg.inv(precision)
    own = np.diag(covariance)[1:]
    mean = unknowns[0] + unknowns[1:]
    solved = _sigmoid(steepness * (mean[task_of_item] - difficulty))
    return Ability(
        solved=solved,
        slope=steepness * solved * (1.0 - solved),
        mean=mean,
        variance=covariance[0, 0] + own + 2.0 * covariance[0, 1:],
        advantage=unknowns[1:],
        advantage_variance=own,
    )


def _with_spread(bank: ItemBank, answers: Matrix, task_of_item: NDArray[np.intp]) -> ItemBank:
    """Fit the spread of advantages by expectation maximisation."""
    tasks = int(task_of_item.max()) + 1
    spread = bank.spread
    for _ in range(_EM_ROUNDS):
        current = replace(bank, spread=spread)
        squares = []
        for row in answers:
            ability = estimate_ability(
                row, bank.difficulty, bank.variance, task_of_item, current, tasks=tasks
            )
            squares.append(ability.advantage**2 + ability.advantage_variance)
        spread = max(_LEAST_SPREAD, float(np.sqrt(np.mean(squares))))
    return replace(bank, spread=spread)


def _sigmoid(x: Vector) -> Vector:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))
