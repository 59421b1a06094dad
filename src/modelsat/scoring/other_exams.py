"""Exams that the router was not tuned with, e.g. one of a user's own: which of their tasks speak, and what they say.

The tuned attention tells the items of the router's own exam apart; tasks that it never saw look nearly alike to it.
Those are matched by plain cosine, between the instruction and a task's keywords or its closest example question, as the
sentence encoder embeds them.
How much they count beside the router's own exam is decided in the same way: what is closer to the instruction speaks.

What they say is in logits: by how much a candidate does better at a task than its level lets expect, as if that exam
were as hard as the router's own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelsat.scoring.numeric_encoder import (
    CardBatch,
    ExamStatistics,
    level_accuracies,
    other_exams,
    other_task,
)
from modelsat.types import CapabilityProfile, FloatArray

# Chosen on validation instructions: subjects of the router's exam were taken out of it and brought back as an exam of
# one's own; see experiments/own-exam.
_SHARPNESS = 15.0
# A few texts never come as close to a request as the closest of a thousand items does.
_MARGIN = 0.1
# As many shots as an expectation is worth: a candidate's level for its mean on an exam, and that mean for each task.
_PRIOR_SHOTS = 20.0
_LEAST = 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OtherExams:
    """The tasks of other exams that some of the candidates sat.

    Attributes:
        keys: [key, text] embeddings of their keywords and example questions, unit vectors.
        first_key: [task]; where a task's keys begin, one task's after the other's.
        gains: [candidate, task] logits by which a candidate does better there than expected; 0 where not sat.
        residuals: [candidate, task] the same in score.
        sat: [candidate, task].
        sat_own: [candidate]; whether a candidate sat the router's exam too.
    """

    keys: FloatArray
    first_key: NDArray[np.intp]
    gains: FloatArray
    residuals: FloatArray
    sat: NDArray[np.bool_]
    sat_own: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        profiles: Sequence[CapabilityProfile],
        cards: CardBatch,
        statistics: ExamStatistics,
        embed: Callable[[Sequence[str]], FloatArray],
    ) -> "OtherExams":
        """Gather what profiles say of other exams; there must be one.

        Args:
            profiles: One per candidate.
            cards: The same, encoded.
            statistics: Of the router's exam.
            embed: Texts to unit vectors.
        """
        expected = level_accuracies(cards, statistics)
        position = {task: at for at, task in enumerate(cards.other_tasks)}
        gains = np.zeros((len(profiles), len(position)), dtype=np.float32)
        residuals = np.zeros_like(gains)
        sat = np.zeros_like(gains, dtype=np.bool_)
        for row, profile in enumerate(profiles):
            for exam in other_exams(profile, statistics):
                shots = sum(result.shots for result in exam.results)
                mean = _shrunk(exam.level, shots, toward=float(expected[row]))
                for result in exam.results:
                    column = position[other_task(exam, result)]
                    accuracy = _shrunk(result.accuracy, result.shots, toward=mean)
                    gains[row, column] = _logit(accuracy) - _logit(float(expected[row]))
                    residuals[row, column] = accuracy - expected[row]
                    sat[row, column] = True
        items = cards.weights.shape[1] - len(position)
        texts = [texts for _, texts in cards.other_tasks]
        return cls(
            keys=embed([text for group in texts for text in group]),
            first_key=np.cumsum([0, *map(len, texts[:-1])]),
            gains=gains,
            residuals=residuals,
            sat=sat,
            sat_own=np.asarray((cards.weights[:, :items] > 0).any(1)),
        )

    def score(self, text: FloatArray, nearest_item: FloatArray) -> "OtherExamScores":
        """What the tasks say of instructions.

        Args:
            text: [instruction, text] sentence embeddings, unit vectors.
            nearest_item: [instruction] cosine of the closest item of the router's exam.
        """
        cosine = self._cosine(text)
        attention = _unnormalised(cosine)
        # Each candidate attends over the tasks that it sat, so that its score does not depend on the others.
        attended = attention @ self.gains.T / np.maximum(attention @ self.sat.astype(np.float32).T, 1e-9)
        nearest = np.where(self.sat[None], cosine[:, None], -1.0).max(2)  # [instruction, candidate]
        share = 1.0 / (1.0 + np.exp(-_SHARPNESS * (nearest + _MARGIN - nearest_item[:, None])))
        share = np.where(self.sat_own, share, 1.0) * self.sat.any(1)
        return OtherExamScores(
            nearest=nearest.astype(np.float32),
            share=share.astype(np.float32),
            gains=attended.astype(np.float32),
        )

    def task_attention(self, text: FloatArray, candidates: Sequence[int]) -> FloatArray:
        """How much of its attention to other exams one instruction gives to each task.

        Args:
            text: [1, text].
            candidates: Their positions.

        Returns:
            [candidate, task]; rows sum to 1, or to 0 where a candidate sat no other exam.
        """
        attention = _unnormalised(self._cosine(text)) * self.sat[list(candidates)]
        return np.asarray(attention / np.maximum(attention.sum(1, keepdims=True), 1e-9), dtype=np.float32)

    def _cosine(self, text: FloatArray) -> FloatArray:
        """[instruction, task]; that of the task's closest text."""
        return np.maximum.reduceat(text @ self.keys.T, self.first_key, axis=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OtherExamScores:
    """What the tasks of other exams say of instructions.

    Attributes:
        nearest: [instruction, candidate] cosine of the closest task that the candidate sat; -1 where it sat none.
        share: [instruction, candidate] how much they count, from 0 to 1; the rest is the router's own exam's.
        gains: [instruction, candidate] attended logits by which the candidate does better than its level.
    """

    nearest: FloatArray
    share: FloatArray
    gains: FloatArray


def _unnormalised(cosine: FloatArray) -> FloatArray:
    """Attention to tasks before it is known who sat them; the highest of each row is 1."""
    return np.asarray(np.exp(_SHARPNESS * (cosine - cosine.max(1, keepdims=True))))


def _shrunk(accuracy: float, shots: int, *, toward: float) -> float:
    return (shots * accuracy + _PRIOR_SHOTS * toward) / (shots + _PRIOR_SHOTS)


def _logit(chance: float) -> float:
    kept = min(max(chance, _LEAST), 1.0 - _LEAST)
    return float(np.log(kept / (1.0 - kept)))
