"""Tuning of layout exam_attention: from cached states of the frozen layers."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from modelsat.network.backbone import Backbone, load_backbone
from modelsat.network.exam_network import ExamAttentionNetwork, card_tensors
from modelsat.scoring.numeric_encoder import encode_profiles
from modelsat.tuning.dataset import Part
from modelsat.tuning.objectives import ExamAttentionObjective
from modelsat.tuning.precision import bf16_device
from modelsat.tuning.run import Run
from modelsat.tuning.store import InstructionStore
from modelsat.types import FloatArray

# Share of tuning instructions that count as not spoken for: they mark where the exam ends.
_UNFAMILIAR_SHARE = 0.01


class ExamAttentionRun(Run[Backbone]):
    """See `Run`."""

    def load(self) -> Backbone:
        """See `Run`."""
        return load_backbone(self.config.backbone, layers=self.config.layers)

    def prepare(self) -> None:
        """See `Run`."""
        if bf16_device():
            self.backbone.to(torch.bfloat16)
        self.tuning = self._store(self.data.tuning)
        self.validation = self._store(self.data.validation)
        self.network = ExamAttentionNetwork(
            hidden=self.backbone.hidden_size,
            item_embeddings=self.tuning.embed(self.encoder, self.data.item_texts),
            config=self.config,
        )
        self.validation_cards = encode_profiles(self.data.validation.profiles, self.statistics)

    def objective(self, stage: int) -> ExamAttentionObjective:
        """Stage 1: the head on pooled states of the untuned backbone. Stage 2: through the adapters."""
        untuned = self.tuning.untuned_pooled() if stage == 1 else None

        def features(rows: np.ndarray[Any, np.dtype[np.intp]], stem: bool) -> tuple[Tensor, Tensor]:
            pooled = (
                self.tuning.pooled(rows, stem=stem) if untuned is None else untuned[torch.from_numpy(rows)]
            )
            return pooled, self.tuning.embeddings(rows, stem=stem)

        return ExamAttentionObjective(
            self.network,
            self.backbone,
            self.targets(),
            features=features,
            lengths=self.tuning.lengths,
            recipe=self.recipe,
            head_rate=self.recipe.stage1_rate if stage == 1 else self.recipe.head_rate,
            # Stage 1 reads pooled states, which are cached with options only.
            option_dropout=0.0 if stage == 1 else self.recipe.option_dropout,
            teacher_targets=self.teacher_targets,
        )

    @torch.no_grad()
    def validation_logits(self, stage: int) -> FloatArray:
        """See `Run`."""
        self.network.eval()
        pooled = self.validation.untuned_pooled() if stage == 1 else self.validation.all_pooled("validation")
        rows = np.arange(len(pooled))
        cards = card_tensors(self.validation_cards, self.network)
        base, attended, _ = self.network(pooled, self.validation.embeddings(rows, stem=False), cards)
        logits: FloatArray = (base + attended).mean(0).numpy()
        return logits

    def head_tensors(self) -> dict[str, Tensor]:
        """See `Run`."""
        return {name: value.detach() for name, value in self.network.state_dict().items()}

    def in_domain_threshold(self) -> float:
        """The cosine that nearly all tuning instructions reach."""
        rows = np.arange(len(self.data.tuning.instructions))
        nearest = (self.tuning.embeddings(rows, stem=False) @ self.network.item_embeddings.T).amax(1)
        return float(torch.quantile(nearest, _UNFAMILIAR_SHARE))

    def _store(self, part: Part) -> InstructionStore:
        return InstructionStore(
            part.texts(),
            part.stems(),
            backbone=self.backbone,
            encoder=self.encoder,
            tokens=self.config.tokens,
            frozen_layers=self.config.frozen_layers,
            folder=self.cache,
            progress=self.progress,
        )
