"""Losses: what is unknown changes nothing, and better answers cost less."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from modelsat.tuning.losses import homogeneous_loss, outcome_loss, ranking_loss
from modelsat.tuning.objectives import combined_loss
from modelsat.tuning.recipe import Recipe

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
NAN = math.nan
LOGITS = torch.tensor([[0.5, -1.0, 2.0], [0.0, 1.5, -0.5]])
SCORES = torch.tensor([[1.0, 0.0, NAN], [0.0, 1.0, 0.0]])
WEIGHTS = torch.tensor([[1.0, 2.0, 0.0], [1.0, 1.0, 0.5]])
LOSSES = pytest.mark.parametrize("loss", [outcome_loss, ranking_loss])


def with_logit(row: int, column: int, value: float) -> Tensor:
    logits = LOGITS.clone()
    logits[row, column] = value
    return logits


def test_outcome_loss_is_the_weighted_cross_entropy() -> None:
    total, weight = 0.0, 0.0
    for logit, score, count in zip(
        LOGITS.flatten().tolist(), SCORES.flatten().tolist(), WEIGHTS.flatten().tolist(), strict=True
    ):
        if count:
            chance = 1 / (1 + math.exp(-logit))
            total -= count * (score * math.log(chance) + (1 - score) * math.log(1 - chance))
            weight += count
    assert outcome_loss(LOGITS, SCORES, WEIGHTS).item() == pytest.approx(total / weight, rel=1e-5)


@LOSSES
@pytest.mark.parametrize("value", [-30.0, 0.0, 30.0])
def test_an_unknown_outcome_changes_nothing(loss: Loss, value: float) -> None:
    logits = with_logit(0, 2, value).requires_grad_()
    changed = loss(logits, SCORES, WEIGHTS)
    assert changed.item() == pytest.approx(loss(LOGITS, SCORES, WEIGHTS).item(), abs=1e-6)
    changed.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[0, 2] == 0
    assert logits.grad.isfinite().all()


@LOSSES
def test_nothing_known_costs_nothing(loss: Loss) -> None:
    unknown = torch.full_like(SCORES, NAN)
    assert loss(LOGITS, unknown, torch.zeros_like(WEIGHTS)).item() == 0


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_what_all_or_none_solved_says_nothing_about_the_order(score: float) -> None:
    agreed = torch.tensor([[score, score, NAN]])
    scores, weights = torch.cat([SCORES, agreed]), torch.cat([WEIGHTS, WEIGHTS[:1]])
    logits = torch.cat([LOGITS, torch.tensor([[3.0, -7.0, 1.0]])])
    assert ranking_loss(logits, scores, weights).item() == pytest.approx(
        ranking_loss(LOGITS, SCORES, WEIGHTS).item(), abs=1e-6
    )


def test_ranking_loss_falls_as_the_solver_rises_and_keeps_under_a_common_shift() -> None:
    losses = [
        ranking_loss(with_logit(1, 1, value), SCORES, WEIGHTS).item() for value in (-2.0, 0.0, 2.0, 6.0)
    ]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[-1] + 1
    assert ranking_loss(LOGITS + 5, SCORES, WEIGHTS).item() == pytest.approx(
        ranking_loss(LOGITS, SCORES, WEIGHTS).item(), abs=1e-5
    )


def test_homogeneous_loss_is_the_cross_entropy_of_the_first() -> None:
    groups = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 2.0, 0.5]])
    expected = np.mean(
        [-math.log(math.exp(group[0]) / sum(map(math.exp, group))) for group in groups.tolist()]
    )
    assert homogeneous_loss(groups).item() == pytest.approx(expected, rel=1e-5)
    assert homogeneous_loss(groups + torch.tensor([1.0, 0.0, 0.0])) < homogeneous_loss(groups)


def test_a_step_without_any_group_costs_nothing_and_does_not_stop_tuning(rng: np.random.Generator) -> None:
    logits = LOGITS[None].clone().requires_grad_()
    solved = np.ones((2, 3), dtype=np.float32)
    loss, _ = combined_loss(
        logits, solved, np.zeros(3, dtype=np.float32), Recipe(loss="homogeneous", group=2), rng
    )
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_heads_learn_by_themselves(rng: np.random.Generator) -> None:
    """The loss over two heads is the mean of theirs, not the loss of their mean."""
    levels, recipe = np.zeros(3, dtype=np.float32), Recipe()
    one, two = LOGITS[None], -LOGITS[None]
    losses = [
        combined_loss(logits, SCORES.numpy(), levels, recipe, rng)[0].item()
        for logits in (one, two, torch.cat([one, two]))
    ]
    assert losses[2] == pytest.approx((losses[0] + losses[1]) / 2, rel=1e-5)
