"""From a checkpoint's folder to a scorer, whatever its layout."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from modelsat.errors import CheckpointError
from modelsat.network.adapters import Adaptable, merge_adapters
from modelsat.network.backbone import load_backbone
from modelsat.network.encoder import TextEncoder, load_encoder
from modelsat.network.exam_network import Embed, TorchReader
from modelsat.network.paper.prompted_scorer import PromptedScorer, prompted_scorer
from modelsat.network.student import CutEncoder, StudentReader
from modelsat.scoring.checkpoint import (
    WEIGHTS_FILE,
    Checkpoint,
    imitation_of,
    load_checkpoint,
    shipped_folder,
)
from modelsat.scoring.scorer import ExamAttentionScorer, exam_attention_scorer


def load_scorer(
    folder: Path | None = None, *, embed_with: Callable[[TextEncoder], Embed] | None = None
) -> ExamAttentionScorer | PromptedScorer:
    """Load a tuned router.

    Args:
        folder: A checkpoint; None takes the one that comes with the package.
        embed_with: Makes of the sentence encoder what embeds instructions, e.g. to put a cache before it.

    Raises:
        CheckpointError: It is damaged, or its adapters belong to other backbone weights.
        MissingExtraError: torch is not installed.
    """
    folder = folder or shipped_folder()
    checkpoint = load_checkpoint(folder)
    if checkpoint.config.is_student:
        return exam_attention_scorer(checkpoint, _student_reader(checkpoint, folder), folder=folder)
    backbone = load_backbone(checkpoint.config.backbone, layers=checkpoint.config.layers)
    _adapt(backbone, checkpoint, folder)
    encoder = load_encoder(checkpoint.config.text_encoder)
    if checkpoint.config.layout == "exam_attention":
        embed = encoder.encode if embed_with is None else embed_with(encoder)
        reader = TorchReader(
            backbone, embed=embed, text_size=encoder.hidden_size, tokens=checkpoint.config.tokens
        )
        return exam_attention_scorer(checkpoint, reader, folder=folder)
    return prompted_scorer(checkpoint, backbone, encoder, folder=folder)


def _student_reader(checkpoint: Checkpoint, folder: Path) -> StudentReader:
    config = checkpoint.config
    encoder = CutEncoder(load_encoder(config.text_encoder), layers=config.layers or 0)
    _adapt(encoder, checkpoint, folder)
    weight, bias = (torch.from_numpy(value) for value in imitation_of(checkpoint, folder))
    imitation = nn.Linear(weight.shape[1], weight.shape[0])
    imitation.load_state_dict({"weight": weight, "bias": bias})
    return StudentReader(
        encoder, imitation, load_encoder=lambda: load_encoder(config.text_encoder), tokens=config.tokens
    )


def _adapt(backbone: Adaptable, checkpoint: Checkpoint, folder: Path) -> None:
    """Merge a checkpoint's adapters into the weights that they belong to."""
    identity = backbone.identity()
    if identity != checkpoint.backbone_identity:
        raise CheckpointError(
            f"{folder}: field 'backbone_identity' is {checkpoint.backbone_identity[:12]}..., but the backbone "
            f"{checkpoint.config.backbone} found here is {identity[:12]}...; install the version it was tuned with."
        )
    try:
        adapters = {name: torch.from_numpy(value) for name, value in checkpoint.adapters.items()}
        merge_adapters(backbone, adapters, alpha=checkpoint.config.lora_alpha)
    except CheckpointError as error:
        raise CheckpointError(f"{folder / WEIGHTS_FILE}: {error}") from None
