"""From a checkpoint to a scorer in torch, whatever its layout."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from modelsat.errors import CheckpointError
from modelsat.network.adapters import Adaptable, merge_adapters
from modelsat.network.backbone import load_backbone
from modelsat.network.encoder import TextEncoder, load_encoder
from modelsat.network.exam_network import Embed, TorchInstructionEncoder
from modelsat.network.paper.prompted_scorer import PromptedScorer, prompted_scorer
from modelsat.network.student import StudentInstructionEncoder, TruncatedEncoder
from modelsat.scoring.checkpoint import (
    WEIGHTS_FILE,
    Checkpoint,
    embedding_projection_of,
    load_checkpoint,
)
from modelsat.scoring.scorer import ExamAttentionScorer, exam_attention_scorer


def load_scorer(
    checkpoint: Checkpoint | Path | None = None, *, embed_with: Callable[[TextEncoder], Embed] | None = None
) -> ExamAttentionScorer | PromptedScorer:
    """Load a tuned router.

    Args:
        checkpoint: Already read, or its folder; None takes the one that comes with the package.
        embed_with: Makes of the sentence encoder what embeds instructions, e.g. to put a cache before it.

    Raises:
        CheckpointError: It is damaged, or its adapters belong to other backbone weights.
        MissingExtraError: torch is not installed.
    """
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = load_checkpoint(checkpoint)
    if checkpoint.config.is_student:
        return exam_attention_scorer(checkpoint, _student_encoder(checkpoint))
    backbone = load_backbone(checkpoint.config.backbone, layers=checkpoint.config.layers)
    _adapt(backbone, checkpoint)
    encoder = load_encoder(checkpoint.config.text_encoder)
    if checkpoint.config.layout == "exam_attention":
        embed = encoder.encode if embed_with is None else embed_with(encoder)
        instructions = TorchInstructionEncoder(
            backbone, embed=embed, text_size=encoder.hidden_size, tokens=checkpoint.config.tokens
        )
        return exam_attention_scorer(checkpoint, instructions)
    return prompted_scorer(checkpoint, backbone, encoder)


def _student_encoder(checkpoint: Checkpoint) -> StudentInstructionEncoder:
    config = checkpoint.config
    encoder = TruncatedEncoder(load_encoder(config.text_encoder), layers=config.layers or 0)
    _adapt(encoder, checkpoint)
    weight, bias = (torch.from_numpy(value) for value in embedding_projection_of(checkpoint))
    embedding_projection = nn.Linear(weight.shape[1], weight.shape[0])
    embedding_projection.load_state_dict({"weight": weight, "bias": bias})
    return StudentInstructionEncoder(
        encoder,
        embedding_projection,
        load_encoder=lambda: load_encoder(config.text_encoder),
        tokens=config.tokens,
    )


def _adapt(backbone: Adaptable, checkpoint: Checkpoint) -> None:
    """Merge a checkpoint's adapters into the weights that they belong to."""
    identity = backbone.identity()
    if identity != checkpoint.backbone_identity:
        raise CheckpointError(
            f"{checkpoint.folder}: field 'backbone_identity' is {checkpoint.backbone_identity[:12]}..., but the "
            f"backbone {checkpoint.config.backbone} found here is "
            f"{identity[:12]}...; install the version it was tuned with."
        )
    try:
        adapters = {name: torch.from_numpy(value) for name, value in checkpoint.adapters.items()}
        merge_adapters(backbone, adapters, alpha=checkpoint.config.lora_alpha)
    except CheckpointError as error:
        raise CheckpointError(f"{checkpoint.folder / WEIGHTS_FILE}: {error}") from None
