"""What tuning minimises: functions of logits and outcomes alone, the same for every layout."""

import torch
from torch import Tensor
from torch.nn import functional


def outcome_loss(logits: Tensor, scores: Tensor, weights: Tensor) -> Tensor:
    """Weighted binary cross entropy over all known (instruction, candidate) pairs.

    Args:
        logits: [instruction, candidate].
        scores: [instruction, candidate] from 0 to 1; anything where the weight is 0.
        weights: [instruction, candidate]; 0 where the outcome is unknown.
    """
    loss = functional.binary_cross_entropy_with_logits(
        logits, torch.nan_to_num(scores), weight=weights, reduction="sum"
    )
    return loss / weights.sum().clamp(min=1e-9)


def ranking_loss(logits: Tensor, scores: Tensor, weights: Tensor) -> Tensor:
    """Listwise cross entropy within each instruction: who solved it should stand above who did not.

    Instructions that all solved, or none, say nothing about the order and are left out. Arguments as in `outcome_loss`.
    """
    known = weights > 0
    solved = torch.where(known, torch.nan_to_num(scores), torch.zeros_like(scores))
    share = solved.sum(1) / known.sum(1).clamp(min=1)
    mixed = ((share > 0) & (share < 1)).float()
    log_choice = functional.log_softmax(logits.masked_fill(~known, -1e4), dim=1)
    target = solved / solved.sum(1, keepdim=True).clamp(min=1e-9)
    return (-(target * log_choice).sum(1) * mixed).sum() / mixed.sum().clamp(min=1)


def homogeneous_loss(logits: Tensor) -> Tensor:
    """Cross entropy over groups of one candidate's instructions, the solved one first (paper: tuning).

    Args:
        logits: [group, instruction]; no group costs nothing.
    """
    if not len(logits):
        return logits.sum()
    return functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64))
