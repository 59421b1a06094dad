"""Item response theory over the exam: how hard each item is, and how able a candidate is in each task.

P(candidate solves item i of task t) = sigmoid(level + advantage_t - difficulty_i): a candidate has one level, and an
advantage in each task that is drawn from a normal distribution. Difficulties are those of the Rasch model
(`capability.rasch`). A discrimination for every item was tried too: fitted on a few dozen candidates, it made estimates
worse.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.rasch import estimate_levels, fit_difficulties, solve_probability
from modelsat.errors import DataError
from modelsat.exam.plan import answer_matrix
from modelsat.types import CapabilityProfile

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

FEWEST_CANDIDATES = 5
# Of a difficulty that nobody's answers tell; what `capability.rasch` assumes too.
_PRIOR_VARIANCE = 4.0
_LEAST_SPREAD = 0.2
_EM_ROUNDS = 4
_NEWTON_STEPS = 15


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ItemBank:
    """What earlier candidates' answers tell of the items.

    Attributes:
        index: Position of each item by its id.
        difficulty: [item] in logits.
        variance: [item] of the difficulty, for it was measured on a few candidates only.
        level_mean: Mean level of the candidates, in logits.
        level_deviation: Standard deviation of their levels.
        spread: Standard deviation of their advantages in a task.
        candidates: How many there were.
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
                f"{FEWEST_CANDIDATES} to know how hard its items are. Give a zoo with such cards by --reference."
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
            variance=1.0 / (information + 1.0 / _PRIOR_VARIANCE).astype(np.float64),
            level_mean=float(levels.mean()),
            level_deviation=float(levels.std()) + 1e-6,
            spread=0.6,
            candidates=len(answers),
        )
        return _with_spread(bank, answers.astype(np.float64), task_of_item)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ability:
    """What some answers tell of a candidate.

    Attributes:
        solved: [item] probability that the item is solved.
        slope: [item] its derivative by the ability in the item's task: how much is learned from asking it.
        mean: [task] ability in the task, level and advantage together, in logits.
        variance: [task] of that.
        advantage: [task] advantage alone.
        advantage_variance: [task] of that.
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
    """The most likely level and advantages, with their uncertainty (Laplace's approximation).

    Args:
        answers: [item] scores from 0 to 1; NaN where an item was not asked.
        difficulty: [item] in logits.
        variance: [item] of the difficulty.
        task_of_item: [item] position of each item's task.
        bank: For what is known before any answer.
        tasks: Number of tasks.
    """
    asked = ~np.isnan(answers)
    given = np.nan_to_num(answers)
    # A difficulty that is not known well tells less: the curve of the item is flatter (probit approximation).
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
    """The bank with the spread of advantages that its candidates show (expectation maximisation)."""
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
