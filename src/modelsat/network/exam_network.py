"""Layout exam_attention in torch: the network that tuning works on, and the reading of instructions.

Each instruction is read once with the backbone and once with the sentence encoder; both go to the exam attention.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from modelsat.network.attention import CardTensors, ExamAttention
from modelsat.network.backbone import Backbone, TokenBatch, causal_visibility, pad
from modelsat.scoring.config import TEXT_SCALE, NetworkConfig
from modelsat.scoring.numeric_encoder import CardBatch
from modelsat.types import FloatArray

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
        return torch.cat([self.norm(pooled), TEXT_SCALE * (text - self.center)], dim=1)

    def keys(self) -> Tensor:
        """[item, text]: the items' embeddings, centred and scaled."""
        return TEXT_SCALE * (self.item_embeddings - self.center)

    def forward(self, pooled: Tensor, text: Tensor, cards: CardTensors) -> tuple[Tensor, Tensor, Tensor]:
        """As `ExamAttention`: base logits, what residuals add, unnormalised attention; each with an axis [head]."""
        base, attended, unnormalised_attention = self.attention(self.features(pooled, text), cards)
        return base, attended, unnormalised_attention


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


def card_tensors(cards: CardBatch, network: ExamAttentionNetwork) -> CardTensors:
    """What encoded profiles say of the router's own exam, as tensors, with the keys of its items."""
    own = cards.of_own_exam()
    return CardTensors(
        levels=torch.from_numpy(own.levels),
        residuals=torch.from_numpy(own.residuals),
        weights=torch.from_numpy(own.weights),
        keys=network.keys(),
    )


class TorchInstructionEncoder:
    """Encodes instructions with torch; see `modelsat.scoring.scorer.InstructionEncoder`.

    Args:
        backbone: With adapters merged.
        embed: Texts to unit vectors, as the sentence encoder gives them.
        text_size: Width of these vectors.
        tokens: Token budget of an instruction.
    """

    runtime = "torch"

    def __init__(self, backbone: Backbone, *, embed: Embed, text_size: int, tokens: int) -> None:
        self.backbone = backbone.eval()
        self.embed = embed
        self.tokens = tokens
        self.pooled_size = 2 * backbone.hidden_size
        self.text_size = text_size

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> FloatArray:
        """[text, pooled + text]: pooled states, then sentence embeddings."""
        sequences = [self.backbone.tokenize(text, budget=self.tokens) for text in texts]
        features = np.zeros((len(texts), self.pooled_size + self.text_size), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda row: len(sequences[row]))
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            batch = pad([sequences[row] for row in rows])
            features[rows, : self.pooled_size] = pool(
                read_states(self.backbone, batch), batch.lengths
            ).numpy()
            features[rows, self.pooled_size :] = self.embed([texts[row] for row in rows])
        return features
