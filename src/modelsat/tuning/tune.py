"""From outcomes to a checkpoint: prepare, stage 1, stage 2, choose on validation, calibrate, write."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from modelsat.errors import LayoutError
from modelsat.progress import Progress
from modelsat.scoring.config import NetworkConfig
from modelsat.tuning.attention_run import ExamAttentionRun
from modelsat.tuning.dataset import TuningData
from modelsat.tuning.prompted_run import PromptedRun
from modelsat.tuning.recipe import Recipe
from modelsat.tuning.teacher import Teacher
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
    start: Path | None = None,
    teachers: Sequence[Teacher] = (),
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
        start: Folder of a checkpoint to go on from.
        teachers: Routers whose predictions are soft targets; of layout exam_attention, as is what they teach.

    Returns:
        The checkpoint's folder.

    Raises:
        CheckpointError: The checkpoint to go on from is damaged or of other parts.
        DataError: The folder holds another run, or a teacher was tuned with another exam.
        LayoutError: The layout takes no teachers.
    """
    torch.manual_seed(recipe.seed)
    if teachers and config.layout != "exam_attention":
        raise LayoutError(f"layout {config.layout} learns from outcomes alone; leave the teachers out.")
    kind = ExamAttentionRun if config.layout == "exam_attention" else PromptedRun
    return kind(
        data,
        config=config,
        recipe=recipe,
        folder=folder,
        log=log,
        progress=progress,
        notes=notes,
        start=start,
        teachers=teachers,
    ).tune()
