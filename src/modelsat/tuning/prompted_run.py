"""Tuning of layouts capability_first and shared_prefix: instruction, inquiry and candidates in one packed pass."""

import torch
from torch import Tensor

from modelsat.network.backbone import Backbone, load_backbone
from modelsat.network.paper.capability_encoders import capability_encoder
from modelsat.network.paper.prompted import PromptedNetwork
from modelsat.network.paper.prompted_scorer import TASK_KEYS
from modelsat.tuning.objectives import PromptedObjective
from modelsat.tuning.run import Run
from modelsat.types import FloatArray


class PromptedRun(Run[Backbone]):
    """See `Run`."""

    def load(self) -> Backbone:
        """See `Run`."""
        return load_backbone(self.config.backbone, layers=self.config.layers)

    def prepare(self) -> None:
        """See `Run`."""
        keywords = [", ".join(task.keywords) for task in self.data.exam.tasks]
        self.task_keys = torch.from_numpy(self.encoder.encode(keywords))
        self.representation = capability_encoder(
            self.config.capability_encoder,
            statistics=self.statistics,
            task_keys=self.task_keys,
            encoder=self.encoder,
            backbone=self.backbone,
        )
        self.network = PromptedNetwork(self.backbone, self.config, features=self.representation.features)
        self.seen = self.representation.encode(self.data.tuning.profiles)
        self.held_out = self.representation.encode(self.data.validation.profiles)
        if self.network.connector is not None and isinstance(self.seen, Tensor):
            self.network.connector.standardise(self.seen)

    def objective(self, stage: int) -> PromptedObjective:
        """Stage 1: connector and head. Stage 2: with the adapters."""
        part = self.data.tuning
        return PromptedObjective(
            self.network,
            tokens={
                False: [self.network.tokenize(text) for text in part.texts()],
                True: [self.network.tokenize(text) for text in part.stems()],
            },
            representations=self.seen,
            targets=self.targets(),
            recipe=self.recipe,
            head_rate=self.recipe.stage1_rate if stage == 1 else self.recipe.head_rate,
        )

    def validation_logits(self, stage: int) -> FloatArray:
        """See `Run`."""
        del stage
        self.network.eval()
        tokens = [self.network.tokenize(text) for text in self.data.validation.texts()]
        logits: FloatArray = self.network.score(
            tokens,
            self.held_out,
            progress=lambda step, done, total: self.progress("validation", done, total),
        ).numpy()
        return logits

    def head_tensors(self) -> dict[str, Tensor]:
        """See `Run`."""
        return {**self.network.tuned_state(), TASK_KEYS: self.task_keys}
