"""The loop of capability instruction tuning, the same for every layout and both stages.

Every step draws its randomness from (seed, stage, step), so that a run that was killed goes on exactly where it was.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from modelsat.tuning.precision import bf16_device
from modelsat.tuning.recipe import Recipe

Log = Callable[[dict[str, Any]], None]
SAVE_EVERY = 50


class Objective(Protocol):
    """What a stage minimises, and over which parameters.

    Attributes:
        lengths: [instruction] tokens of each, so that steps hold similar lengths.
    """

    lengths: NDArray[np.intp]

    def groups(self) -> list[dict[str, Any]]:
        """Parameters with their learning rates, as torch optimisers take them."""
        ...

    def loss(self, rows: NDArray[np.intp], rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Loss over some instructions, and its parts for the log."""
        ...

    def tuned(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor that the stage changes, by name."""
        ...


class Trainer:
    """Runs a stage.

    Args:
        recipe: Every number.
        folder: For the resumable state.
        log: Called with one record per logged step.
    """

    def __init__(self, recipe: Recipe, *, folder: Path, log: Log) -> None:
        self.recipe = recipe
        self.folder = folder
        self.log = log
        self.accelerator = Accelerator(mixed_precision="bf16" if bf16_device() else "no")

    def run(
        self, objective: Objective, *, stage: int, epochs: int, batch: int, after_epoch: Callable[[int], None]
    ) -> None:
        """Minimise an objective.

        Args:
            objective: What, over which parameters.
            stage: 1 or 2.
            epochs: Passes over the instructions.
            batch: Instructions per step.
            after_epoch: Called with the number of epochs done.
        """
        recipe = self.recipe
        batch = min(batch, len(objective.lengths))
        steps_per_epoch = len(objective.lengths) // batch
        steps = epochs * steps_per_epoch
        groups = objective.groups()
        optimiser = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: learning_rate_share(step, steps, warmup=recipe.warmup)
        )
        optimiser, schedule = self.accelerator.prepare(optimiser, schedule)
        first = self._resume(objective, stage)
        parameters = [parameter for group in groups for parameter in group["params"]]
        started = time.monotonic()
        for step in range(first, steps):
            epoch, at = divmod(step, steps_per_epoch)
            rows = self._batches(objective.lengths, stage, epoch, batch)[at]
            rng = np.random.default_rng([recipe.seed, stage, step])
            torch.manual_seed(int(rng.integers(2**31)))
            with self.accelerator.autocast():
                loss, parts = objective.loss(rows, rng)
            self.accelerator.backward(loss)
            self.accelerator.clip_grad_norm_(parameters, recipe.clip)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
            done = step + 1
            if done % 10 == 0 or done == steps:
                pace = (time.monotonic() - started) / (done - first)
                self.log({"stage": stage, "step": done, "steps": steps, **parts, "seconds_per_step": pace})
            if done % steps_per_epoch == 0:
                after_epoch(done // steps_per_epoch)
            if done % SAVE_EVERY == 0 or done == steps:
                self._save(objective, stage, done)

    def _batches(
        self, token_lengths: NDArray[np.intp], stage: int, epoch: int, batch: int
    ) -> list[NDArray[np.intp]]:
        """Rows of each step of an epoch: similar lengths together, in random order."""
        rng = np.random.default_rng([self.recipe.seed, stage, 1_000_000 + epoch])
        order = rng.permutation(len(token_lengths))
        lengths = token_lengths[order]
        pools = range(0, len(order), batch * 16)
        mixed = [order[at : at + batch * 16][np.argsort(lengths[at : at + batch * 16])] for at in pools]
        joined = np.concatenate(mixed)
        batches = [joined[at : at + batch] for at in range(0, len(joined) - batch + 1, batch)]
        return [batches[at] for at in rng.permutation(len(batches))]

    def _resume_folder(self, stage: int) -> Path:
        return self.folder / "resume" / f"stage{stage}"

    def _resume(self, objective: Objective, stage: int) -> int:
        """Load the newest saved state of a stage; returns the steps done."""
        folder = self._resume_folder(stage)
        marker = folder / "step.json"
        if not marker.exists():
            return 0
        step = int(json.loads(marker.read_text("utf-8"))["step"])
        self.accelerator.load_state(str(folder / str(step)))
        saved = torch.load(folder / str(step) / "tuned.pt", weights_only=True)
        with torch.no_grad():
            for name, value in objective.tuned():
                value.copy_(saved[name])
        return step

    def _save(self, objective: Objective, stage: int, step: int) -> None:
        folder = self._resume_folder(stage)
        self.accelerator.save_state(str(folder / str(step)))
        torch.save(dict(objective.tuned()), folder / str(step) / "tuned.pt")
        temporary = folder / "step.tmp"
        temporary.write_text(json.dumps({"step": step}), "utf-8")
        temporary.replace(folder / "step.json")


def learning_rate_share(step: int, steps: int, *, warmup: float) -> float:
    """Share of the learning rate at a step: rises over the warm-up, then falls by a cosine to 0."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1.0 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
