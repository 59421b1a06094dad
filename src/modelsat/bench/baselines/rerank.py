"""Re-ranking: run every candidate, then choose the output that suits the instruction best.

Nothing here routes: all candidates have answered before one is chosen, so that it costs the whole zoo's inference.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from modelsat.bench.baselines.by_name import Embed
from modelsat.errors import DataError
from modelsat.routing.scorer import score_matrix
from modelsat.types import CapabilityProfile, FloatArray, Instruction, ScoreMatrix

# Instructions and outputs, pair by pair, to one number each; higher is better.
Relevance = Callable[[Sequence[str], Sequence[str]], FloatArray]


def embedding_relevance(embed: Embed) -> Relevance:
    """Cosine of instruction and output (paper: BGE, GTE); a cross-encoder is a `Relevance` as well."""

    def relevance(instructions: Sequence[str], outputs: Sequence[str]) -> FloatArray:
        cosine: FloatArray = (embed(instructions) * embed(outputs)).sum(axis=1)
        return cosine

    return relevance


class Rerank:
    """Scores candidates by what they answered.

    Args:
        outputs: Text by (instruction id, candidate).
        relevance: How well an output suits its instruction.
        name: For tables.
    """

    def __init__(
        self, outputs: Mapping[tuple[str, str], str], relevance: Relevance, *, name: str = "re-ranking"
    ) -> None:
        self.name = name
        self.outputs = outputs
        self._relevance = relevance

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Compare every output with its instruction.

        Raises:
            DataError: A candidate's output is missing.
        """
        pairs = [(row, card.candidate) for row in instructions for card in profiles]
        missing = [(row.id, name) for row, name in pairs if (row.id, name) not in self.outputs]
        if missing:
            raise DataError(
                f"re-ranking reads every candidate's output; {len(missing)} are missing, the first is that of "
                f"{missing[0][1]} on {missing[0][0]}."
            )
        logits = self._relevance(
            [row.text for row, _ in pairs], [self.outputs[row.id, name] for row, name in pairs]
        ).reshape(len(instructions), len(profiles))
        probabilities = 1 / (1 + np.exp(-logits.astype(np.float64)))
        return score_matrix(
            instructions,
            profiles,
            logits=logits.astype(np.float32),
            probabilities=probabilities.astype(np.float32),
        )
