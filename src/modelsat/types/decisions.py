"""Scores with the sums behind them, rankings, and decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from modelsat.errors import DataError

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoreParts:
    """The sum behind the scores of some candidates on one instruction.

    A candidate's logit is `difficulty` + its `levels` + the sum of its `contributions`, to rounding.

    Attributes:
        tasks: Names of the exam tasks, in the order of the last axis below.
        difficulty: Logit of a candidate of average level without results on tasks; the same for all candidates.
        typical: The same as a calibrated probability.
        levels: [candidate] what the candidate's level adds.
        level_accuracies: [candidate] accuracy on the router's exam that the level predicts.
        attention: [candidate, task] shares of attention to the tasks that the candidate sat; rows sum to 1.
        contributions: [candidate, task] what results on the task add; 0 where no task is similar to the instruction.
        residuals: [candidate, task] score above what the level predicts, on the task's questions most like this one.
    """

    tasks: tuple[str, ...]
    difficulty: float
    typical: float
    levels: FloatArray
    level_accuracies: FloatArray
    attention: FloatArray
    contributions: FloatArray
    residuals: FloatArray


class Evidence(Protocol):
    """What one instruction's scores rest on; worked out when asked, for the candidates asked."""

    def parts(self, columns: Sequence[int]) -> ScoreParts:
        """The parts of some candidates' scores.

        Args:
            columns: Positions of the candidates in the score matrix.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreMatrix:
    """P(right), which is the paper's Pr("Yes"), of every candidate on every instruction.

    Attributes:
        instruction_ids: Names of the rows.
        candidates: Names of the columns.
        logits: [instruction, candidate]; raw scores. Rank by these.
        probabilities: [instruction, candidate]; calibrated, from 0 to 1.
        evidence: One per instruction; empty where the scorer cannot tell.
    """

    instruction_ids: tuple[str, ...]
    candidates: tuple[str, ...]
    logits: FloatArray
    probabilities: FloatArray
    evidence: tuple[Evidence, ...] = ()

    def __post_init__(self) -> None:
        shape = (len(self.instruction_ids), len(self.candidates))
        if self.logits.shape != shape or self.probabilities.shape != shape:
            raise DataError(
                f"score matrix: logits {self.logits.shape} and probabilities {self.probabilities.shape}; "
                f"expected {shape}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedCandidate:
    """One line of a decision's ranking.

    Attributes:
        candidate: The candidate's name.
        probability: Calibrated P(right).
        logit: Raw score.
        expected_cost: Expected money for this instruction; None where its prices are unknown.
    """

    candidate: str
    probability: float
    logit: float
    expected_cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDifference:
    """What one exam task adds to the difference between two candidates.

    Attributes:
        task: The task's name.
        attention: Its share of the attention, from 0 to 1.
        difference: What it adds to the candidate's P(right) over the other's.
        residual: The candidate's score above what its level predicts, on the task's questions most like this one.
        other_residual: The other's.
    """

    task: str
    attention: float
    difference: float
    residual: float
    other_residual: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Why the scores of two candidates differ: `difference` = `level` + the tasks' differences + `rest`.

    Attributes:
        candidate: The candidate explained.
        other: The candidate that it is compared with.
        typical: P(right) of a candidate of average level: how hard the instruction is.
        difference: The candidate's P(right) less the other's.
        level: What their levels add to it.
        accuracy: Accuracy on the router's exam that the candidate's level predicts.
        other_accuracy: That of the other.
        tasks: Exam tasks that stand out for the instruction, by what they add, most first; empty where none does.
        rest: What all other tasks add.
        level_only: No task is similar to the instruction, so that the levels make all of the difference.
    """

    candidate: str
    other: str
    typical: float
    difference: float
    level: float
    accuracy: float
    other_accuracy: float
    tasks: tuple[TaskDifference, ...]
    rest: float
    level_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingDecision:
    """The choice for one instruction, with its ranking and reasons.

    Attributes:
        instruction_id: Which instruction.
        candidate: The chosen candidate's name.
        policy: The policy as text, e.g. "cheapest-above=0.6".
        ranking: All candidates; the chosen one first, then in the policy's order of preference.
        reasons: Why, in short sentences.
        tasks: Exam tasks that stand out for the instruction, with their shares of attention, heaviest first.
        comparison: The chosen candidate against the next one; None without a next one, or where the scorer cannot tell.
    """

    instruction_id: str
    candidate: str
    policy: str
    ranking: tuple[RankedCandidate, ...]
    reasons: tuple[str, ...] = ()
    tasks: tuple[tuple[str, float], ...] = ()
    comparison: Comparison | None = None

    @property
    def probability(self) -> float:
        """Calibrated P(right) of the chosen candidate."""
        return self.ranking[0].probability


def column_index(names: Sequence[str], wanted: Sequence[str]) -> NDArray[np.intp]:
    """Positions of `wanted` within `names`.

    Raises:
        DataError: A wanted name is not there.
    """
    position = {name: index for index, name in enumerate(names)}
    missing = [name for name in wanted if name not in position]
    if missing:
        raise DataError(f"unknown name(s) {', '.join(missing)}; known: {', '.join(names)}.")
    return np.array([position[name] for name in wanted], dtype=np.intp)
