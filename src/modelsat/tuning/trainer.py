"""The two stages of capability instruction tuning, for layout exam_attention.

Stage 1 tunes the head on states of the untuned backbone; stage 2 tunes adapters and head together, from cached states of
the frozen layers. Every step draws its randomness from (seed, stage, step), so that a run that was killed goes on exactly
where it was.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from modelsat.network.attention import CardTensors
from modelsat.network.cards import CardBatch
from modelsat.network.sat import ExamAttentionNetwork
from modelsat.tuning.losses import homogeneous_loss, outcome_loss, ranking_loss
from modelsat.tuning.recipe import Recipe
from modelsat.tuning.samples import draw_candidates, homogeneous_groups, pair_weights
from modelsat.tuning.store import InstructionStore

Log = Callable[[dict[str, Any]], None]
SAVE_EVERY = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """What is learned: who solved what.

    Attributes:
        scores: [instruction, candidate]; NaN where unknown.
        categories: [instruction] int.
        item_categories: [item] int.
        category_count: How many categories there are.
        cards: The candidates' profiles as numbers.
    """

    scores: NDArray[np.float32]
    categories: NDArray[np.intp]
    item_categories: NDArray[np.intp]
    category_count: int
    cards: CardBatch


class Trainer:
    """Runs the stages.

    Args:
        network: The head, changed in place.
        store: Instructions' states and embeddings; its backbone carries the adapters in stage 2.
        outcomes: What is learned.
        recipe: Every number.
        folder: For the resumable state and the log.
        log: Called with one record per logged step.
    """

    def __init__(
        self,
        network: ExamAttentionNetwork,
        store: InstructionStore,
        outcomes: Outcomes,
        recipe: Recipe,
        *,
        folder: Path,
        log: Log,
    ) -> None:
        self.network = network
        self.store = store
        self.outcomes = outcomes
        self.recipe = recipe
        self.folder = folder
        self.log = log
        self.accelerator = Accelerator(
            mixed_precision="bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "no"
        )

    def stage1(self, after_epoch: Callable[[int], None]) -> None:
        """Tune the head alone. `after_epoch` is called with the number of epochs done."""
        recipe = self.recipe
        pooled = self.store.untuned_pooled()
        parameters = [{"params": list(self.network.parameters()), "lr": recipe.stage1_rate}]
        self._run(
            stage=1,
            groups=parameters,
            epochs=recipe.stage1_epochs,
            batch=min(recipe.stage1_batch, len(pooled)),
            features=lambda rows, _stem: (pooled[rows], self.store.embeddings(rows, stem=False)),
            after_epoch=after_epoch,
        )

    def stage2(self, after_epoch: Callable[[int], None]) -> None:
        """Tune adapters and head. `after_epoch` is called with the number of epochs done."""
        recipe = self.recipe
        adapters = [p for p in self.store.backbone.parameters() if p.requires_grad]
        groups = [
            {"params": adapters, "lr": recipe.adapter_rate},
            {"params": list(self.network.parameters()), "lr": recipe.head_rate},
        ]
        self._run(
            stage=2,
            groups=groups,
            epochs=recipe.stage2_epochs,
            batch=min(recipe.stage2_batch, len(self.outcomes.scores)),
            features=lambda rows, stem: (
                self.store.pooled(rows, stem=stem),
                self.store.embeddings(rows, stem=stem),
            ),
            after_epoch=after_epoch,
        )

    def _run(
        self,
        *,
        stage: int,
        groups: list[dict[str, Any]],
        epochs: int,
        batch: int,
        features: Callable[[NDArray[np.intp], bool], tuple[Tensor, Tensor]],
        after_epoch: Callable[[int], None],
    ) -> None:
        recipe = self.recipe
        steps_per_epoch = max(1, len(self.outcomes.scores) // batch)
        steps = epochs * steps_per_epoch
        optimiser = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: learning_rate_share(step, steps, warmup=recipe.warmup)
        )
        optimiser, schedule = self.accelerator.prepare(optimiser, schedule)
        progress = self._resume(stage)
        parameters = [parameter for group in groups for parameter in group["params"]]
        started, first = time.monotonic(), progress
        for step in range(progress, steps):
            epoch, at = divmod(step, steps_per_epoch)
            rows = self._batches(stage, epoch, batch)[at]
            rng = np.random.default_rng([recipe.seed, stage, step])
            torch.manual_seed(int(rng.integers(2**31)))
            self.network.train()
            stem = stage == 2 and bool(rng.random() < recipe.stem_share)
            with self.accelerator.autocast():
                pooled, text = features(rows, stem)
                loss, parts = self._loss(rows, pooled, text, rng)
            self.accelerator.backward(loss)
            self.accelerator.clip_grad_norm_(parameters, recipe.clip)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
            done = step + 1
            if done % 10 == 0 or done == steps:
                pace = (time.monotonic() - started) / (done - first)
                self.log({"stage": stage, "step": done, "steps": steps, **parts, "seconds_per_step": pace})
            if stage == 2 and done % SAVE_EVERY == 0 and done < steps:
                self._save(stage, done)
            if done % steps_per_epoch == 0:
                after_epoch(done // steps_per_epoch)

    def _batches(self, stage: int, epoch: int, batch: int) -> list[NDArray[np.intp]]:
        """Rows of each step of an epoch: similar lengths together, in random order."""
        rng = np.random.default_rng([self.recipe.seed, stage, 1_000_000 + epoch])
        order = rng.permutation(len(self.outcomes.scores))
        lengths = self.store.lengths[order]
        pools = range(0, len(order), batch * 16)
        mixed = [order[at : at + batch * 16][np.argsort(lengths[at : at + batch * 16])] for at in pools]
        joined = np.concatenate(mixed)
        batches = [joined[at : at + batch] for at in range(0, len(joined) - batch + 1, batch)]
        return [batches[at] for at in rng.permutation(len(batches))]

    def _loss(
        self, rows: NDArray[np.intp], pooled: Tensor, text: Tensor, rng: np.random.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        recipe, outcomes = self.recipe, self.outcomes
        drawn = draw_candidates(
            outcomes.cards,
            self.store.statistics,
            outcomes.item_categories,
            categories=outcomes.category_count,
            virtual=recipe.virtual,
            rng=rng,
        )
        scores = drawn.scores(outcomes.scores[rows], outcomes.categories[rows])
        cards = CardTensors(
            levels=torch.from_numpy(drawn.cards.levels),
            residuals=torch.from_numpy(drawn.cards.residuals),
            weights=torch.from_numpy(drawn.cards.weights),
            keys=self.network.keys(),
        )
        base, attended, _ = self.network(pooled, text, cards)
        logits = base + attended
        if recipe.loss == "homogeneous":
            columns, members = homogeneous_groups(scores, group=recipe.group, count=len(rows), rng=rng)
            picked = logits[:, torch.from_numpy(members), torch.from_numpy(columns)[:, None]]
            loss = torch.stack([homogeneous_loss(head) for head in picked]).mean()
            return loss, {"loss": loss.item()}
        weights = torch.from_numpy(
            pair_weights(
                scores,
                drawn.cards.levels,
                strength_weight=recipe.strength_weight,
                lucky_weight=recipe.lucky_weight,
            )
        )
        target = torch.from_numpy(scores)
        # Each head learns by itself; only their scores are averaged.
        outcome = torch.stack([outcome_loss(head, target, weights) for head in logits]).mean()
        ranking = torch.stack([ranking_loss(head, target, weights) for head in logits]).mean()
        return outcome + recipe.ranking_weight * ranking, {
            "outcome_loss": outcome.item(),
            "ranking_loss": ranking.item(),
        }

    def _resume_folder(self, stage: int) -> Path:
        return self.folder / "resume" / f"stage{stage}"

    def _resume(self, stage: int) -> int:
        """Load the newest saved state of a stage; returns the steps done."""
        folder = self._resume_folder(stage)
        marker = folder / "step.json"
        if not marker.exists():
            return 0
        step = int(json.loads(marker.read_text("utf-8"))["step"])
        self.accelerator.load_state(str(folder / str(step)))
        self._load_tuned(folder / str(step))
        return step

    def _save(self, stage: int, step: int) -> None:
        folder = self._resume_folder(stage)
        self.accelerator.save_state(str(folder / str(step)))
        torch.save(dict(self._tuned()), folder / str(step) / "tuned.pt")
        temporary = folder / "step.tmp"
        temporary.write_text(json.dumps({"step": step}), "utf-8")
        temporary.replace(folder / "step.json")

    def _tuned(self) -> Iterator[tuple[str, Tensor]]:
        for name, value in self.network.named_parameters():
            yield f"head.{name}", value.detach()
        for name, value in self.store.backbone.named_parameters():
            if value.requires_grad:
                yield f"backbone.{name}", value.detach()

    @torch.no_grad()
    def _load_tuned(self, folder: Path) -> None:
        saved = torch.load(folder / "tuned.pt", weights_only=True)
        for name, value in self._tuned():
            value.copy_(saved[name])


def learning_rate_share(step: int, steps: int, *, warmup: float) -> float:
    """Share of the learning rate at a step: rises over the warm-up, then falls by a cosine to 0."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
