"""From outcomes to a checkpoint: prepare, stage 1, stage 2, choose on validation, calibrate, write."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modelsat.errors import LayoutError
from modelsat.network.adapters import adapter_tensors, add_adapters
from modelsat.network.attention import CardTensors
from modelsat.network.backbone import load_backbone
from modelsat.network.cards import CardBatch, encode_profiles, measure_exam
from modelsat.network.checkpoint import Checkpoint, save_checkpoint
from modelsat.network.config import NetworkConfig
from modelsat.network.encoder import load_encoder
from modelsat.network.sat import ExamAttentionNetwork
from modelsat.network.weights import cache_folder
from modelsat.tuning.calibrate import fit_calibration, log_loss
from modelsat.tuning.dataset import Part, TuningData
from modelsat.tuning.recipe import Recipe
from modelsat.tuning.store import InstructionStore
from modelsat.tuning.trainer import Log, Outcomes, Trainer
from modelsat.types import FloatArray

# Share of tuning instructions that count as not spoken for: they mark where the exam ends.
_UNFAMILIAR_SHARE = 0.01


def tune(
    data: TuningData,
    *,
    config: NetworkConfig,
    recipe: Recipe,
    folder: Path,
    log: Log,
    progress: Callable[[str, int, int], None],
    notes: dict[str, Any],
) -> Path:
    """Tune a router and write its checkpoint.

    Args:
        data: What tuning may see.
        config: The network's parts.
        recipe: Settings.
        folder: Everything is written here; a run that was killed resumes from it.
        log: Called with one record per logged step and per validation.
        progress: Called with (what, done, in all) during preparation.
        notes: Stored with the checkpoint: command, data, machine.

    Returns:
        The checkpoint's folder.

    Raises:
        LayoutError: The layout is not exam_attention.
    """
    if config.layout != "exam_attention":
        raise LayoutError(f"tuning of layout {config.layout} is not available here; use exam_attention.")
    return _Run(data, config, recipe, folder, log, progress, notes).run()


class _Run:
    """One tuning run; holds what its steps share."""

    def __init__(
        self,
        data: TuningData,
        config: NetworkConfig,
        recipe: Recipe,
        folder: Path,
        log: Log,
        progress: Callable[[str, int, int], None],
        notes: dict[str, Any],
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.data, self.config, self.recipe, self.folder = data, config, recipe, folder
        self.log, self.notes = log, notes
        self.statistics = measure_exam(data.exam, data.tuning.profiles)
        self.backbone = load_backbone(config.backbone, layers=config.layers)
        self.identity = self.backbone.identity()
        self.encoder = load_encoder(config.text_encoder)
        cache = cache_folder() / "tuning" / f"{self.identity[:16]}-{config.tokens}"

        def store(part: Part) -> InstructionStore:
            return InstructionStore(
                part.texts(),
                part.stems(),
                backbone=self.backbone,
                encoder=self.encoder,
                statistics=self.statistics,
                tokens=config.tokens,
                frozen_layers=config.frozen_layers,
                folder=cache,
                progress=progress,
            )

        self.tuning, self.validation = store(data.tuning), store(data.validation)
        items = torch.from_numpy(
            self.encoder.encode(
                data.item_texts, progress=lambda done, total: progress("exam items", done, total)
            )
        )
        self.network = ExamAttentionNetwork(
            hidden=self.backbone.hidden_size, item_embeddings=items, config=config
        )
        self.validation_cards = self._tensors(encode_profiles(data.validation.profiles, self.statistics))
        self.checkpoint = folder / "checkpoint"
        self.best = self._best_so_far()

    def run(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        item_categories, categories, count = self.data.item_categories()
        outcomes = Outcomes(
            scores=self.data.tuning.scores,
            categories=categories,
            item_categories=item_categories,
            category_count=count,
            cards=encode_profiles(self.data.tuning.profiles, self.statistics),
        )
        trainer = Trainer(
            self.network, self.tuning, outcomes, self.recipe, folder=self.folder, log=self.log
        )
        untuned = self.validation.untuned_pooled()
        trainer.stage1(lambda epoch: self._validate("stage1", epoch, untuned))
        if self.recipe.stage2_epochs and self.config.lora_rank:
            add_adapters(
                self.backbone,
                rank=self.config.lora_rank,
                alpha=self.config.lora_alpha,
                start_layer=self.config.frozen_layers,
            )
            trainer.stage2(
                lambda epoch: self._validate("stage2", epoch, self.validation.all_pooled("validation"))
            )
        return self.checkpoint

    def _tensors(self, cards: CardBatch) -> CardTensors:
        return CardTensors(
            levels=torch.from_numpy(cards.levels),
            residuals=torch.from_numpy(cards.residuals),
            weights=torch.from_numpy(cards.weights),
            keys=self.network.keys(),
        )

    def _best_so_far(self) -> float:
        marker = self.folder / "best.json"
        return float(json.loads(marker.read_text("utf-8"))["log_loss"]) if marker.exists() else float("inf")

    @torch.no_grad()
    def _validate(self, stage: str, epoch: int, pooled: Tensor) -> None:
        """Measure on validation instructions and candidates; keep the checkpoint where it is the best so far."""
        self.network.eval()
        rows = np.arange(len(self.data.validation.instructions))
        text = self.validation.embeddings(rows, stem=False)
        base, attended, _ = self.network(pooled, text, self.validation_cards)
        logits: FloatArray = (base + attended).mean(0).numpy()
        scores = self.data.validation.scores
        loss = log_loss(logits, scores)
        better = loss < self.best
        self.log({"validation": stage, "epoch": epoch, "log_loss": loss, "kept": better})
        if better:
            self.best = loss
            self._write(logits, {"stage": stage, "epoch": epoch, "validation_log_loss": loss})
            (self.folder / "best.json").write_text(json.dumps({"log_loss": loss}), "utf-8")

    def _write(self, logits: FloatArray, chosen: dict[str, Any]) -> None:
        save_checkpoint(
            Checkpoint(
                config=self.config,
                backbone_identity=self.identity,
                statistics=self.statistics,
                calibration=fit_calibration(logits, self.data.validation.scores),
                familiarity=self._familiarity(),
                head={name: value.detach() for name, value in self.network.state_dict().items()},
                adapters=adapter_tensors(self.backbone),
                tuning={
                    **self.notes,
                    "recipe": asdict(self.recipe),
                    "chosen": chosen,
                    "candidates": [profile.candidate for profile in self.data.tuning.profiles],
                },
            ),
            self.checkpoint,
        )

    def _familiarity(self) -> float:
        rows = np.arange(len(self.data.tuning.instructions))
        nearest = (self.tuning.embeddings(rows, stem=False) @ self.network.item_embeddings.T).amax(1)
        return float(torch.quantile(nearest, _UNFAMILIAR_SHARE))
