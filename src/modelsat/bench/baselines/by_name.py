"""Baselines that know candidates by name: fitted on tuning outcomes, they serve no other candidate.

Every baseline is a `Scorer`, measured by the same code as the tuned network.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from modelsat.errors import DataError
from modelsat.records.table import OutcomeTable
from modelsat.routing.scorer import from_probabilities
from modelsat.types import CapabilityProfile, FloatArray, Instruction, ScoreMatrix

# Texts to unit vectors, [text, d]. Which encoder, and whether it caches, is the caller's business.
Embed = Callable[[Sequence[str]], FloatArray]


class ByName(ABC):
    """A baseline fitted on the outcomes of named candidates.

    Args:
        name: For tables.
        table: Tuning outcomes of all candidates to be routed to.
    """

    def __init__(self, name: str, table: OutcomeTable) -> None:
        self.name = name
        self.candidates = table.candidates

    @abstractmethod
    def predict(self, instructions: Sequence[Instruction]) -> NDArray[np.floating]:
        """Probabilities of the candidates it was fitted on, [instruction, candidate]."""

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Score candidates on instructions.

        Raises:
            DataError: It was not fitted on one of the candidates.
        """
        columns = fitted_columns(self.name, self.candidates, profiles)
        return from_probabilities(instructions, profiles, self.predict(instructions)[:, columns])


class BestSingle(ByName):
    """Each candidate's mean score on tuning data, whatever the instruction; chooses the best single model.

    Args:
        table: Tuning outcomes.
    """

    def __init__(self, table: OutcomeTable) -> None:
        super().__init__("best single", table)
        self._means = candidate_means(table)

    def predict(self, instructions: Sequence[Instruction]) -> NDArray[np.floating]:
        """The means, once per instruction."""
        return np.tile(self._means, (len(instructions), 1))


class BestSinglePerGroup(ByName):
    """Each candidate's mean score on tuning data of the instruction's own group (paper: best single per dataset).

    It is given the group of every instruction, which no router of live requests has.

    Args:
        table: Tuning outcomes.
        group_of: Groups of instructions, e.g. their datasets; a group without tuning data gets overall means.
        group: Name of such a group.
    """

    def __init__(
        self, table: OutcomeTable, group_of: Callable[[Sequence[Instruction]], Sequence[str]], *, group: str
    ) -> None:
        super().__init__(f"best single per {group}", table)
        self._group_of = group_of
        self._overall = candidate_means(table)
        membership = np.array(group_of(table.instructions), dtype=np.str_)
        self._means = {
            str(name): mean_or(table.scores[membership == name], self._overall)
            for name in np.unique(membership)
        }

    def predict(self, instructions: Sequence[Instruction]) -> NDArray[np.floating]:
        """The means in each instruction's group."""
        return np.stack([self._means.get(group, self._overall) for group in self._group_of(instructions)])


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
    """Positions of some profiles among the candidates that a baseline was fitted on.

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


def texts_of(instructions: Sequence[Instruction]) -> list[str]:
    """The instructions' texts."""
    return [instruction.text for instruction in instructions]
