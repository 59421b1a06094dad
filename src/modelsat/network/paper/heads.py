"""Connector and heads of layouts 1 and 2: how a representation enters the backbone, how a score is read.

All of it is fp32, whatever the backbone's precision: it is small, and it is what tuning changes most.
"""

from typing import cast

import torch
from torch import Tensor, nn

# Below this share of the mean spread a feature counts as constant in tuning.
_LEAST_SPREAD = 0.05


class Connector(nn.Module):
    """W: one linear layer from capability representations to the backbone's input embeddings.

    The output has the size of the backbone's own embeddings (Gemma's, for one, are many times larger than a
    Llama's), so that e_c neither drowns nor shouts.

    Args:
        features: Width of a representation.
        hidden: Width of the backbone.
        scale: Root mean square of the backbone's input embeddings.
    """

    def __init__(self, features: int, hidden: int, *, scale: float) -> None:
        super().__init__()
        self.linear = nn.Linear(features, hidden, dtype=torch.float32)
        nn.init.normal_(self.linear.weight, std=features**-0.5)
        nn.init.zeros_(self.linear.bias)
        self.scale = nn.Buffer(torch.tensor(scale))
        self.centre = nn.Buffer(torch.zeros(features))
        self.spread = nn.Buffer(torch.ones(features))

    def standardise(self, representations: Tensor) -> None:
        """Centre and scale features by those of the candidates of tuning.

        Representations of different candidates differ little (as texts, in their figures only); without this
        the connector would see one and the same vector. The constants are stored with the weights: a score
        never depends on the zoo at hand.

        Args:
            representations: [candidate, feature] or [candidate, order, feature].
        """
        rows = representations.reshape(-1, representations.shape[-1]).float()
        spread = rows.std(dim=0, correction=0)
        self.centre.copy_(rows.mean(dim=0))
        typical = spread.mean().clamp_min(1e-6)
        # A feature that was constant must not blow up where, one day, it does vary.
        self.spread.copy_(torch.where(spread < _LEAST_SPREAD * typical, typical, spread))

    def forward(self, representations: Tensor) -> Tensor:
        """[..., feature] -> e_c, [..., hidden] fp32."""
        standard = (representations.float() - self.centre) / self.spread
        return self.scale * cast("Tensor", self.linear(standard))


class YesTokenHead(nn.Module):
    """Read the logit of 'Yes' as the next token (paper).

    What is read is the state's product with the output embedding of 'Yes': the raw logit over the vocabulary,
    as in the authors' code, not its softmax. It ranks candidates, but it has no zero point of its own; `gain`
    and `offset` give it one, and start as the identity. Caps that a model puts on its final logits (Gemma 2)
    are left out: they keep the order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.offset = nn.Parameter(torch.zeros(()))

    def forward(self, states: Tensor, yes_direction: Tensor) -> Tensor:
        """[..., hidden] states after the final norm, [hidden] direction -> [...] logits."""
        return self.gain * (states.float() @ yes_direction.float()) + self.offset


class RegressionHead(nn.Module):
    """Read the score with a linear layer on the next-token state (paper: a variant).

    Args:
        hidden: Width of the backbone.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden, 1, dtype=torch.float32)

    def forward(self, states: Tensor, yes_direction: Tensor) -> Tensor:
        """[..., hidden] states after the final norm -> [...] logits; 'Yes' is not asked for."""
        del yes_direction
        return cast("Tensor", self.linear(states.float()))[..., 0]
