"""The prompted layouts with untuned connectors, to measure their cost, which does not depend on tuning."""

import torch
from torch import Tensor

from modelsat.network.backbone import load_backbone
from modelsat.network.paper.prompted import PromptedNetwork
from modelsat.scoring.config import Layout, NetworkConfig
from modelsat.scoring.weights import EMBEDDED_BACKBONE

# A long request; longer ones are cut to this many tokens.
TOKENS = 128
# Width of features of the capability encoder `numeric`; it decides nothing but one small product.
FEATURES = 386
LAYOUTS: tuple[Layout, ...] = ("capability_first", "shared_prefix")


def prompted_networks(*, layers: int | None) -> dict[Layout, PromptedNetwork]:
    """Both prompted layouts on one embedded backbone.

    Args:
        layers: Of the backbone; None runs all.
    """
    backbone = load_backbone(EMBEDDED_BACKBONE, layers=layers).eval()
    return {
        layout: PromptedNetwork(
            backbone,
            NetworkConfig(layout=layout, head="yes_token", tokens=TOKENS, layers=layers, frozen_layers=0),
            features=FEATURES,
        ).eval()
        for layout in LAYOUTS
    }


def random_cards(count: int) -> Tensor:
    """[candidate, feature] capability features."""
    return torch.randn(count, FEATURES, generator=torch.Generator().manual_seed(0))
