"""What tuning minimises in each layout: a network, the instructions, and who solved what."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from modelsat.network.adapters import Adaptable
from modelsat.network.attention import CardTensors
from modelsat.network.backbone import Backbone
from modelsat.network.exam_network import ExamAttentionNetwork
from modelsat.network.paper.prompted import PromptedNetwork, Representations
from modelsat.scoring.numeric_encoder import CardBatch, ExamStatistics
from modelsat.tuning.losses import homogeneous_loss, outcome_loss, ranking_loss
from modelsat.tuning.precision import full_precision
from modelsat.tuning.recipe import Recipe
from modelsat.tuning.samples import draw_candidates, homogeneous_groups, pair_weights
from modelsat.tuning.teacher import TeacherTargets
from modelsat.types import FloatArray

# Rows and whether options are dropped -> pooled states and sentence embeddings.
Features = Callable[[NDArray[np.intp], bool], tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingTargets:
    """Outcomes to learn, with the cards of the candidates.

    Attributes:
        scores: [instruction, candidate]; NaN where unknown.
        categories: [instruction] int.
        item_categories: [item] int.
        category_count: How many categories there are.
        cards: The candidates' profiles as numbers.
        statistics: Of the exam.
    """

    scores: FloatArray
    categories: NDArray[np.intp]
    item_categories: NDArray[np.intp]
    category_count: int
    cards: CardBatch
    statistics: ExamStatistics


def adapters_of(backbone: Adaptable) -> list[nn.Parameter]:
    """The backbone's parameters that tuning changes."""
    return [parameter for parameter in backbone.parameters() if parameter.requires_grad]


class ExamAttentionObjective:
    """Layout exam_attention.

    Args:
        network: The head.
        backbone: With adapters in stage 2, without in stage 1.
        targets: Outcomes and cards.
        features: How instructions are read.
        lengths: [instruction] tokens.
        recipe: Settings.
        head_rate: Learning rate of the head.
        option_dropout: Share of steps without options.
        teacher_targets: Soft targets of the same instructions.
    """

    def __init__(
        self,
        network: ExamAttentionNetwork,
        backbone: Backbone,
        targets: TrainingTargets,
        *,
        features: Features,
        lengths: NDArray[np.intp],
        recipe: Recipe,
        head_rate: float,
        option_dropout: float,
        teacher_targets: TeacherTargets,
    ) -> None:
        self.network = network
        self.backbone = backbone
        self.targets = targets
        self.features = features
        self.lengths = lengths
        self.recipe = recipe
        self.head_rate = head_rate
        self.option_dropout = option_dropout
        self.teacher_targets = teacher_targets

    def groups(self) -> list[dict[str, Any]]:
        """See `Objective`."""
        return parameter_groups(self.network, self.backbone, self.head_rate, self.recipe.adapter_rate)

    def tuned(self) -> Iterator[tuple[str, Tensor]]:
        """See `Objective`."""
        return tuned_tensors(self.network, self.backbone)

    def loss(self, rows: NDArray[np.intp], rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Resampled and virtual candidates on some instructions; see `Objective`."""
        self.network.train()
        targets = self.targets
        pooled, text = self.features(rows, bool(rng.random() < self.option_dropout))
        drawn = draw_candidates(
            targets.cards,
            targets.statistics,
            targets.item_categories,
            categories=targets.category_count,
            mixup_ratio=self.recipe.mixup_ratio,
            rng=rng,
        )
        cards = CardTensors(
            levels=torch.from_numpy(drawn.cards.levels),
            residuals=torch.from_numpy(drawn.cards.residuals),
            weights=torch.from_numpy(drawn.cards.weights),
            keys=self.network.keys(),
        )
        scores = drawn.scores(targets.scores[rows], targets.categories[rows])
        with full_precision():
            base, attended, _ = self.network(pooled.float(), text, cards)
            # Each head learns by itself; only their scores are averaged.
            logits = base + attended
            if not self.teacher_targets:
                return combined_loss(logits, scores, drawn.cards.levels, self.recipe, rng)
            soft_targets = self.teacher_targets.probabilities(rows, drawn.cards)
            return soft_target_loss(logits, soft_targets, scores, drawn.cards.levels, self.recipe, rng)


class PromptedObjective:
    """Layouts capability_first and shared_prefix.

    Args:
        network: Connector and head; its backbone carries adapters in stage 2.
        tokens: Token ids of each instruction, with and without options (`tokens[stem][row]`).
        representations: Of the candidates.
        targets: Outcomes and cards; the cards give levels only.
        recipe: Settings.
        head_rate: Learning rate of connector and head.
    """

    def __init__(
        self,
        network: PromptedNetwork,
        *,
        tokens: dict[bool, list[list[int]]],
        representations: Representations,
        targets: TrainingTargets,
        recipe: Recipe,
        head_rate: float,
    ) -> None:
        self.network = network
        self.tokens = tokens
        self.representations = representations
        self.targets = targets
        self.recipe = recipe
        self.head_rate = head_rate
        self.lengths = np.array([len(ids) for ids in tokens[False]])

    def groups(self) -> list[dict[str, Any]]:
        """See `Objective`."""
        head = nn.ModuleList(module for name, module in self.network.named_children() if name != "backbone")
        return parameter_groups(head, self.network.backbone, self.head_rate, self.recipe.adapter_rate)

    def tuned(self) -> Iterator[tuple[str, Tensor]]:
        """See `Objective`."""
        for name, value in self.network.named_parameters():
            if value.requires_grad:
                yield name, value.detach()

    def loss(self, rows: NDArray[np.intp], rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """All candidates on some instructions in one packed pass; see `Objective`."""
        self.network.train()
        stem = bool(rng.random() < self.recipe.option_dropout)
        logits = self.network([self.tokens[stem][row] for row in rows], self.representations)
        with full_precision():
            return combined_loss(
                logits[None].float(), self.targets.scores[rows], self.targets.cards.levels, self.recipe, rng
            )


def combined_loss(
    logits: Tensor,
    scores: FloatArray,
    levels: FloatArray,
    recipe: Recipe,
    rng: np.random.Generator,
) -> tuple[Tensor, dict[str, float]]:
    """The recipe's loss, averaged over heads, and its parts.

    Args:
        logits: [head, instruction, candidate].
        scores: [instruction, candidate]; NaN where unknown.
        levels: [candidate] standardised.
        recipe: Which loss, which weights.
        rng: Draws homogeneous groups.
    """
    if recipe.loss == "homogeneous":
        columns, members = homogeneous_groups(scores, group=recipe.group, count=len(scores), rng=rng)
        picked = logits[:, torch.from_numpy(members), torch.from_numpy(columns)[:, None]]
        loss = torch.stack([homogeneous_loss(head) for head in picked]).mean()
        return loss, {"group_loss": loss.item()}
    weights = torch.from_numpy(
        pair_weights(scores, levels, strength_weight=recipe.strength_weight, lucky_weight=recipe.lucky_weight)
    )
    target = torch.from_numpy(scores)
    outcome = torch.stack([outcome_loss(head, target, weights) for head in logits]).mean()
    ranking = torch.stack([ranking_loss(head, target, weights) for head in logits]).mean()
    return outcome + recipe.ranking_weight * ranking, {
        "outcome_loss": outcome.item(),
        "ranking_loss": ranking.item(),
    }


def soft_target_loss(
    logits: Tensor,
    soft_targets: FloatArray,
    hard_targets: FloatArray,
    levels: FloatArray,
    recipe: Recipe,
    rng: np.random.Generator,
) -> tuple[Tensor, dict[str, float]]:
    """The recipe's loss on a mixture of soft and hard targets, plus the margin loss between pairs of candidates.

    Args:
        logits: [head, instruction, candidate].
        soft_targets: [instruction, candidate] the teachers' Pr("Yes").
        hard_targets: [instruction, candidate] scores; NaN where unknown, and there the teachers alone count.
        levels: [candidate] standardised.
        recipe: Which loss, which weights.
        rng: Draws homogeneous groups.
    """
    share = recipe.hard_label_weight
    target = np.where(
        np.isnan(hard_targets), soft_targets, (1 - share) * soft_targets + share * hard_targets
    ).astype(np.float32)
    loss, parts = combined_loss(logits, target, levels, recipe, rng)
    gaps = _centred(logits) - _centred(torch.logit(torch.from_numpy(soft_targets), eps=1e-4))
    gap = gaps.square().mean()
    return loss + recipe.margin_weight * gap, {**parts, "gap_loss": gap.item()}


def _centred(logits: Tensor) -> Tensor:
    """Logits with each instruction's mean over candidates taken off."""
    return logits - logits.mean(-1, keepdim=True)


def parameter_groups(
    head: nn.Module, backbone: Adaptable, head_rate: float, adapter_rate: float
) -> list[dict[str, Any]]:
    """Parameters of head and adapters with their learning rates, as torch optimisers take them."""
    groups: list[dict[str, Any]] = [{"params": list(head.parameters()), "lr": head_rate}]
    if adapters := adapters_of(backbone):
        groups.append({"params": adapters, "lr": adapter_rate})
    return groups


def tuned_tensors(head: nn.Module, backbone: Adaptable) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of head and adapters, by name."""
    for name, value in head.named_parameters():
        yield f"head.{name}", value.detach()
    for name, value in backbone.named_parameters():
        if value.requires_grad:
            yield f"backbone.{name}", value.detach()
