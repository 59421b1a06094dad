"""What tuning runs of all layouts share: parts, stages, the choice on validation, the checkpoint."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from modelsat.cache import cache_folder
from modelsat.capability.aptitude import AptitudeTest
from modelsat.errors import CheckpointError, DataError
from modelsat.network.adapters import Adaptable, adapter_tensors, add_adapters, set_adapters
from modelsat.network.encoder import load_encoder
from modelsat.progress import Progress
from modelsat.scoring.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from modelsat.scoring.config import NetworkConfig
from modelsat.scoring.numeric_encoder import encode_profiles, measure_exam
from modelsat.tuning.calibrate import fit_calibration, log_loss
from modelsat.tuning.dataset import TuningData
from modelsat.tuning.objectives import TrainingTargets
from modelsat.tuning.recipe import Recipe
from modelsat.tuning.teacher import Teacher, TeacherTargets
from modelsat.tuning.trainer import Log, Objective, Trainer
from modelsat.types import FloatArray

Carrier = TypeVar("Carrier", bound=Adaptable)


class Run(ABC, Generic[Carrier]):
    """One tuning run.

    Args:
        data: What tuning may see.
        config: The network's parts.
        recipe: Settings.
        folder: Everything is written here.
        log: Called with one record per logged step and per validation.
        progress: Called with (what, done, in all) during preparation.
        notes: Stored with the checkpoint.
        start: Folder of a checkpoint of the same parts to go on from; with adapters, stage 1 is left out.
        teachers: Routers whose predictions are soft targets.

    Raises:
        CheckpointError: The checkpoint to go on from is damaged or of other parts.
        DataError: The folder holds a run with other settings or other data, or a teacher was tuned with another exam.
    """

    def __init__(
        self,
        data: TuningData,
        *,
        config: NetworkConfig,
        recipe: Recipe,
        folder: Path,
        log: Log,
        progress: Progress,
        notes: Mapping[str, Any],
        start: Path | None = None,
        teachers: Sequence[Teacher] = (),
    ) -> None:
        self.start = load_checkpoint(start) if start else None
        if self.start:
            _check_alike(self.start, config, data.exam)
        recipe = replace(
            recipe,
            start=self.start.digest if self.start else "",
            teachers=tuple(teacher.digest for teacher in teachers),
        )
        _claim(folder, data, config, recipe)
        self.data, self.config, self.recipe, self.folder = data, config, recipe, folder
        self.log, self.progress, self.notes = log, progress, notes
        # A tuned head knows the exam's difficulties and levels as they were measured then.
        self.statistics = (
            self.start.statistics if self.start else measure_exam(data.exam, data.tuning.profiles)
        )
        self.backbone = self.load()
        self.identity = self.backbone.identity()
        self.encoder = load_encoder(config.text_encoder)
        self.cache = cache_folder() / "tuning" / f"{self.identity[:16]}-{config.tokens}"
        self.checkpoint = folder / "checkpoint"
        self.teacher_targets = TeacherTargets(
            teachers, data.tuning.texts(), exam=data.exam, progress=progress
        )
        self.prepare()
        if self.start:
            self._take_over(self.start)

    @abstractmethod
    def load(self) -> Carrier:
        """Load what carries the adapters."""

    @abstractmethod
    def prepare(self) -> None:
        """Build the network and read what it needs of the instructions."""

    @abstractmethod
    def objective(self, stage: int) -> Objective:
        """What a stage minimises."""

    @abstractmethod
    def validation_logits(self, stage: int) -> FloatArray:
        """[instruction, candidate] of the validation part, from the network as it stands."""

    @abstractmethod
    def head_tensors(self) -> dict[str, Tensor]:
        """What the checkpoint holds besides the adapters."""

    def in_domain_threshold(self) -> float:
        """Least cosine to the exam at which an instruction counts as spoken for; -1 switches it off."""
        return -1.0

    def complete(self, checkpoint: Checkpoint, logits: FloatArray) -> Checkpoint:
        """A checkpoint with what only some runs store; `logits` are those of the validation part."""
        return checkpoint

    def tune(self) -> Path:
        """Run the stages; returns the checkpoint's folder.

        Raises:
            DataError: No stage is left to run.
        """
        trainer = Trainer(self.recipe, folder=self.folder, log=self.log)
        stages = self._stages()
        if not stages:
            raise DataError("no stage is left to run; give the stages more than 0 epochs.")
        for stage, epochs, batch in stages:
            if stage == 2:
                add_adapters(
                    self.backbone,
                    rank=self.config.lora_rank,
                    alpha=self.config.lora_alpha,
                    start_layer=self.config.frozen_layers,
                )
                if self.start and self.start.adapters:  # chosen after stage 1, it has none
                    set_adapters(self.backbone, _as_tensors(self.start.adapters))
            if self.start and self._best_so_far() == float("inf"):
                self._validate(stage, 0)
            trainer.run(
                self.objective(stage),
                stage=stage,
                epochs=epochs,
                batch=batch,
                after_epoch=partial(self._validate, stage),
            )
        return self.checkpoint

    def _stages(self) -> list[tuple[int, int, int]]:
        """Stages to run, with their epochs and instructions per step."""
        recipe = self.recipe
        stages = []
        if not (self.start and self.config.lora_rank):  # else the head would unlearn the adapters
            stages.append((1, recipe.stage1_epochs, recipe.stage1_batch))
        if self.config.lora_rank:
            stages.append((2, recipe.stage2_epochs, recipe.stage2_batch))
        return [stage for stage in stages if stage[1] > 0]

    @torch.no_grad()
    def _take_over(self, start: Checkpoint) -> None:
        """What another run tuned besides the adapters, which are added later."""
        if start.backbone_identity != self.identity:
            raise CheckpointError(
                f"the checkpoint to go on from belongs to weights {start.backbone_identity[:12]}...; those of "
                f"{self.backbone.name} here are {self.identity[:12]}..."
            )
        stored = _as_tensors(start.head)
        for name, value in self.head_tensors().items():
            if name not in stored or stored[name].shape != value.shape:
                raise CheckpointError(
                    f"the checkpoint to go on from: tensor 'head.{name}' is missing or of another shape."
                )
            value.copy_(stored[name])

    def targets(self) -> TrainingTargets:
        """Who solved what, with the cards of the seen candidates."""
        item_categories, categories, count = self.data.item_categories()
        return TrainingTargets(
            scores=self.data.tuning.scores,
            categories=categories,
            item_categories=item_categories,
            category_count=count,
            cards=encode_profiles(self.data.tuning.profiles, self.statistics),
            statistics=self.statistics,
        )

    def _validate(self, stage: int, epoch: int) -> None:
        """Measure on validation instructions and candidates; keep the checkpoint where it is the best so far."""
        logits, scores, held_out = (
            self.validation_logits(stage),
            self.data.validation.scores,
            self.data.held_out,
        )
        # Over all candidates: the few that are held out say more of the luck of their exams than of the epoch.
        loss = log_loss(logits, scores)
        best = self._best_so_far()
        self.log(
            {
                "validation": stage,
                "epoch": epoch,
                "log_loss": loss,
                "log_loss_held_out": log_loss(logits[:, held_out], scores[:, held_out]),
                "kept": loss < best,
            }
        )
        if loss < best:
            self._write(logits, {"stage": stage, "epoch": epoch, "validation_log_loss": loss})

    def _best_so_far(self) -> float:
        marker = self.folder / "best.json"
        return float(json.loads(marker.read_text("utf-8"))["log_loss"]) if marker.exists() else float("inf")

    def _write(self, logits: FloatArray, chosen: dict[str, Any]) -> None:
        checkpoint = Checkpoint(
            config=self.config,
            backbone_identity=self.identity,
            statistics=self.statistics,
            calibration=fit_calibration(logits, self.data.validation.scores),
            in_domain_threshold=self.in_domain_threshold(),
            head={name: value.numpy() for name, value in self.head_tensors().items()},
            adapters={name: value.numpy() for name, value in adapter_tensors(self.backbone).items()},
            tuning={
                **self.notes,
                "recipe": asdict(self.recipe),
                "chosen": chosen,
                "candidates": [profile.candidate for profile in self.data.tuning.profiles],
            },
        )
        save_checkpoint(self.complete(checkpoint, logits), self.checkpoint)
        (self.folder / "best.json").write_text(
            json.dumps({"log_loss": chosen["validation_log_loss"]}), "utf-8"
        )


def _check_alike(start: Checkpoint, config: NetworkConfig, exam: AptitudeTest) -> None:
    """Refuse to go on from a checkpoint of other parts or another exam."""
    if start.config != config:
        ours, theirs = asdict(config), asdict(start.config)
        name = next(name for name in ours if ours[name] != theirs[name])
        raise CheckpointError(
            f"the checkpoint to go on from has {name} {theirs[name]!r}; give this run, which has {ours[name]!r}, "
            "the same."
        )
    if start.statistics.exam_hash != exam.hash:
        raise CheckpointError(
            f"the checkpoint to go on from was tuned with the exam {start.statistics.exam_hash}; this run is with "
            f"{exam.name}, {exam.hash}."
        )


def _as_tensors(arrays: Mapping[str, FloatArray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(value) for name, value in arrays.items()}


def _claim(folder: Path, data: TuningData, config: NetworkConfig, recipe: Recipe) -> None:
    """Note in a folder which run it belongs to: going on with another run's state would mix the two."""
    seen = [
        data.exam.hash,
        *(row.id for part in (data.tuning, data.validation) for row in part.instructions),
        *(profile.candidate for part in (data.tuning, data.validation) for profile in part.profiles),
    ]
    digest = hashlib.sha256(json.dumps(seen).encode()).hexdigest()[:16]
    claim = json.loads(json.dumps({**asdict(config), **asdict(recipe), "data": digest}))
    path = folder / "run.json"
    if path.exists():
        known = json.loads(path.read_text("utf-8"))
        changed = sorted(name for name in claim if claim[name] != known.get(name))
        if changed:
            raise DataError(
                f"{path}: this folder holds a run with another {', '.join(changed)}; "
                "choose another folder, or give the same command to go on with that run."
            )
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(claim, indent=2) + "\n", "utf-8")
