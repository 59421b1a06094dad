"""Distillation: a student of layout exam_attention learns from tuned routers' soft targets and a share of the outcomes.

At every step the teachers judge the step's resampled and virtual candidates from what they read of the instructions
once, so that they can be asked about more candidates and more instructions than there are outcomes for.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from modelsat.network.attention import CardTensors
from modelsat.network.encoder import load_encoder
from modelsat.network.exam_network import card_tensors
from modelsat.network.student import StudentNetwork, TruncatedEncoder
from modelsat.progress import Progress
from modelsat.scoring.checkpoint import Checkpoint
from modelsat.scoring.config import NetworkConfig
from modelsat.scoring.numeric_encoder import encode_profiles
from modelsat.scoring.scorer import lead
from modelsat.tuning.dataset import TuningData
from modelsat.tuning.objectives import TrainingTargets, parameter_groups, soft_target_loss, tuned_tensors
from modelsat.tuning.precision import backbone_precision, full_precision
from modelsat.tuning.recipe import Recipe
from modelsat.tuning.run import Run
from modelsat.tuning.samples import draw_candidates
from modelsat.tuning.teacher import Teacher, TeacherTargets
from modelsat.tuning.trainer import Log
from modelsat.types import FloatArray

# Share of tuning instructions that count as not spoken for, as in tuning.
_UNFAMILIAR_SHARE = 0.01
# So many tuning instructions tell that cosine well enough.
_FAMILIAR = 2_000
_BATCH = 32
_IMITATION = "embedding_projection."


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillationRecipe(Recipe):
    """Settings of a distillation. A student with adapters is tuned in stage 2 alone, one without in stage 1 alone.

    Attributes:
        projection_weight: Weight of one minus the cosine between imitated and true sentence embedding.
        deferral_rate: Share of validation decisions that a cascade shall hand to the teacher.
    """

    projection_weight: float = 0.5
    deferral_rate: float = 0.15


class DistillationObjective:
    """What a student minimises; see `modelsat.tuning.trainer.Objective`.

    Args:
        network: The student's head.
        encoder: Its cut encoder, with adapters or without.
        tokens: Token ids of each instruction, with and without options (`tokens[stem][row]`).
        teacher_targets: Soft targets of the instructions.
        embeddings: Sentence embeddings of the instructions, [instruction, text].
        targets: Outcomes where they are known, and the cards.
        recipe: Settings.
        head_rate: Learning rate of the head.
    """

    def __init__(
        self,
        network: StudentNetwork,
        encoder: TruncatedEncoder,
        *,
        tokens: Mapping[bool, list[list[int]]],
        teacher_targets: TeacherTargets,
        embeddings: FloatArray,
        targets: TrainingTargets,
        recipe: DistillationRecipe,
        head_rate: float,
    ) -> None:
        self.network, self.encoder, self.tokens = network, encoder, tokens
        self.teacher_targets, self.embeddings, self.targets = teacher_targets, embeddings, targets
        self.recipe, self.head_rate = recipe, head_rate
        self.lengths = np.array([len(ids) for ids in tokens[False]])

    def groups(self) -> list[dict[str, Any]]:
        """See `Objective`."""
        return parameter_groups(self.network, self.encoder, self.head_rate, self.recipe.adapter_rate)

    def tuned(self) -> Iterator[tuple[str, Tensor]]:
        """See `Objective`."""
        return tuned_tensors(self.network, self.encoder)

    def loss(self, rows: NDArray[np.intp], rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """See `Objective`."""
        self.network.train()
        targets, recipe = self.targets, self.recipe
        stem = bool(rng.random() < recipe.option_dropout)
        with backbone_precision():
            pooled = self.encoder.pooled([self.tokens[stem][row] for row in rows])
        drawn = draw_candidates(
            targets.cards,
            targets.statistics,
            targets.item_categories,
            categories=targets.category_count,
            mixup_ratio=recipe.mixup_ratio,
            rng=rng,
        )
        soft_targets = self.teacher_targets.probabilities(rows, drawn.cards)
        hard_targets = drawn.scores(targets.scores[rows], targets.categories[rows])
        cards = CardTensors(
            levels=torch.from_numpy(drawn.cards.levels),
            residuals=torch.from_numpy(drawn.cards.residuals),
            weights=torch.from_numpy(drawn.cards.weights),
            keys=self.network.keys(),
        )
        with full_precision():
            text = self.network.project_embedding(pooled)
            true = torch.from_numpy(self.embeddings[rows])
            unlike = 1.0 - nn.functional.cosine_similarity(text, true, dim=-1).mean()
            base, attended, _ = self.network(pooled, text, cards)
            loss, parts = soft_target_loss(
                base + attended, soft_targets, hard_targets, drawn.cards.levels, recipe, rng
            )
        return loss + recipe.projection_weight * unlike, {**parts, "imitation_loss": unlike.item()}


class DistillationRun(Run[TruncatedEncoder]):
    """See `Run`.

    Args:
        data: What tuning may see; an instruction without outcomes is a row of NaN.
        teachers: At least one tuned router; the first lends its keys of exam items and its sentence embeddings.
        zoos: Candidates to choose among, for the cascade's margin; all of the validation part where there is none.
        config: The student's parts: its backbone is its text encoder.
        recipe: Settings.
        folder: Everything is written here.
        log: See `Run`.
        progress: See `Run`.
        notes: See `Run`.
    """

    def __init__(
        self,
        data: TuningData,
        *,
        teachers: Sequence[Teacher],
        zoos: Mapping[str, tuple[str, ...]],
        config: NetworkConfig,
        recipe: DistillationRecipe,
        folder: Path,
        log: Log,
        progress: Progress,
        notes: Mapping[str, Any],
    ) -> None:
        self.teachers, self.zoos, self.distillation = teachers, zoos, recipe
        super().__init__(
            data,
            config=config,
            recipe=recipe,
            folder=folder,
            log=log,
            progress=progress,
            notes=notes,
            teachers=teachers,
        )

    def load(self) -> TruncatedEncoder:
        """See `Run`."""
        return TruncatedEncoder(load_encoder(self.config.text_encoder), layers=self.config.layers or 0)

    def prepare(self) -> None:
        """See `Run`."""
        torch.manual_seed(self.recipe.seed)
        self.network = StudentNetwork(
            hidden=self.backbone.hidden_size,
            item_embeddings=torch.from_numpy(self.teachers[0].scorer.head.item_embeddings),
            config=self.config,
        )
        self.validation_cards = encode_profiles(self.data.validation.profiles, self.statistics)

    def objective(self, stage: int) -> DistillationObjective:
        """See `Run`."""
        return DistillationObjective(
            self.network,
            self.backbone,
            tokens={
                False: self._tokens(self.data.tuning.texts()),
                True: self._tokens(self.data.tuning.stems()),
            },
            teacher_targets=self.teacher_targets,
            embeddings=self.teacher_targets.embeddings(),
            targets=self.targets(),
            recipe=self.distillation,
            head_rate=self.recipe.stage1_rate if stage == 1 else self.recipe.head_rate,
        )

    @torch.no_grad()
    def validation_logits(self, stage: int) -> FloatArray:
        """See `Run`."""
        self.network.eval()
        pooled = self._pooled(self.data.validation.texts())
        cards = card_tensors(self.validation_cards, self.network)
        base, attended, _ = self.network(pooled, self.network.project_embedding(pooled), cards)
        logits: FloatArray = (base + attended).mean(0).numpy()
        return logits

    def head_tensors(self) -> dict[str, Tensor]:
        """See `Run`."""
        return {
            name: value.detach()
            for name, value in self.network.state_dict().items()
            if not name.startswith(_IMITATION)
        }

    @torch.no_grad()
    def in_domain_threshold(self) -> float:
        """The cosine that nearly all tuning instructions reach, with imitated embeddings."""
        soft_targets = self.network.project_embedding(self._pooled(self.data.tuning.texts()[:_FAMILIAR]))
        nearest = (soft_targets @ self.network.item_embeddings.T).amax(1)
        return float(torch.quantile(nearest, _UNFAMILIAR_SHARE))

    def complete(self, checkpoint: Checkpoint, logits: FloatArray) -> Checkpoint:
        """With the embedding_projection, and the margin of a cascade."""
        names = [profile.candidate for profile in self.data.validation.profiles]
        zoos = [np.flatnonzero(np.isin(names, members)) for members in self.zoos.values()]
        return replace(
            checkpoint,
            embedding_projection={
                name.removeprefix(_IMITATION): value.detach().numpy()
                for name, value in self.network.state_dict().items()
                if name.startswith(_IMITATION)
            },
            margin=fit_margin(
                logits,
                [columns for columns in zoos if len(columns) > 1] or [np.arange(len(names))],
                share=self.distillation.deferral_rate,
            ),
        )

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.backbone.tokenize(text, budget=self.config.tokens) for text in texts]

    def _pooled(self, texts: Sequence[str]) -> Tensor:
        """[text, 2 hidden] pooled states, in the precision of tuning."""
        sequences = self._tokens(texts)
        order = sorted(range(len(sequences)), key=lambda row: len(sequences[row]))
        pooled = torch.zeros(len(sequences), 2 * self.backbone.hidden_size)
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            with backbone_precision():
                pooled[rows] = self.backbone.pooled([sequences[row] for row in rows])
        return pooled


def fit_margin(logits: FloatArray, zoos: Sequence[NDArray[np.intp]], *, share: float) -> float:
    """The margin below which a share of decisions is too close to call.

    Args:
        logits: A student's on validation, [instruction, candidate].
        zoos: Columns of each zoo's candidates; all zoos count alike.
        share: Of decisions that a cascade hands to the teacher.
    """
    return float(np.quantile(np.concatenate([lead(logits[:, columns]) for columns in zoos]), share))
