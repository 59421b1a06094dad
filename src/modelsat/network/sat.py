"""The tuned router of layout exam_attention: instructions and profiles in, scores out.

Reads each instruction once with the backbone and once with the sentence encoder, and hands both to the exam attention.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from modelsat.errors import CheckpointError
from modelsat.network.attention import CardTensors, ExamAttention
from modelsat.network.backbone import Backbone, TokenBatch, causal_visibility, pad
from modelsat.network.cards import CardBatch, ExamStatistics, encode_profiles, other_task_keys
from modelsat.network.checkpoint import Calibration, Checkpoint
from modelsat.network.config import NetworkConfig
from modelsat.network.encoder import TextEncoder
from modelsat.types import CapabilityProfile, Evidence, FloatArray, Instruction, ScoreMatrix

# Sentence embeddings are unit vectors; this brings their entries to about unit variance, beside the normed states.
_TEXT_SCALE = 20.0
_BATCH = 32

Embed = Callable[[Sequence[str]], FloatArray]


class ExamAttentionNetwork(nn.Module):
    """Everything that layout exam_attention tunes besides the adapters.

    Args:
        hidden: Width of the backbone's states.
        item_embeddings: [item, text] sentence embeddings of the exam's items.
        config: The network's parts.
    """

    center: Tensor
    item_embeddings: Tensor

    def __init__(self, *, hidden: int, item_embeddings: Tensor, config: NetworkConfig) -> None:
        super().__init__()
        text = item_embeddings.shape[1]
        self.norm = nn.LayerNorm(2 * hidden)
        self.attention = ExamAttention(features=2 * hidden + text, text=text, config=config.attention)
        self.register_buffer("item_embeddings", item_embeddings.clone())
        self.register_buffer("center", item_embeddings.mean(0))

    def features(self, pooled: Tensor, text: Tensor) -> Tensor:
        """Join what the backbone and the sentence encoder say, [instruction, feature].

        Args:
            pooled: [instruction, 2 hidden], see `pool`.
            text: [instruction, text] sentence embeddings.
        """
        return torch.cat([self.norm(pooled), _TEXT_SCALE * (text - self.center)], dim=1)

    def keys(self, others: Tensor | None = None) -> Tensor:
        """[unit, text]: the items' embeddings, then those of other exams' tasks, centred and scaled."""
        embeddings = self.item_embeddings if others is None else torch.cat([self.item_embeddings, others])
        return _TEXT_SCALE * (embeddings - self.center)

    def forward(self, pooled: Tensor, text: Tensor, cards: CardTensors) -> tuple[Tensor, Tensor, Tensor]:
        """As `ExamAttention`: base logits, what residuals add, and the pull of units, each with an axis [head]."""
        base, attended, pull = self.attention(self.features(pooled, text), cards)
        return base, attended, pull


def pool(states: Tensor, lengths: Tensor) -> Tensor:
    """Mean state and last state, [batch, 2 hidden].

    Args:
        states: [batch, position, hidden].
        lengths: [batch].
    """
    present = torch.arange(states.shape[1], device=states.device)[None] < lengths[:, None]
    mean = (states * present[..., None]).sum(1) / lengths[:, None]
    last = states[torch.arange(len(states), device=states.device), lengths - 1]
    return torch.cat([mean, last], dim=1)


def read_states(backbone: Backbone, batch: TokenBatch) -> Tensor:
    """Final states of the backbone on a batch, [batch, position, hidden]."""
    positions = torch.arange(batch.ids.shape[1])[None].expand(len(batch.ids), -1)
    return backbone.run(
        backbone.embed(batch.ids), positions=positions, visible=causal_visibility(batch.present)
    )


def card_tensors(cards: CardBatch, network: ExamAttentionNetwork, embed: Embed) -> CardTensors:
    """Encoded profiles as tensors, with the keys of their units."""
    others = torch.from_numpy(other_task_keys(cards.other_tasks, embed)) if cards.other_tasks else None
    return CardTensors(
        levels=torch.from_numpy(cards.levels),
        residuals=torch.from_numpy(cards.residuals),
        weights=torch.from_numpy(cards.weights),
        keys=network.keys(others),
    )


class ExamAttentionScorer:
    """A tuned router as a scorer.

    Args:
        backbone: With adapters merged.
        embed: Texts to unit vectors, as the sentence encoder gives them.
        network: Tuned.
        statistics: Of the exam it was tuned with.
        calibration: Fitted on validation.
        tokens: Token budget of an instruction.
        familiarity: Least cosine to the nearest exam item at which an instruction counts as spoken for.
    """

    name = "Model-SAT"

    def __init__(
        self,
        *,
        backbone: Backbone,
        embed: Embed,
        network: ExamAttentionNetwork,
        statistics: ExamStatistics,
        calibration: Calibration,
        tokens: int,
        familiarity: float,
    ) -> None:
        self.backbone = backbone.eval()
        self.embed = embed
        self.network = network.eval()
        self.statistics = statistics
        self.calibration = calibration
        self.tokens = tokens
        self.familiarity = familiarity
        self._profiles: tuple[CapabilityProfile, ...] = ()
        self._cards: tuple[CardBatch, CardTensors] | None = None

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        """Score every candidate on every instruction; see `modelsat.routing.scorer.Scorer`."""
        return self.judge(instructions, self.read(instructions), profiles)

    @torch.inference_mode()
    def read(self, instructions: Sequence[Instruction]) -> FloatArray:
        """Read instructions: all that a score depends on besides the cards, and nearly all of its cost.

        Returns:
            [instruction, 2 hidden + text]: pooled states, then sentence embeddings.
        """
        texts = [instruction.text for instruction in instructions]
        sequences = [self.backbone.tokenize(text, budget=self.tokens) for text in texts]
        readings = np.zeros((len(texts), self._pooled + self.network.center.numel()), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda row: len(sequences[row]))
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            batch = pad([sequences[row] for row in rows])
            readings[rows, : self._pooled] = pool(read_states(self.backbone, batch), batch.lengths).numpy()
            readings[rows, self._pooled :] = self.embed([texts[row] for row in rows])
        return readings

    @torch.inference_mode()
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
        encoded, cards = self._encode_cards(tuple(profiles))
        logits = np.zeros((len(readings), len(profiles)), dtype=np.float32)
        tasks = (*self.statistics.tasks, *(name for name, _ in encoded.other_tasks))
        weights = np.zeros((len(readings), len(tasks)), dtype=np.float32)
        level_only = np.zeros(len(readings), dtype=np.bool_)
        for start in range(0, len(readings), _BATCH):
            rows = slice(start, start + _BATCH)
            reading = torch.from_numpy(readings[rows])
            pooled, text = reading[:, : self._pooled], reading[:, self._pooled :]
            base, attended, pull = self.network(pooled, text, cards)
            spoken = self._familiar(text, cards)
            logits[rows] = (base + attended * spoken).mean(0).numpy()
            level_only[rows] = ~spoken.any(1).numpy()
            weights[rows] = self._task_weights(pull, cards)
        return ScoreMatrix(
            instruction_ids=tuple(instruction.id for instruction in instructions),
            candidates=tuple(profile.candidate for profile in profiles),
            logits=logits,
            probabilities=self.calibration.probabilities(logits),
            evidence=Evidence(tasks=tasks, weights=weights, level_only=level_only),
        )

    @property
    def _pooled(self) -> int:
        """Width of pooled states."""
        return 2 * self.backbone.hidden_size

    def _encode_cards(self, profiles: tuple[CapabilityProfile, ...]) -> tuple[CardBatch, CardTensors]:
        # A zoo changes far less often than it is asked; profiles are frozen, so that identity is enough.
        same = len(profiles) == len(self._profiles) and all(
            new is old for new, old in zip(profiles, self._profiles, strict=True)
        )
        if self._cards is None or not same:
            encoded = encode_profiles(profiles, self.statistics)
            self._cards = encoded, card_tensors(encoded, self.network, self.embed)
            self._profiles = profiles
        return self._cards

    def _familiar(self, text: Tensor, cards: CardTensors) -> Tensor:
        """[instruction, candidate] bool: an exam that the candidate sat has something close to the instruction."""
        embeddings = cards.keys / _TEXT_SCALE + self.network.center
        near = text @ embeddings.T >= self.familiarity
        return near.float() @ (cards.weights > 0).float().T > 0

    def _task_weights(self, pull: Tensor, cards: CardTensors) -> FloatArray:
        """[instruction, task] attention summed over each task's items, rows summing to 1."""
        # What a unit stands for differs by candidate only in exams of its own; the largest is shown.
        attended = pull * cards.weights.amax(0)
        units = (attended / attended.sum(2, keepdim=True)).mean(0).numpy()
        items = len(self.statistics.difficulty)
        by_task = np.zeros((len(units), len(self.statistics.tasks)), dtype=np.float32)
        np.add.at(by_task.T, self.statistics.task_of_item, units[:, :items].T)
        joined = np.concatenate([by_task, units[:, items:]], axis=1)
        return np.asarray(joined / joined.sum(1, keepdims=True), dtype=np.float32)


def exam_attention_scorer(
    checkpoint: Checkpoint, backbone: Backbone, encoder: TextEncoder, *, embed: Embed, folder: Path
) -> ExamAttentionScorer:
    """Put a checkpoint's head on a backbone whose adapters are merged; `embed` reads instructions with the encoder."""
    embeddings = checkpoint.head.get("item_embeddings")
    if embeddings is None or tuple(embeddings.shape) != (
        len(checkpoint.statistics.difficulty),
        encoder.hidden_size,
    ):
        raise CheckpointError(
            f"{folder}: tensor 'head.item_embeddings' is {None if embeddings is None else list(embeddings.shape)}; "
            f"expected [{len(checkpoint.statistics.difficulty)}, {encoder.hidden_size}]."
        )
    network = ExamAttentionNetwork(
        hidden=backbone.hidden_size, item_embeddings=embeddings, config=checkpoint.config
    )
    try:
        network.load_state_dict(dict(checkpoint.head))
    except RuntimeError as error:
        raise CheckpointError(f"{folder}: the head does not fit its configuration: {error}") from None
    return ExamAttentionScorer(
        backbone=backbone,
        embed=embed,
        network=network,
        statistics=checkpoint.statistics,
        calibration=checkpoint.calibration,
        tokens=checkpoint.config.tokens,
        familiarity=checkpoint.familiarity,
    )
