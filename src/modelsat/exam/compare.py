"""Two capability cards side by side."""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from modelsat.errors import DataError
from modelsat.statistics import Z95, PairedBootstrap
from modelsat.types import CapabilityProfile, TaskResult


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDifference:
    """One task of both cards.

    Attributes:
        task: Its name.
        first: Accuracy of the first card.
        second: Accuracy of the second card.
        shots: Number of items behind the difference: those that both sat, if items are known.
    """

    task: str
    first: float
    second: float
    shots: int

    @property
    def difference(self) -> float:
        """Accuracy of the second minus that of the first."""
        return self.second - self.first


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The second card against the first.

    Attributes:
        tasks: Tasks that both sat, largest lead of the second first.
        difference: Accuracy of the second minus that of the first, over all these items.
        interval: 95% interval of the difference.
        paired: Whether both sat the same items, so that the interval is of paired differences.
        only_first: Tasks that only the first sat.
        only_second: Tasks that only the second sat.
    """

    tasks: tuple[TaskDifference, ...]
    difference: float
    interval: tuple[float, float]
    paired: bool
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]


def compare(first: CapabilityProfile, second: CapabilityProfile, *, rng: np.random.Generator) -> Comparison:
    """Compare two cards of one exam, item by item if both list items.

    Args:
        first: A card.
        second: Another card.
        rng: Resamples items for the interval.

    Raises:
        DataError: They have no task in common.
    """
    results = {result.task: result for result in first.results}
    others = {result.task: result for result in second.results}
    common = [task for task in results if task in others]
    if not common:
        raise DataError(
            f"the cards of {first.candidate} (exam {first.exam}) and {second.candidate} (exam {second.exam}) "
            "have no task in common; compare cards of one exam."
        )
    same_items = bool(first.exam_hash) and first.exam_hash == second.exam_hash
    pairs = {
        task: _paired(results[task], others[task]) if same_items else np.zeros((0, 2)) for task in common
    }
    paired = all(len(pair) for pair in pairs.values())
    rows = [_row(task, results[task], others[task], pairs[task] if paired else None) for task in common]
    if paired:
        gaps = np.concatenate([pair[:, 1] - pair[:, 0] for pair in pairs.values()])
        interval = PairedBootstrap(len(gaps), rng=rng).interval(gaps)
        difference, low, high = interval.mean, interval.low, interval.high
    else:
        shots = np.array([row.shots for row in rows], dtype=np.float64)
        weights = shots / shots.sum()
        difference = float(weights @ [row.difference for row in rows])
        variance = sum(
            weight**2 * (_variance(results[row.task]) + _variance(others[row.task]))
            for weight, row in zip(weights, rows, strict=True)
        )
        low, high = difference - Z95 * sqrt(variance), difference + Z95 * sqrt(variance)
    return Comparison(
        tasks=tuple(sorted(rows, key=lambda row: (-row.difference, row.task))),
        difference=difference,
        interval=(float(low), float(high)),
        paired=paired,
        only_first=tuple(task for task in results if task not in others),
        only_second=tuple(task for task in others if task not in results),
    )


def _row(task: str, first: TaskResult, second: TaskResult, pair: np.ndarray | None) -> TaskDifference:
    if pair is None:
        return TaskDifference(
            task=task, first=first.accuracy, second=second.accuracy, shots=min(first.shots, second.shots)
        )
    before, after = pair.mean(axis=0)
    return TaskDifference(task=task, first=float(before), second=float(after), shots=len(pair))


def _paired(first: TaskResult, second: TaskResult) -> np.ndarray:
    """Scores on the items that both sat: [item, card]. Estimated results were measured on chosen items: none."""
    if first.estimated or second.estimated:
        return np.zeros((0, 2))
    both = [
        (one, other)
        for one, other in zip(first.items, second.items, strict=False)
        if one is not None and other is not None
    ]
    return np.array(both, dtype=np.float64).reshape(-1, 2)


def _variance(result: TaskResult) -> float:
    # Agresti's two pseudo-answers of each kind: four right of four is no certainty.
    share = (result.accuracy * result.shots + 2) / (result.shots + 4)
    return share * (1 - share) / (result.shots + 4)
