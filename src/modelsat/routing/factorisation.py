"""Matrix factorisation with a candidate embedding (EmbedLLM, arXiv 2410.02223): a low-rank logistic regression."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modelsat.records.table import OutcomeTable
from modelsat.routing.baselines import Embed, candidate_means, fitted_columns, from_probabilities
from modelsat.types import CapabilityProfile, Instruction, ScoreMatrix

_BETAS = (0.9, 0.999)


class MatrixFactorisation:
    """Logit of a pair = <projected instruction, candidate's embedding> + difficulty + the candidate's offset.

    A candidate's embedding is learnt from its outcomes, so that only candidates with tuning outcomes are served.

    Args:
        table: Tuning outcomes of all candidates to be routed to; a score from 0.5 on counts as solved.
        embed: Texts to unit vectors.
        rank: Width of a candidate's embedding.
        decay: Weight of the squared parameters beside the mean log loss.
        steps: Of Adam, each over all outcomes.
        rate: Its learning rate.
        seed: Of the first values.
    """

    name = "matrix factorisation"

    def __init__(
        self,
        table: OutcomeTable,
        embed: Embed,
        *,
        rank: int = 16,
        decay: float = 2e-4,
        steps: int = 200,
        rate: float = 0.02,
        seed: int = 0,
    ) -> None:
        self.candidates = table.candidates
        self._embed = embed
        vectors = embed([row.text for row in table.instructions]).astype(np.float64)
        self._center = vectors.mean(0)
        rng = np.random.default_rng(seed)
        means = np.clip(candidate_means(table), 0.01, 0.99)
        # Entries of a unit vector are small: a projection of this size gives logits of order one.
        self._parameters = [
            rng.normal(size=(vectors.shape[1], rank)) / rank**0.5,
            rng.normal(size=(len(self.candidates), rank)) / rank**0.5,
            np.zeros(vectors.shape[1]),
            np.log(means / (1 - means)),
        ]
        known = ~np.isnan(table.scores)
        solved = np.where(known, table.scores >= 0.5, 0.0)
        self._fit(vectors - self._center, solved, known, decay=decay, steps=steps, rate=rate)

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Multiply instructions by candidates."""
        columns = fitted_columns(self.name, self.candidates, profiles)
        vectors = self._embed([row.text for row in instructions]) - self._center
        logits = self._logits(vectors)[:, columns]
        return from_probabilities(instructions, profiles, 1 / (1 + np.exp(-logits)))

    def _logits(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        projection, candidates, difficulty, offsets = self._parameters
        logits: NDArray[np.float64] = (
            (vectors @ projection) @ candidates.T + (vectors @ difficulty)[:, None] + offsets
        )
        return logits

    def _fit(
        self,
        vectors: NDArray[np.float64],
        solved: NDArray[np.float64],
        known: NDArray[np.bool_],
        *,
        decay: float,
        steps: int,
        rate: float,
    ) -> None:
        first = [np.zeros_like(value) for value in self._parameters]
        second = [np.zeros_like(value) for value in self._parameters]
        for step in range(1, steps + 1):
            projection, candidates, difficulty, _ = self._parameters
            error = np.where(known, 1 / (1 + np.exp(-self._logits(vectors))) - solved, 0.0) / known.sum()
            gradients = [
                vectors.T @ (error @ candidates) + decay * projection,
                error.T @ (vectors @ projection) + decay * candidates,
                vectors.T @ error.sum(1) + decay * difficulty,
                error.sum(0),
            ]
            for at, gradient in enumerate(gradients):
                first[at] = _BETAS[0] * first[at] + (1 - _BETAS[0]) * gradient
                second[at] = _BETAS[1] * second[at] + (1 - _BETAS[1]) * gradient**2
                slope = first[at] / (1 - _BETAS[0] ** step)
                scale = np.sqrt(second[at] / (1 - _BETAS[1] ** step)) + 1e-8
                self._parameters[at] = self._parameters[at] - rate * slope / scale
