"""From outcomes to a checkpoint: prepare, stage 1, stage 2, choose on validation, calibrate, write."""

from pathlib import Path
from typing import Any

import torch

from modelsat.network.config import NetworkConfig
from modelsat.tuning.attention_run import ExamAttentionRun
from modelsat.tuning.dataset import TuningData
from modelsat.tuning.prompted_run import PromptedRun
from modelsat.tuning.recipe import Recipe
from modelsat.tuning.run import Progress
from modelsat.tuning.trainer import Log


def tune(
    data: TuningData,
    *,
    config: NetworkConfig,
    recipe: Recipe,
    folder: Path,
    log: Log,
    progress: Progress,
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
        notes: Stored with the checkpoint: data, exam.

    Returns:
        The checkpoint's folder.
    """
    torch.manual_seed(recipe.seed)
    kind = ExamAttentionRun if config.layout == "exam_attention" else PromptedRun
    return kind(
        data, config=config, recipe=recipe, folder=folder, log=log, progress=progress, notes=notes
    ).tune()
