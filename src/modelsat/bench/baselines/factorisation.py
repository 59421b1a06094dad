"""Matrix factorisation with a candidate embedding (EmbedLLM, arXiv 2410.02223): a low-rank logistic regression."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modelsat.bench.baselines.by_name import ByName, Embed, candidate_means, texts_of
from modelsat.records.table import OutcomeTable
from modelsat.types import Instruction

_BETAS = (0.9, 0.999)


class MatrixFactorisation(ByName):
    """Logit of a pair = <projected instruction, candidate's embedding> + difficulty + the candidate's offset.

    A candidate's embedding is learned from its outcomes, so only candidates with tuning outcomes are served.

    Args:
        table: Tuning outcomes of all candidates to be routed to; a score of 0.5 or more counts as solved.
        embed: Texts to unit vectors.
        rank: Width of a candidate's embedding.
        decay: Weight of the squared parameters beside the mean log loss.
        steps: Of Adam, each over all outcomes.
        rate: Its learning rate.
        seed: Of the first values.
    """

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
        super().__init__("matrix factorisation", table)
        self._embed = embed
        vectors = embed(texts_of(table.instructions)).astype(np.float64)
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

    def predict(self, instructions: Sequence[Instruction]) -> NDArray[np.floating]:
        """Multiply instructions by candidates."""
        logits = self._logits(self._embed(texts_of(instructions)) - self._center)
        return np.asarray(1 / (1 + np.exp(-logits)), dtype=np.float64)

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
