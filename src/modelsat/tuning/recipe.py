"""The recipe: every number that tuning depends on."""

from dataclasses import dataclass
from typing import Literal

from modelsat.errors import DataError

Loss = Literal["listwise", "homogeneous"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Settings of the two stages.

    Stage 1 tunes the head on states of the untuned backbone; stage 2 tunes adapters and head together.

    Attributes:
        seed: Of everything random.
        loss: "listwise": all candidates of an instruction, cross entropy plus a ranking term. "homogeneous": the
            paper's groups of k instructions of one candidate, one solved and k - 1 failed.
        group: Instructions in a homogeneous group (the paper's k).
        ranking_weight: Weight of the ranking term within an instruction.
        mixup_ratio: Virtual candidates per real one: two parents, switched by category.
        strength_weight: How much more an outcome of a stronger candidate counts, per standard deviation of level.
        lucky_weight: Weight of a solved outcome where fewer than one in ten candidates solved.
        option_dropout: Share of instructions shown without their lettered options.
        stage1_epochs: Epochs of stage 1.
        stage1_batch: Instructions per step of stage 1.
        stage1_rate: Learning rate of stage 1.
        stage2_epochs: Epochs of stage 2; 0 stops after stage 1.
        stage2_batch: Instructions per step of stage 2.
        head_rate: Learning rate of the head in stage 2.
        adapter_rate: Learning rate of the adapters.
        weight_decay: Of both stages.
        warmup: Share of steps in which the learning rate rises.
        clip: Largest norm of a gradient.
        start: Hash of the weights that tuning goes on from; empty where it starts anew.
        teachers: Hashes of the weights of routers whose predictions are soft targets.
        hard_label_weight: Share of the outcome in the target, where it is known; the rest is the teachers' Pr("Yes").
        margin_weight: Weight of the margin loss: squared differences to the teachers' logits, each instruction's mean
            subtracted (differences between pairs of candidates).
    """

    seed: int = 0
    loss: Loss = "listwise"
    group: int = 4
    ranking_weight: float = 0.2
    mixup_ratio: float = 1.0
    strength_weight: float = 0.0
    lucky_weight: float = 1.0
    option_dropout: float = 0.3
    stage1_epochs: int = 8
    stage1_batch: int = 128
    stage1_rate: float = 2e-3
    stage2_epochs: int = 2
    stage2_batch: int = 16
    head_rate: float = 5e-4
    adapter_rate: float = 4e-4
    weight_decay: float = 0.02
    warmup: float = 0.05
    clip: float = 1.0
    start: str = ""
    teachers: tuple[str, ...] = ()
    hard_label_weight: float = 0.3
    margin_weight: float = 0.5

    def __post_init__(self) -> None:
        if self.loss not in ("listwise", "homogeneous"):
            raise DataError(f"recipe: loss is {self.loss!r}; expected 'listwise' or 'homogeneous'.")
        if self.teachers and self.loss == "homogeneous":
            raise DataError(
                "recipe: loss is 'homogeneous', which sorts by solved and failed; teachers give probabilities. "
                "Use 'listwise', or leave the teachers out."
            )
        if self.group < 2:
            raise DataError(f"recipe: group is {self.group}; expected at least 2.")
        for name in ("stage1_batch", "stage2_batch"):
            if getattr(self, name) < 1:
                raise DataError(f"recipe: {name} is {getattr(self, name)}; expected at least 1.")
        for name in ("option_dropout", "warmup", "hard_label_weight"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise DataError(f"recipe: {name} is {getattr(self, name)}; expected a number from 0 to 1.")
