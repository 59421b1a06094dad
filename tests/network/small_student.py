"""An untuned student as a checkpoint: small, random, but whole."""

from pathlib import Path

import torch

from modelsat.network.encoder import load_encoder
from modelsat.network.student import StudentNetwork, TruncatedEncoder
from modelsat.scoring.checkpoint import Calibration, Checkpoint, save_checkpoint
from modelsat.scoring.config import AttentionConfig, NetworkConfig

from ..scoring.test_numeric_encoder import SHOTS, TASKS
from .small_router import small_statistics


def save_student(
    folder: Path, *, encoder: Path, layers: int = 1, margin: float | None = 0.2, name: str | None = None
) -> Path:
    """Write a checkpoint with a random head, and random adapters where there is a layer to adapt.

    Args:
        folder: Where.
        encoder: Folder of the text encoder.
        layers: Layers to keep of it.
        margin: Of a cascade.
        name: What the checkpoint calls the encoder; its folder by default.
    """
    config = NetworkConfig(
        backbone=name or str(encoder),
        text_encoder=name or str(encoder),
        layers=layers,
        frozen_layers=0,
        tokens=24,
        lora_rank=2,
        attention=AttentionConfig(heads=2, hidden=8, query=4),
    )
    whole = load_encoder(str(encoder))
    items = torch.from_numpy(whole.encode([f"{task} question {at}" for task in TASKS for at in range(SHOTS)]))
    cut = TruncatedEncoder(whole, layers=layers)
    torch.manual_seed(4)
    network = StudentNetwork(hidden=cut.hidden_size, item_embeddings=items, config=config)
    tensors = {tensor: value.detach().numpy() for tensor, value in network.state_dict().items()}
    module = "layers.0.attention.self.query"
    save_checkpoint(
        Checkpoint(
            config=config,
            backbone_identity=cut.identity(),
            statistics=small_statistics(),
            calibration=Calibration(),
            in_domain_threshold=-1.0,
            head={
                tensor: value
                for tensor, value in tensors.items()
                if not tensor.startswith("embedding_projection.")
            },
            adapters={
                f"{module}.A": torch.randn(2, cut.hidden_size).numpy(),
                f"{module}.B": torch.randn(cut.hidden_size, 2).numpy(),
            }
            if layers
            else {},
            embedding_projection={
                tensor.removeprefix("embedding_projection."): value
                for tensor, value in tensors.items()
                if tensor.startswith("embedding_projection.")
            },
            margin=margin,
        ),
        folder,
    )
    return folder
