"""Scoring through the user's cache: what was read once is never read again.

A router whose features serve any cards (layout exam_attention) has them cached by checkpoint and text; another has
its scores cached by checkpoint, cards and text.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modelsat.bench.cache import RowCache, digest
from modelsat.capability.card import card_object
from modelsat.progress import Progress, no_progress
from modelsat.routing.scorer import Scorer
from modelsat.scoring.scorer import TwoPhaseScorer
from modelsat.types import CapabilityProfile, FloatArray, Instruction, ScoreMatrix

# Readings are slow: a chunk takes some seconds, and that is what a killed run loses.
_CHUNK = 32


class CachedScorer:
    """A scorer with a cache before it.

    Instructions are read one by one: in a batch the last bits of a reading would depend on its company, and a
    benchmark that went on from a cache would differ in them from one that did not.

    Args:
        scorer: The router.
        folder: Of cache files; None keeps rows in memory only.
        identity: Hash of all that a reading depends on besides the text.
        embeddings: Is given the sentence embeddings that come with features.
    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        folder: Path | None,
        identity: str,
        embeddings: RowCache | None = None,
    ) -> None:
        self.name = scorer.name
        self.scorer = scorer
        self.progress: Progress = no_progress
        self._folder = folder
        self.identity = identity
        self._embeddings = embeddings
        self._caches: dict[str, RowCache] = {}

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Score every candidate on every instruction; see `modelsat.routing.scorer.Scorer`."""
        if not isinstance(self.scorer, TwoPhaseScorer):
            cards = digest(*(json.dumps(card_object(profile)) for profile in profiles))
            cache = self._cache("scores", f"{self.identity}-{cards}")
            return score_cached(self.scorer, instructions, profiles, cache, progress=self.progress)
        scorer = self.scorer

        def compute(positions: Sequence[int]) -> FloatArray:
            chunk = [instructions[position] for position in positions]
            features = np.concatenate([scorer.encode([instruction]) for instruction in chunk])
            if self._embeddings is not None:
                self._embeddings.add(
                    [instruction.text for instruction in chunk], features[:, scorer.encoder.pooled_size :]
                )
            return features

        texts = [instruction.text for instruction in instructions]
        features = self._cache("features", self.identity).get(
            texts, compute, progress=self.progress, chunk=_CHUNK
        )
        return scorer.score_encoded(instructions, features, profiles)

    def _cache(self, kind: str, name: str) -> RowCache:
        if name not in self._caches:
            path = None if self._folder is None else self._folder / kind / f"{name}.npz"
            self._caches[name] = RowCache(path)
        return self._caches[name]


def score_cached(
    scorer: Scorer,
    instructions: Sequence[Instruction],
    profiles: Sequence[CapabilityProfile],
    cache: RowCache,
    *,
    progress: Progress = no_progress,
) -> ScoreMatrix:
    """Score through a cache, which must be this scorer's and these profiles' own.

    Args:
        scorer: Scores what is not in the cache.
        instructions: The rows.
        profiles: The columns.
        cache: Of rows of logits, then probabilities.
        progress: Called with (instructions done, instructions in all).
    """

    def compute(positions: Sequence[int]) -> NDArray[np.float32]:
        scores = scorer.score([instructions[position] for position in positions], profiles)
        return np.concatenate([scores.logits, scores.probabilities], axis=1)

    rows = cache.get([instruction.text for instruction in instructions], compute, progress=progress)
    logits, probabilities = np.split(rows, 2, axis=1)
    return ScoreMatrix(
        instruction_ids=tuple(instruction.id for instruction in instructions),
        candidates=tuple(profile.candidate for profile in profiles),
        logits=logits,
        probabilities=probabilities,
    )
