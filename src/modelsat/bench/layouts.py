"""The prompted layouts on untuned connectors: what they cost does not depend on what they learnt."""

import torch
from torch import Tensor

from modelsat.bench.measure import Measure
from modelsat.bench.texts import TEXTS
from modelsat.bench.timing import interleaved
from modelsat.network.backbone import load_backbone
from modelsat.network.paper.prompted import PromptedNetwork
from modelsat.scoring.config import Layout, NetworkConfig
from modelsat.scoring.weights import EMBEDDED_BACKBONE

# A long request; longer ones are cut to this many tokens.
TOKENS = 128
# Of a request as the encoder `numeric` gives it: its width decides nothing but one small product.
FEATURES = 386
CANDIDATES = 30
# Instructions in one pass of shared_prefix. One alone is too little work to hide the reading of the weights.
TOGETHER = 8
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


def measure_layouts(repeats: int) -> list[Measure]:
    """How much faster the packed layout is than one pass for each candidate.

    Args:
        repeats: Of each timing; medians are reported.
    """
    cards = random_cards(CANDIDATES)
    networks = prompted_networks(layers=NetworkConfig().layers)
    first, shared = (networks[layout] for layout in LAYOUTS)
    ids = first.tokenize(" ".join(TEXTS * 4))
    one_by_one, packed, together = interleaved(
        [
            lambda: first.score([ids], cards),
            lambda: shared.score([ids], cards),
            lambda: shared.score([ids] * TOGETHER, cards),
        ],
        # One pass of capability_first takes as long as dozens of routes.
        repeats=min(repeats, 3),
    )
    prefix = len(ids) + len(first.inquiry)
    tokens = CANDIDATES * (prefix + 1) / (prefix + CANDIDATES)
    return [
        Measure(
            name=f"shared_prefix over capability_first, {CANDIDATES} candidates",
            value=one_by_one / packed,
            unit="x",
            bar=12.0,
            better="higher",
            note=f"{len(ids)} tokens; {1000 * packed:.0f} ms against {1000 * one_by_one:.0f} ms",
        ),
        Measure(
            name="shared_prefix: time / its share of tokens",
            value=tokens * packed / one_by_one,
            unit="x",
            bar=1.3,
            note=f"{tokens:.1f} times fewer tokens",
        ),
        Measure(
            name=f"- the same, {TOGETHER} instructions in one pass",
            value=tokens * together / TOGETHER / one_by_one,
            unit="x",
        ),
    ]
