"""The one seam of routing: tuned network and baselines alike are a `Scorer`."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from modelsat.types import CapabilityProfile, FloatArray, Instruction, ScoreMatrix

# The most certain that a scorer of bare probabilities may be: keeps log-odds finite.
LEAST_PROBABILITY = 1e-3


class Scorer(Protocol):
    """Estimates P(right): how probable it is that a candidate handles an instruction.

    A scorer only scores: prices and policies are the business of `modelsat.routing.policy`.
    """

    @property
    def name(self) -> str:
        """Short name for tables and reports."""
        ...

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Score every candidate, known by its profile, on every instruction.

        Args:
            instructions: The rows, at least one.
            profiles: The columns, one per candidate, at least one. A candidate's scores depend neither on the
                order nor on the company of the others.

        Returns:
            Logits and calibrated probabilities, [instruction, candidate].
        """
        ...


def identity_of(scorer: Scorer) -> str:
    """Checkpoint, runtime and precision of a tuned router, on which its scores depend; the name of a baseline."""
    return str(getattr(scorer, "identity", scorer.name))


def score_matrix(
    instructions: Sequence[Instruction],
    profiles: Sequence[CapabilityProfile],
    *,
    logits: FloatArray,
    probabilities: FloatArray,
) -> ScoreMatrix:
    """Name the rows and columns of bare scores.

    Args:
        instructions: The rows.
        profiles: The columns.
        logits: [instruction, candidate].
        probabilities: [instruction, candidate].
    """
    return ScoreMatrix(
        instruction_ids=tuple(instruction.id for instruction in instructions),
        candidates=tuple(profile.candidate for profile in profiles),
        logits=logits,
        probabilities=probabilities,
    )


class Level:
    """The exam's mean accuracy, whatever the instruction: routing without reading."""

    name = "exam level"

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Give every instruction the candidates' levels."""
        levels = np.array([profile.level for profile in profiles])
        return from_probabilities(instructions, profiles, np.tile(levels, (len(instructions), 1)))


def from_probabilities(
    instructions: Sequence[Instruction],
    profiles: Sequence[CapabilityProfile],
    probabilities: NDArray[np.floating],
) -> ScoreMatrix:
    """Scores from probabilities, [instruction, candidate]; log-odds stand in for logits."""
    bounded = np.clip(probabilities.astype(np.float64), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return score_matrix(
        instructions,
        profiles,
        logits=np.log(bounded / (1 - bounded)).astype(np.float32),
        probabilities=bounded.astype(np.float32),
    )


def one_row(scores: ScoreMatrix, row: int) -> ScoreMatrix:
    """The scores of one instruction, without holding on to the others."""
    return ScoreMatrix(
        instruction_ids=scores.instruction_ids[row : row + 1],
        candidates=scores.candidates,
        logits=scores.logits[row : row + 1].copy(),
        probabilities=scores.probabilities[row : row + 1].copy(),
        evidence=scores.evidence[row : row + 1],
    )
