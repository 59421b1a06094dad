"""Baselines that know candidates by their overall level only, and what all baselines share.

Every baseline is a `Scorer`, measured by the same code as the tuned network. The fitted ones know candidates
by name and serve only those they were fitted on; `ExamNeighbours` and `Level` serve any candidate with a
capability card.
"""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from modelsat.errors import DataError
from modelsat.records.table import OutcomeTable
from modelsat.routing.scorer import score_matrix
from modelsat.types import CapabilityProfile, FloatArray, Instruction, ScoreMatrix

Embed = Callable[[Sequence[str]], FloatArray]
# The most certain that a baseline may be: keeps log-odds finite.
LEAST_PROBABILITY = 1e-3


class Random:
    """Chance: a number drawn for each pair of instruction and candidate, the same whenever it is asked.

    Args:
        seed: Another seed, other numbers.
    """

    name = "random"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Draw a probability for every pair."""
        drawn = np.array(
            [
                [self._draw(instruction.id, profile.candidate) for profile in profiles]
                for instruction in instructions
            ]
        )
        return from_probabilities(instructions, profiles, drawn)

    def _draw(self, instruction_id: str, candidate: str) -> float:
        key = f"{self.seed}\x1f{instruction_id}\x1f{candidate}".encode()
        return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest()) / 2**64


class Level:
    """The exam's mean accuracy, whatever the instruction: routing without reading."""

    name = "exam level"

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Give every instruction the candidates' levels."""
        levels = np.array([profile.level for profile in profiles])
        return from_probabilities(instructions, profiles, np.tile(levels, (len(instructions), 1)))


class BestSingle:
    """Each candidate's mean score on tuning data, whatever the instruction; chooses the best single model.

    Args:
        table: Tuning outcomes.
    """

    name = "best single"

    def __init__(self, table: OutcomeTable) -> None:
        self.candidates = table.candidates
        self.means = candidate_means(table)

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Give every instruction the candidates' means."""
        columns = fitted_columns(self.name, self.candidates, profiles)
        return from_probabilities(
            instructions, profiles, np.tile(self.means[columns], (len(instructions), 1))
        )


class BestSinglePerGroup:
    """Each candidate's mean score on tuning data of the instruction's own group (paper: best single per dataset).

    It is told the group of every instruction, which no router of live requests is.

    Args:
        table: Tuning outcomes.
        group_of: Groups of instructions, e.g. their datasets; a group without tuning data gets overall means.
        group: What a group is called.
    """

    def __init__(
        self, table: OutcomeTable, group_of: Callable[[Sequence[Instruction]], Sequence[str]], *, group: str
    ) -> None:
        self.name = f"best single per {group}"
        self.candidates = table.candidates
        self._group_of = group_of
        self._overall = candidate_means(table)
        membership = np.array(group_of(table.instructions), dtype=np.str_)
        self._means = {
            str(name): mean_or(table.scores[membership == name], self._overall)
            for name in np.unique(membership)
        }

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Give every instruction the candidates' means in its group."""
        columns = fitted_columns(self.name, self.candidates, profiles)
        means = np.stack([self._means.get(group, self._overall) for group in self._group_of(instructions)])
        return from_probabilities(instructions, profiles, means[:, columns])


def candidate_means(table: OutcomeTable) -> NDArray[np.float64]:
    """Mean score per candidate over the instructions it has an outcome on, [candidate]."""
    means: NDArray[np.float64] = np.nanmean(table.scores.astype(np.float64), axis=0)
    return means


def mean_or(scores: FloatArray, fallback: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean per candidate over the rows, [candidate]; the fallback where no row has an outcome."""
    known = ~np.isnan(scores)
    total, count = np.where(known, scores, 0.0).sum(axis=0, dtype=np.float64), known.sum(axis=0)
    mean: NDArray[np.float64] = np.where(count > 0, total / np.maximum(count, 1), fallback)
    return mean


def fitted_columns(
    name: str, candidates: Sequence[str], profiles: Sequence[CapabilityProfile]
) -> NDArray[np.intp]:
    """Where a baseline knows the candidates of some profiles.

    Raises:
        DataError: It was not fitted on one of them.
    """
    position = {candidate: column for column, candidate in enumerate(candidates)}
    unknown = [profile.candidate for profile in profiles if profile.candidate not in position]
    if unknown:
        raise DataError(
            f"{name} knows candidates by name and was not fitted on {', '.join(unknown)}; "
            "fit it on their outcomes, or route by capability cards."
        )
    return np.array([position[profile.candidate] for profile in profiles], dtype=np.intp)


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
