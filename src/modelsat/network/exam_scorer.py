"""The tuned router of layout exam_attention as a scorer: what is read of instructions, held against cards.

Reading is nearly all of the cost and is done by an engine, with torch or without; judging is a few small products.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from modelsat.errors import CheckpointError
from modelsat.network.cards import CardBatch, ExamStatistics, encode_profiles, other_task_keys
from modelsat.network.checkpoint import Calibration, Checkpoint
from modelsat.network.exam_head import ExamAttentionHead, ExamKeys
from modelsat.types import CapabilityProfile, Evidence, FloatArray, Instruction, ScoreMatrix

# A block of instructions times a thousand candidates and items stays within the processor's cache.
_BATCH = 32


class Reader(Protocol):
    """An engine: reads texts with the tuned backbone and the sentence encoder.

    Attributes:
        pooled_size: Width of pooled states.
        text_size: Width of sentence embeddings.
    """

    pooled_size: int
    text_size: int

    def read(self, texts: Sequence[str]) -> FloatArray:
        """[text, pooled + text]: pooled states, then sentence embeddings."""
        ...

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """[text, text] sentence embeddings, unit vectors."""
        ...


class ExamAttentionScorer:
    """A tuned router as a scorer.

    Args:
        reader: Reads instructions.
        head: Tuned.
        statistics: Of the exam it was tuned with.
        calibration: Fitted on validation.
        familiarity: Least cosine to the nearest exam item at which an instruction counts as spoken for.
    """

    name = "Model-SAT"

    def __init__(
        self,
        *,
        reader: Reader,
        head: ExamAttentionHead,
        statistics: ExamStatistics,
        calibration: Calibration,
        familiarity: float,
    ) -> None:
        self.reader = reader
        self.head = head
        self.statistics = statistics
        self.calibration = calibration
        self.familiarity = familiarity
        self._profiles: tuple[CapabilityProfile, ...] = ()
        self._cards: tuple[CardBatch, ExamKeys] | None = None

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Score every candidate on every instruction; see `modelsat.routing.scorer.Scorer`."""
        return self.judge(instructions, self.read(instructions), profiles)

    def read(self, instructions: Sequence[Instruction]) -> FloatArray:
        """Read instructions: all that a score depends on besides the cards, and nearly all of its cost.

        Returns:
            [instruction, pooled + text]: pooled states, then sentence embeddings.
        """
        return self.reader.read([instruction.text for instruction in instructions])

    def judge(
        self,
        instructions: Sequence[Instruction],
        readings: FloatArray,
        profiles: Sequence[CapabilityProfile],
    ) -> ScoreMatrix:
        """Score candidates on instructions that have been read.

        Args:
            instructions: The rows.
            readings: As `read` gave them.
            profiles: The columns.
        """
        cards, keys = self._encode_cards(tuple(profiles))
        logits = np.zeros((len(readings), len(profiles)), dtype=np.float32)
        tasks = (*self.statistics.tasks, *(name for name, _ in cards.other_tasks))
        weights = np.zeros((len(readings), len(tasks)), dtype=np.float32)
        level_only = np.zeros(len(readings), dtype=np.bool_)
        for start in range(0, len(readings), _BATCH):
            rows = slice(start, start + _BATCH)
            base, attended, pull = self.head(readings[rows], cards, keys)
            spoken = self._spoken_for(readings[rows, self.reader.pooled_size :], cards, keys)
            logits[rows] = (base + attended * spoken).mean(0)
            level_only[rows] = ~spoken.any(1)
            weights[rows] = self._task_weights(pull, cards)
        return ScoreMatrix(
            instruction_ids=tuple(instruction.id for instruction in instructions),
            candidates=tuple(profile.candidate for profile in profiles),
            logits=logits,
            probabilities=self.calibration.probabilities(logits),
            evidence=Evidence(tasks=tasks, weights=weights, level_only=level_only),
        )

    def _encode_cards(self, profiles: tuple[CapabilityProfile, ...]) -> tuple[CardBatch, ExamKeys]:
        # A zoo changes far less often than it is asked; profiles are frozen, so that identity is enough.
        same = len(profiles) == len(self._profiles) and all(
            new is old for new, old in zip(profiles, self._profiles, strict=True)
        )
        if self._cards is None or not same:
            cards = encode_profiles(profiles, self.statistics)
            others = other_task_keys(cards.other_tasks, self.reader.embed) if cards.other_tasks else None
            self._cards = cards, self.head.keys(others)
            self._profiles = profiles
        return self._cards

    def _spoken_for(self, text: FloatArray, cards: CardBatch, keys: ExamKeys) -> NDArray[np.bool_]:
        """[instruction, candidate]; an exam that the candidate sat has something close to the instruction."""
        near = (text @ keys.embeddings.T >= self.familiarity).astype(np.float32)
        return np.asarray(near @ (cards.weights > 0).astype(np.float32).T > 0)

    def _task_weights(self, pull: FloatArray, cards: CardBatch) -> FloatArray:
        """[instruction, task] attention summed over each task's items, rows summing to 1."""
        # What a unit stands for differs by candidate only in exams of its own; the largest is shown.
        attended = pull * cards.weights.max(0)
        units = (attended / attended.sum(2, keepdims=True)).mean(0)
        items = len(self.statistics.difficulty)
        by_task = np.zeros((len(units), len(self.statistics.tasks)), dtype=np.float32)
        np.add.at(by_task.T, self.statistics.task_of_item, units[:, :items].T)
        joined = np.concatenate([by_task, units[:, items:]], axis=1)
        return np.asarray(joined / joined.sum(1, keepdims=True), dtype=np.float32)


def exam_attention_scorer(checkpoint: Checkpoint, reader: Reader, *, folder: Path) -> ExamAttentionScorer:
    """Put a checkpoint's head on a reader.

    Raises:
        CheckpointError: A tensor of the head is missing or has another shape; names the file.
    """
    statistics = checkpoint.statistics
    expected = (len(statistics.difficulty), reader.text_size)
    found = checkpoint.head.get("item_embeddings")
    if found is None or found.shape != expected:
        raise CheckpointError(
            f"{folder}: tensor 'head.item_embeddings' is {None if found is None else list(found.shape)}; "
            f"expected {list(expected)}."
        )
    try:
        head = ExamAttentionHead(checkpoint.head, config=checkpoint.config, pooled=reader.pooled_size)
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: the head does not fit its configuration: {error}") from None
    return ExamAttentionScorer(
        reader=reader,
        head=head,
        statistics=statistics,
        calibration=checkpoint.calibration,
        familiarity=checkpoint.familiarity,
    )
