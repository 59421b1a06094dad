"""Layout 3, exam attention: which exam items speak for an instruction, and what a candidate's answers there say.

    logit_m(x) = difficulty(x) + (b + gain(x)) level_m + a sum_i w_i(x) residual_mi
    w(x) = softmax_i(sharpness cos(q(x), k_i))

One pass over the instruction whatever the size of the zoo, then one matrix product. The attention runs over single
items: a task's weight, shown to users, is the sum over its items.
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelsat.scoring.config import AttentionConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class CardTensors:
    """Profiles as the head reads them.

    Attributes:
        levels: [candidate] standardised.
        residuals: [candidate, unit] standardised; 0 where there is no result.
        weights: [candidate, unit] items that a unit stands for; 0 where the candidate did not sit that exam.
        keys: [unit, text] embeddings of the units, centred.
    """

    levels: Tensor
    residuals: Tensor
    weights: Tensor
    keys: Tensor


class AttentionHead(nn.Module):
    """One exam attention.

    Args:
        features: Width of an instruction's features.
        text: Width of a unit's text embedding.
        config: Sizes.
    """

    def __init__(self, *, features: int, text: int, config: AttentionConfig) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Dropout(config.input_dropout),
            nn.Linear(features, config.hidden),
            nn.GELU(),
            nn.Dropout(config.hidden_dropout),
        )
        self.difficulty = nn.Linear(config.hidden, 1)
        self.gain = nn.Linear(config.hidden, 1)
        self.query = nn.Linear(config.hidden, config.query)
        self.key = nn.Linear(text, config.query)
        self.level_weight = nn.Parameter(torch.tensor(1.0))
        self.residual_weight = nn.Parameter(torch.tensor(2.0))
        self.log_sharpness = nn.Parameter(torch.tensor(math.log(config.sharpness)))

    def forward(self, features: Tensor, cards: CardTensors) -> tuple[Tensor, Tensor, Tensor]:
        """Score candidates.

        Args:
            features: [instruction, feature].
            cards: The candidates.

        Returns:
            Logits without residuals [instruction, candidate]; what the residuals add, the same shape; and
            how strongly each unit is attended to before it is known who sat it, [instruction, unit], highest 1.
        """
        state = self.body(features)
        base = self.difficulty(state) + (self.level_weight + self.gain(state)) * cards.levels[None]
        query = functional.normalize(self.query(state), dim=-1)
        keys = functional.normalize(self.key(cards.keys), dim=-1)
        match = query @ keys.T * self.log_sharpness.exp()
        unnormalised_attention = (match - match.amax(1, keepdim=True)).exp()
        # Each candidate attends over the exams that it sat, so that its score does not depend on the others.
        attended = (unnormalised_attention @ (cards.weights * cards.residuals).T) / (
            unnormalised_attention @ cards.weights.T
        ).clamp(min=1e-9)
        return base, self.residual_weight * attended, unnormalised_attention


class ExamAttention(nn.Module):
    """Several attention heads, averaged: on few candidates a single one is at the mercy of its seed.

    Args:
        features: Width of an instruction's features.
        text: Width of a unit's text embedding.
        config: Sizes, and how many heads.
    """

    def __init__(self, *, features: int, text: int, config: AttentionConfig) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            AttentionHead(features=features, text=text, config=config) for _ in range(config.heads)
        )

    def forward(self, features: Tensor, cards: CardTensors) -> tuple[Tensor, Tensor, Tensor]:
        """As `AttentionHead`, with a leading axis [head] on all three results."""
        results = [cast("AttentionHead", head)(features, cards) for head in self.heads]
        base, attended, unnormalised_attention = zip(*results, strict=True)
        return torch.stack(base), torch.stack(attended), torch.stack(unnormalised_attention)
