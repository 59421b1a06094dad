"""An untuned router of layout exam_attention as a checkpoint: small, random, but whole."""

from pathlib import Path

import numpy as np
import torch

from modelsat.network.backbone import load_backbone
from modelsat.network.encoder import load_encoder
from modelsat.network.exam_network import ExamAttentionNetwork
from modelsat.scoring.checkpoint import Calibration, Checkpoint, save_checkpoint
from modelsat.scoring.config import AttentionConfig, NetworkConfig
from modelsat.scoring.numeric_encoder import ExamStatistics, measure_exam
from modelsat.types import CapabilityProfile

from ..scoring.test_numeric_encoder import SHOTS, TASKS, make_exam, make_profile

LAYERS = 2


def small_profiles(count: int = 6) -> list[CapabilityProfile]:
    """Candidates that sat the small exam."""
    rng = np.random.default_rng(5)
    return [
        make_profile(f"m{at}", dict(zip(TASKS, rng.uniform(0.2, 0.9, 3), strict=True)), rng)
        for at in range(count)
    ]


def small_statistics() -> ExamStatistics:
    """Of the small exam."""
    return measure_exam(make_exam(), small_profiles())


def save_router(folder: Path, *, backbone: Path, encoder: Path, in_domain_threshold: float = -1.0) -> Path:
    """Write a checkpoint with a random head and random adapters on one linear map."""
    config = NetworkConfig(
        backbone=str(backbone),
        text_encoder=str(encoder),
        layers=LAYERS,
        frozen_layers=1,
        tokens=24,
        lora_rank=2,
        attention=AttentionConfig(heads=2, hidden=8, query=4),
    )
    read, embed = load_backbone(str(backbone), layers=LAYERS), load_encoder(str(encoder))
    items = [f"{task} question {at}" for task in TASKS for at in range(SHOTS)]
    torch.manual_seed(3)
    network = ExamAttentionNetwork(
        hidden=read.hidden_size, item_embeddings=torch.from_numpy(embed.encode(items)), config=config
    )
    save_checkpoint(
        Checkpoint(
            config=config,
            backbone_identity=read.identity(),
            statistics=small_statistics(),
            calibration=Calibration(temperature=1.5, offset=-0.25),
            in_domain_threshold=in_domain_threshold,
            head={name: value.numpy() for name, value in network.state_dict().items()},
            adapters={
                "layers.1.self_attn.q_proj.A": torch.randn(2, read.hidden_size).numpy(),
                "layers.1.self_attn.q_proj.B": torch.randn(read.hidden_size, 2).numpy(),
            },
            tuning={"seed": 3, "note": "ünïcode"},
        ),
        folder,
    )
    return folder
