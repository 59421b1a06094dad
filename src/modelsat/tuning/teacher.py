"""Tuned routers as teachers: they read every instruction once, and then judge any candidates at next to no cost."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit

from modelsat.cache import cache_folder
from modelsat.capability.aptitude import AptitudeTest
from modelsat.errors import DataError, LayoutError
from modelsat.network.encoder import TextEncoder
from modelsat.network.exam_network import Embed
from modelsat.network.load import load_scorer
from modelsat.progress import Progress
from modelsat.scoring.checkpoint import load_checkpoint
from modelsat.scoring.numeric_encoder import CardBatch
from modelsat.scoring.scorer import ExamAttentionScorer
from modelsat.tuning.precision import backbone_precision
from modelsat.tuning.states import StateCache
from modelsat.tuning.store import SentenceEmbeddings
from modelsat.types import FloatArray

_CHUNK = 128
_LEAST = 1e-6


class Teacher:
    """What a tuned router says of some instructions.

    Args:
        folder: Its checkpoint, of layout exam_attention. What was read is kept under the hash of its weights.

    Raises:
        CheckpointError: The checkpoint is damaged.
        LayoutError: It is of another layout.
    """

    def __init__(self, folder: Path) -> None:
        checkpoint = load_checkpoint(folder)
        scorer = load_scorer(checkpoint, embed_with=_through_cache)
        if not isinstance(scorer, ExamAttentionScorer):
            raise LayoutError(f"{folder}: only a router of layout exam_attention can teach a student.")
        self.scorer = scorer
        self.digest = checkpoint.digest
        self._cache = StateCache(cache_folder() / "tuning" / f"features-{self.digest}")

    def encode(self, texts: Sequence[str], *, progress: Progress) -> FloatArray:
        """Readings of texts, kept on disk in fp16, [text, pooled + text]."""
        keys = [hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24] for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._cache}
        order = sorted(missing, key=lambda key: len(missing[key]))
        for start in range(0, len(order), _CHUNK):
            part = order[start : start + _CHUNK]
            # What a student learns from may be rounded, and is read in half the time.
            with backbone_precision():
                features = torch.from_numpy(self.scorer.encoder.encode([missing[key] for key in part]))
            self._cache.add({key: row[None].clone() for key, row in zip(part, features, strict=True)})
            progress("the teacher reads", start + len(part), len(order))
        rows: FloatArray = torch.cat([self._cache.get(key) for key in keys]).numpy()
        return rows

    def embeddings(self, features: FloatArray) -> FloatArray:
        """The sentence embeddings among features, [text, text]."""
        return features[:, self.scorer.encoder.pooled_size :]

    def probabilities(self, features: FloatArray, cards: CardBatch) -> FloatArray:
        """Calibrated Pr("Yes"), [instruction, candidate].

        Args:
            features: As `read` gave them.
            cards: Any candidates, in the exam that the teacher was tuned with.
        """
        base, attended = self.scorer.head(features, cards)
        return self.scorer.calibration.probabilities((base + attended).mean(0))


class TeacherTargets:
    """What teachers say together of some instructions: the mean of their calibrated logits. False where none teaches.

    Args:
        teachers: Any number.
        texts: The instructions.
        exam: Of the cards that will be judged.
        progress: Called with (what, done, in all).

    Raises:
        DataError: A teacher was tuned with another exam.
    """

    def __init__(
        self, teachers: Sequence[Teacher], texts: Sequence[str], *, exam: AptitudeTest, progress: Progress
    ) -> None:
        for teacher in teachers:
            if teacher.scorer.statistics.exam_hash != exam.hash:
                raise DataError(
                    f"teacher {teacher.digest} was tuned with the exam {teacher.scorer.statistics.exam_hash}; "
                    f"tuning is with {exam.name}, {exam.hash}."
                )
        self._teachers = tuple(teachers)
        self._readings = tuple(teacher.encode(texts, progress=progress) for teacher in teachers)

    def __len__(self) -> int:
        return len(self._teachers)

    def embeddings(self) -> FloatArray:
        """Sentence embeddings of the instructions, [instruction, text], as the first teacher read them."""
        return self._teachers[0].embeddings(self._readings[0])

    def probabilities(self, rows: NDArray[np.intp], cards: CardBatch) -> FloatArray:
        """Pr("Yes"), [row, candidate].

        Args:
            rows: Which instructions.
            cards: Any candidates, in the exam that the teachers were tuned with.
        """
        soft_targets = np.stack(
            [
                teacher.probabilities(features[rows], cards)
                for teacher, features in zip(self._teachers, self._readings, strict=True)
            ]
        )
        mean: FloatArray = expit(logit(np.clip(soft_targets, _LEAST, 1 - _LEAST)).mean(0))
        return mean


def _through_cache(encoder: TextEncoder) -> Embed:
    """What tuning has embedded is not embedded again."""
    known = SentenceEmbeddings(encoder, cache_folder() / "tuning")

    def embed(texts: Sequence[str]) -> FloatArray:
        rows: FloatArray = known.get(texts).numpy()
        return rows

    return embed
