"""A tuned router as a teacher: it reads every instruction once, and then judges any candidates at next to no cost."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from modelsat.errors import LayoutError
from modelsat.network.cards import CardBatch
from modelsat.network.checkpoint import WEIGHTS_FILE
from modelsat.network.encoder import TextEncoder
from modelsat.network.exam_scorer import ExamAttentionScorer
from modelsat.network.load import load_scorer
from modelsat.network.sat import Embed
from modelsat.network.weights import cache_folder
from modelsat.tuning.precision import backbone_precision
from modelsat.tuning.states import StateCache
from modelsat.tuning.store import SentenceEmbeddings
from modelsat.types import FloatArray

Progress = Callable[[str, int, int], None]
_CHUNK = 128


class Teacher:
    """What a tuned router says of some instructions.

    Args:
        folder: Its checkpoint, of layout exam_attention. What was read is kept under the hash of its weights.

    Raises:
        CheckpointError: The checkpoint is damaged.
        LayoutError: It is of another layout.
    """

    def __init__(self, folder: Path) -> None:
        scorer = load_scorer(folder, embed_with=_through_cache)
        if not isinstance(scorer, ExamAttentionScorer):
            raise LayoutError(f"{folder}: only a router of layout exam_attention can teach a student.")
        self.scorer = scorer
        self.digest = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()[:16]
        self._cache = StateCache(cache_folder() / "tuning" / f"readings-{self.digest}")

    def read(self, texts: Sequence[str], *, progress: Progress) -> FloatArray:
        """Readings of texts, kept on disk in fp16, [text, pooled + text]."""
        keys = [hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24] for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._cache}
        order = sorted(missing, key=lambda key: len(missing[key]))
        for start in range(0, len(order), _CHUNK):
            part = order[start : start + _CHUNK]
            # What a student learns from may be rounded, and is read in half the time.
            with backbone_precision():
                readings = torch.from_numpy(self.scorer.reader.read([missing[key] for key in part]))
            self._cache.add({key: row[None].clone() for key, row in zip(part, readings, strict=True)})
            progress("the teacher reads", start + len(part), len(order))
        rows: FloatArray = torch.cat([self._cache.get(key) for key in keys]).numpy()
        return rows

    def embeddings(self, readings: FloatArray) -> FloatArray:
        """The sentence embeddings among readings, [text, text]."""
        return readings[:, self.scorer.reader.pooled_size :]

    def probabilities(self, readings: FloatArray, cards: CardBatch) -> FloatArray:
        """Calibrated Pr("Yes"), [instruction, candidate].

        Args:
            readings: As `read` gave them.
            cards: Any candidates, in the exam that the teacher was tuned with.
        """
        base, attended, _ = self.scorer.head(readings, cards)
        return self.scorer.calibration.probabilities((base + attended).mean(0))


def _through_cache(encoder: TextEncoder) -> Embed:
    """What tuning has embedded is not embedded again."""
    known = SentenceEmbeddings(encoder, cache_folder() / "tuning")

    def embed(texts: Sequence[str]) -> FloatArray:
        rows: FloatArray = known.get(texts).numpy()
        return rows

    return embed
