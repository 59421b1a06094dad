"""The evidence network: any graded items are a candidate's evidence, and one function scores from them.

For candidate c with graded items i (score y, weight w), and an instruction x:

    level    l = argmax of the Rasch likelihood, P(solved) = sigmoid(l - d_i), under N(mu, 1/tau); variance 1 / information
    residual r_i = y_i - sigmoid(l - d_i),  information v_i = p_i (1 - p_i)
    ability around x, from wide to near kernels h, each the prior mean of the next with precision lambda_h:
        a_0 = l,   a_h = a_{h-1} + (sum_i w_i K_h(x, i) (r_i - v_i (a_{h-1} - l))) / (sum_i w_i K_h(x, i) v_i + lambda_h)
    logit(x) = gain(x) (a_H(x) - d(x))

A change of ability is one Newton step; with little evidence around x it fades to 0. d, gain and the keys that kernels
compare are functions of the text alone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its common name


@dataclass(frozen=True)
class Encoded:
    """What the text says: difficulty [item], gain [item], keys [kernel, item, key] (unit vectors)."""

    difficulty: Tensor
    gain: Tensor
    keys: Tensor

    def __getitem__(self, at: Tensor) -> "Encoded":
        return Encoded(self.difficulty[at], self.gain[at], self.keys[:, at])


@dataclass(frozen=True)
class Scored:
    """Logits [candidate, query] of each part, and the variance of their sum."""

    base: Tensor
    offsets: Tensor  # [kernel, candidate, query]
    mass: Tensor  # [kernel, candidate, query] information around the query
    variance: Tensor

    @property
    def logits(self) -> Tensor:
        return self.base + self.offsets.sum(0)


class EvidenceNetwork(nn.Module):
    """Head over features of a text.

    Args:
        features: Their width.
        hidden: Of the body.
        key: Width of keys.
        own_keys: Keys of their own for each kernel; else all kernels share one.
    """

    def __init__(
        self,
        features: int,
        *,
        hidden: int = 256,
        key: int = 64,
        kernels: int = 2,
        own_keys: bool = False,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.kernels, self.own_keys = kernels, own_keys
        self.norm = nn.LayerNorm(features)
        self.body = nn.Sequential(
            nn.Dropout(dropout / 2), nn.Linear(features, hidden), nn.GELU(), nn.Dropout(dropout)
        )
        self.difficulty, self.gain = nn.Linear(hidden, 1), nn.Linear(hidden, 1)
        self.key = nn.Linear(hidden, key * (kernels if own_keys else 1))
        self.log_sharpness = nn.Parameter(torch.linspace(1.0, 2.3, kernels))
        self.log_prior = nn.Parameter(torch.linspace(0.0, 1.0, kernels))
        self.slope = nn.Parameter(torch.tensor(1.0))
        self.level_mean, self.log_precision = nn.Parameter(torch.tensor(0.0)), nn.Parameter(torch.tensor(0.0))

    def encode(self, features: Tensor) -> Encoded:
        """Read features [item, feature]."""
        state = self.body(self.norm(features))
        keys = self.key(state).view(
            len(features), -1, self.key.out_features // (self.kernels if self.own_keys else 1)
        )
        keys = F.normalize(keys, dim=-1).transpose(0, 1).expand(self.kernels, -1, -1)
        return Encoded(self.difficulty(state)[:, 0], 0.3 * torch.tanh(self.gain(state)[:, 0]), keys)

    def levels(
        self, difficulty: Tensor, scores: Tensor, weights: Tensor, *, steps: int = 8
    ) -> tuple[Tensor, Tensor]:
        """MAP levels and their variances, [candidate] each.

        Args:
            difficulty: [item].
            scores: [candidate, item], 0 where the weight is 0.
            weights: [candidate, item].
        """
        precision = self.log_precision.exp()
        level = self.level_mean.expand(len(scores))
        for _ in range(steps):
            solved = torch.sigmoid(level[:, None] - difficulty)
            slope = (weights * (scores - solved)).sum(1) - precision * (level - self.level_mean)
            information = (weights * solved * (1 - solved)).sum(1) + precision
            level = level + (slope / information).clamp(-1.5, 1.5)
        return level, 1 / information

    def forward(self, support: Encoded, scores: Tensor, weights: Tensor, query: Encoded) -> Scored:
        """Score candidates [candidate] on queries [query] from their evidence [candidate, item]."""
        level, level_variance = self.levels(support.difficulty, scores, weights)
        solved = torch.sigmoid(level[:, None] - support.difficulty)
        residual = weights * (scores - solved)
        information = weights * solved * (1 - solved)
        gain = self.slope * (1 + query.gain)
        base = gain * (level[:, None] - query.difficulty)
        variance = gain**2 * level_variance[:, None]
        moved, offsets, masses = torch.zeros_like(base), [], []
        for kernel in range(self.kernels):
            cosine = query.keys[kernel] @ support.keys[kernel].T  # [query, item]
            pull = torch.exp(self.log_sharpness[kernel].exp() * (cosine - 1))
            mass, prior = information @ pull.T, self.log_prior[kernel].exp()
            change = (residual @ pull.T - moved * mass) / (mass + prior)
            variance = gain**2 / (mass + prior) + (prior / (mass + prior)) ** 2 * variance
            moved = moved + change
            offsets.append(gain * change)
            masses.append(mass)
        return Scored(base, torch.stack(offsets), torch.stack(masses), variance)
