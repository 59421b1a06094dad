"""The packed layout of the paper's network against one pass for each candidate, with untuned connectors."""

from benchmarks.measure import Measure
from benchmarks.texts import CANDIDATES, TEXTS
from modelsat.bench.timing import interleaved
from modelsat.network.paper.untuned import LAYOUTS, prompted_networks, random_cards
from modelsat.scoring.config import NetworkConfig

# Instructions in one pass of shared_prefix. One alone is too little work to hide the reading of the weights.
TOGETHER = 8


def measure_layouts(repeats: int) -> list[Measure]:
    """Speed-up of shared_prefix over capability_first, beside its share of tokens.

    Args:
        repeats: Runs of each timing; medians are reported.
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
