"""What a router says, and what is chosen for it: scores with their evidence, rankings, decisions."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from modelsat.errors import DataError

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Which exam tasks spoke for each instruction (layout exam_attention).

    Attributes:
        tasks: Names of the tasks, in the order of the last axis of `weights`.
        weights: [instruction, task]; rows sum to 1.
        level_only: [instruction]; True where no task speaks for the instruction and only the overall level was used.
    """

    tasks: tuple[str, ...]
    weights: FloatArray
    level_only: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreMatrix:
    """Pr("Yes") of every candidate on every instruction.

    Attributes:
        instruction_ids: Names of the rows.
        candidates: Names of the columns.
        logits: [instruction, candidate]; raw scores. Rank by these.
        probabilities: [instruction, candidate]; calibrated, from 0 to 1.
        evidence: Which exam tasks spoke, where the layout can tell.
    """

    instruction_ids: tuple[str, ...]
    candidates: tuple[str, ...]
    logits: FloatArray
    probabilities: FloatArray
    evidence: Evidence | None = None

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
        probability: Calibrated Pr("Yes").
        logit: Raw score.
        expected_price: Expected money for this instruction; None where its prices are unknown.
    """

    candidate: str
    probability: float
    logit: float
    expected_price: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingDecision:
    """The choice for one instruction, with its ranking and reasons.

    Attributes:
        instruction_id: Which instruction.
        candidate: The chosen candidate's name.
        policy: The policy as text, e.g. "cheapest-above=0.6".
        ranking: All candidates; the chosen one first, then in the policy's order of preference.
        reasons: Why, in short sentences.
        tasks: Exam tasks that spoke for the instruction with their weights, heaviest first; empty where unknown.
    """

    instruction_id: str
    candidate: str
    policy: str
    ranking: tuple[RankedCandidate, ...]
    reasons: tuple[str, ...] = ()
    tasks: tuple[tuple[str, float], ...] = field(default=())

    @property
    def probability(self) -> float:
        """Calibrated Pr("Yes") of the chosen candidate."""
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
