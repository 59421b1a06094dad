"""The tuned router of layout exam_attention as a scorer, in two phases: encode instructions once, score many cards.

Encoding is nearly all of the cost and runs with torch or ONNX Runtime; scoring encoded instructions is a few small
matrix products.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import is_not
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from modelsat.errors import CheckpointError
from modelsat.scoring.checkpoint import Calibration, Checkpoint
from modelsat.scoring.head import ExamAttentionHead, Queries
from modelsat.scoring.numeric_encoder import CardBatch, ExamStatistics, encode_profiles, level_accuracies
from modelsat.scoring.other_exams import OtherExams
from modelsat.types import CapabilityProfile, FloatArray, Instruction, ScoreMatrix, ScoreParts

# A block of instructions times a thousand candidates and items stays within the processor's cache.
_BATCH = 32


class InstructionEncoder(Protocol):
    """Encodes texts with the tuned backbone and the sentence encoder.

    Attributes:
        runtime: What computes, and in which precision: "torch", "onnx-int8", "onnx-fp32".
        pooled_size: Width of pooled states.
        text_size: Width of sentence embeddings.
    """

    runtime: str
    pooled_size: int
    text_size: int

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """[text, pooled + text]: pooled states, then sentence embeddings."""
        ...

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """[text, text] sentence embeddings, unit vectors."""
        ...


@runtime_checkable
class TwoPhaseScorer(Protocol):
    """A scorer that encodes instructions once and scores any number of cards on the encoded ones.

    Attributes:
        name: Short name for tables and reports.
        encoder: Encodes texts.
        statistics: Of the exam it was tuned with.
    """

    name: str
    encoder: InstructionEncoder
    statistics: ExamStatistics

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Both phases; see `modelsat.routing.scorer.Scorer`."""
        ...

    def encode(self, instructions: Sequence[Instruction]) -> FloatArray:
        """Features of instructions, [instruction, pooled + text]."""
        ...

    def score_encoded(
        self,
        instructions: Sequence[Instruction],
        features: FloatArray,
        profiles: Sequence[CapabilityProfile],
    ) -> ScoreMatrix:
        """Score every candidate on encoded instructions."""
        ...


class ExamAttentionScorer:
    """A tuned router as a scorer.

    Args:
        encoder: Encodes instructions.
        head: Tuned.
        statistics: Of the exam it was tuned with.
        calibration: Fitted on validation.
        in_domain_threshold: Least cosine to the nearest exam item at which an instruction counts as spoken for.
        identity: Checkpoint and runtime: scorers of one identity give the same scores.
    """

    name = "Model-SAT"

    def __init__(
        self,
        *,
        encoder: InstructionEncoder,
        head: ExamAttentionHead,
        statistics: ExamStatistics,
        calibration: Calibration,
        in_domain_threshold: float,
        identity: str = name,
    ) -> None:
        self.identity = identity
        self.encoder = encoder
        self.head = head
        self.statistics = statistics
        self.calibration = calibration
        self.in_domain_threshold = in_domain_threshold
        self._cards: _Cards | None = None

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Score every candidate on every instruction; see `modelsat.routing.scorer.Scorer`."""
        return self._score(instructions, self.encode(instructions), profiles, evident=True)

    def encode(self, instructions: Sequence[Instruction]) -> FloatArray:
        """Features of instructions: all that a score depends on besides the cards, and nearly all of its cost.

        Returns:
            [instruction, pooled + text]: pooled states, then sentence embeddings.
        """
        return self.encoder.encode([instruction.text for instruction in instructions])

    def score_encoded(
        self,
        instructions: Sequence[Instruction],
        features: FloatArray,
        profiles: Sequence[CapabilityProfile],
    ) -> ScoreMatrix:
        """Score candidates on encoded instructions, without evidence.

        Args:
            instructions: The rows.
            features: As returned by `encode`, [instruction, pooled + text].
            profiles: The columns.
        """
        return self._score(instructions, features, profiles, evident=False)

    def _score(
        self,
        instructions: Sequence[Instruction],
        features: FloatArray,
        profiles: Sequence[CapabilityProfile],
        *,
        evident: bool,
    ) -> ScoreMatrix:
        cards = self._encode_cards(tuple(profiles))
        logits = np.zeros((len(features), len(profiles)), dtype=np.float32)
        evidence: list[_Evidence] = []
        for start in range(0, len(features), _BATCH):
            rows = slice(start, start + _BATCH)
            queries = self.head.queries(features[rows])
            logits[rows] = self._logits(queries, cards)
            if evident:
                evidence += [_Evidence(self, queries.row(at), cards) for at in range(len(queries.text))]
        return ScoreMatrix(
            instruction_ids=tuple(instruction.id for instruction in instructions),
            candidates=tuple(profile.candidate for profile in profiles),
            logits=logits,
            probabilities=self.calibration.probabilities(logits),
            evidence=tuple(evidence),
        )

    def _logits(self, queries: Queries, cards: "_Cards") -> FloatArray:
        """[instruction, candidate]."""
        base, attended = self.head.score(queries, cards.own)
        gains, spoken = attended.mean(0), self._in_domain(queries, cards)
        if cards.others is not None:
            other = cards.others.score(queries.text, queries.nearest)
            gains = (1 - other.share) * gains + other.share * other.gains
            spoken |= other.nearest >= self.in_domain_threshold
        return np.asarray(base.mean(0) + gains * spoken)

    def _in_domain(self, queries: Queries, cards: "_Cards") -> NDArray[np.bool_]:
        """[instruction, candidate]; whether the candidate sat items, and one of them is similar to the instruction."""
        close: NDArray[np.bool_] = (queries.nearest >= self.in_domain_threshold)[:, None]
        return close & (cards.own.weights > 0).any(1)

    def parts(self, query: Queries, cards: "_Cards", columns: Sequence[int]) -> ScoreParts:
        """The sum of `_logits` for one instruction and some candidates, part by part."""
        own = cards.own.take(columns)
        attention, effect = self.head.item_attention(query, own)
        contributions = self._by_task(effect * own.residuals)
        residuals = self._by_task(attention * own.residuals * own.scales)
        attention = self._by_task(attention)
        residuals /= np.maximum(attention, 1e-9)
        spoken = self._in_domain(query, cards)[0, columns]
        if cards.others is not None:
            other = cards.others.score(query.text, query.nearest)
            share = other.share[0, columns, None]
            elsewhere = cards.others.task_attention(query.text, columns)
            gains = elsewhere * cards.others.gains[columns]
            contributions = np.concatenate([(1 - share) * contributions, share * gains], axis=1)
            residuals = np.concatenate([residuals, cards.others.residuals[columns]], axis=1)
            attention = np.concatenate([(1 - share) * attention, share * elsewhere], axis=1)
            spoken |= other.nearest[0, columns] >= self.in_domain_threshold
        difficulty = query.difficulty.mean(0)
        return ScoreParts(
            tasks=(*self.statistics.tasks, *cards.other_tasks),
            difficulty=float(difficulty[0, 0]),
            typical=float(self.calibration.probabilities(difficulty)[0, 0]),
            levels=(query.gain[:, 0] * own.levels).mean(0),
            level_accuracies=cards.level_accuracies[columns],
            attention=attention,
            contributions=contributions * spoken[:, None],
            residuals=residuals,
        )

    def _encode_cards(self, profiles: tuple[CapabilityProfile, ...]) -> "_Cards":
        # A zoo changes far less often than it is asked; profiles are frozen, so that identity is enough.
        cards = self._cards
        same = cards is not None and len(profiles) == len(cards.profiles)
        if cards is None or not same or any(map(is_not, profiles, cards.profiles)):
            encoded = encode_profiles(profiles, self.statistics)
            others = None
            if encoded.other_tasks:
                others = OtherExams.of(profiles, encoded, self.statistics, self.encoder.embed)
            names = tuple(name for name, _ in encoded.other_tasks)
            cards = _Cards(
                profiles=profiles,
                own=encoded.of_own_exam(),
                level_accuracies=level_accuracies(encoded, self.statistics),
                other_tasks=names,
                others=others,
            )
            self._cards = cards
        return cards

    def _by_task(self, values: FloatArray) -> FloatArray:
        """Sums over each task's items, [candidate, item] to [candidate, task]."""
        return np.add.reduceat(values, np.cumsum([0, *self.statistics.shots[:-1]]), axis=1)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """See `modelsat.types.Evidence`."""

    scorer: ExamAttentionScorer
    query: Queries
    cards: "_Cards"

    def parts(self, columns: Sequence[int]) -> ScoreParts:
        return self.scorer.parts(self.query, self.cards, list(columns))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Cards:
    """Encoded profiles.

    Attributes:
        profiles: One per candidate.
        own: What they say of the exam that the router was tuned with.
        level_accuracies: [candidate] accuracy on that exam that the level predicts.
        other_tasks: Names of the tasks of other exams.
        others: What they say of these; None where there are none.
    """

    profiles: tuple[CapabilityProfile, ...]
    own: CardBatch
    level_accuracies: FloatArray
    other_tasks: tuple[str, ...]
    others: OtherExams | None


def exam_attention_scorer(checkpoint: Checkpoint, encoder: InstructionEncoder) -> ExamAttentionScorer:
    """Put a checkpoint's head on an instruction encoder.

    Raises:
        CheckpointError: A tensor of the head is missing or has another shape; names the file.
    """
    statistics = checkpoint.statistics
    expected = (len(statistics.difficulty), encoder.text_size)
    found = checkpoint.head.get("item_embeddings")
    if found is None or found.shape != expected:
        raise CheckpointError(
            f"{checkpoint.folder}: tensor 'head.item_embeddings' is {None if found is None else list(found.shape)}; "
            f"expected {list(expected)}."
        )
    try:
        head = ExamAttentionHead(checkpoint.head, config=checkpoint.config, pooled=encoder.pooled_size)
    except CheckpointError as error:
        raise CheckpointError(
            f"{checkpoint.folder}: the head does not fit its configuration: {error}"
        ) from None
    return ExamAttentionScorer(
        encoder=encoder,
        head=head,
        statistics=statistics,
        calibration=checkpoint.calibration,
        in_domain_threshold=checkpoint.in_domain_threshold,
        identity=f"{checkpoint.digest}/{encoder.runtime}",
    )


def lead(logits: FloatArray) -> FloatArray:
    """How far the best candidate is before the second, in logits.

    Args:
        logits: [instruction, candidate].

    Returns:
        [instruction], at least 0; infinite where there is no second.
    """
    if logits.shape[1] < 2:
        return np.full(len(logits), np.inf, dtype=np.float32)
    best = np.partition(logits, -2, axis=1)[:, -2:]
    return np.asarray(best[:, 1] - best[:, 0])
