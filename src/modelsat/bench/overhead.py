"""What routing itself costs as the zoo grows, by layout, beside running every candidate and re-ranking (Figure 2b)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from modelsat.bench.layouts import TOKENS, prompted_networks, random_cards
from modelsat.bench.results import Cell, Table
from modelsat.bench.timing import interleaved
from modelsat.network.backbone import Backbone
from modelsat.network.encoder import load_encoder
from modelsat.network.paper.prompted import PromptedNetwork
from modelsat.scoring.config import NetworkConfig
from modelsat.scoring.scorer import TwoPhaseScorer
from modelsat.types import CapabilityProfile, Instruction

_REPEATS = 2
# A long request; its first 128 tokens count.
_REQUEST = "Find all real x with x^3 - 6x^2 + 11x - 6 = 0, and prove that there are no others. " * 20
_LETTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """The candidates' own inference, as far as it is known.

    Attributes:
        parameters: Mean size, in billions of parameters.
        output_tokens: Mean tokens of an answer.
    """

    parameters: float
    output_tokens: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cost:
    layout: str
    candidates: int
    tokens: int
    flops: float
    call: Callable[[], object] | None = None


def overhead_table(
    scorer: TwoPhaseScorer,
    profiles: Sequence[CapabilityProfile],
    *,
    config: NetworkConfig,
    inference: Inference,
    sizes: Sequence[int],
    most_tokens: int,
) -> Table:
    """Tokens, floating-point operations and time of one route, by layout and size of the zoo.

    Args:
        scorer: The router.
        profiles: Cards, repeated under other names until there are enough.
        config: The router's network.
        inference: What re-ranking runs once per candidate.
        sizes: Of the zoo.
        most_tokens: Time a layout only up to so many tokens.
    """
    networks = prompted_networks(layers=config.layers)
    backbone = next(iter(networks.values())).backbone
    ids = networks["shared_prefix"].tokenize(_REQUEST)
    request = Instruction(id="request", text=_REQUEST[: TOKENS * _LETTERS_PER_TOKEN])
    encoder = _linear_size(load_encoder().model)
    # One multiplication and addition per head, item and candidate, above and below the fraction.
    head = 4.0 * config.attention.heads * len(scorer.statistics.difficulty)
    costs: list[_Cost] = []
    for size in sizes:
        cards = [replace(profiles[at % len(profiles)], candidate=f"candidate {at}") for at in range(size)]
        costs.append(
            _Cost(
                layout="exam_attention",
                candidates=size,
                tokens=TOKENS,
                flops=_flops(backbone, TOKENS, _causal(TOKENS)) + 2 * encoder * TOKENS + head * size,
                call=lambda cards=cards: scorer.score([request], cards),  # type: ignore[misc]
            )
        )
        costs += _prompted(networks["shared_prefix"], networks["capability_first"], ids, size)
        ran = TOKENS + inference.output_tokens
        costs.append(
            _Cost(
                layout="re-ranking",
                candidates=size,
                tokens=round(size * ran),
                flops=size * 2e9 * inference.parameters * ran,
            )
        )
    milliseconds = _timed(costs, most_tokens)
    rows: list[tuple[Cell, ...]] = [
        (cost.layout, cost.candidates, cost.tokens, cost.flops / 1e9, milliseconds.get(at))
        for at, cost in enumerate(costs)
    ]
    return Table.of(
        "overhead",
        "What routing costs as the zoo grows",
        f"One request of {TOKENS} tokens on the processor at hand; GFLOP counted from the weights. Layouts "
        "shared_prefix and capability_first: the same backbone with an untuned connector. Re-ranking runs every "
        f"candidate itself: {inference.parameters:.0f}B parameters and {inference.output_tokens:.0f} tokens of answer "
        "in the mean; it is not timed here. Times change from run to run; all else does not.",
        rows,
    )


def mean_inference(profiles: Sequence[CapabilityProfile], sizes: Iterable[float | None]) -> Inference:
    """Means over what is known: 8B parameters and 200 tokens where nothing is."""
    known = [size for size in sizes if size is not None]
    lengths = [card.mean_output_tokens for card in profiles if card.mean_output_tokens is not None]
    return Inference(
        parameters=float(np.mean(known)) if known else 8.0,
        output_tokens=float(np.mean(lengths)) if lengths else 200.0,
    )


def _prompted(shared: PromptedNetwork, first: PromptedNetwork, ids: list[int], size: int) -> Iterable[_Cost]:
    prefix, slots = len(ids) + len(shared.inquiry), random_cards(size)
    yield _Cost(
        layout="shared_prefix",
        candidates=size,
        tokens=prefix + size,
        # A candidate's position sees the prefix and itself.
        flops=_flops(shared.backbone, prefix + size, _causal(prefix) + size * (prefix + 1)),
        call=lambda: shared.score([ids], slots),
    )
    yield _Cost(
        layout="capability_first",
        candidates=size,
        tokens=size * (prefix + 1),
        flops=size * _flops(first.backbone, prefix + 1, _causal(prefix + 1)),
        call=lambda: first.score([ids], slots),
    )


def _timed(costs: Sequence[_Cost], most_tokens: int) -> dict[int, float]:
    """Milliseconds by position among the costs; what takes longest is timed apart, so that it is run least."""
    calls = {
        at: cost.call for at, cost in enumerate(costs) if cost.call is not None and cost.tokens <= most_tokens
    }
    slow = {at: call for at, call in calls.items() if costs[at].tokens > 10 * TOKENS}
    quick = {at: call for at, call in calls.items() if at not in slow}
    seconds: dict[int, float] = {}
    for group, repeats in ((quick, _REPEATS), (slow, 1)):
        seconds |= dict(zip(group, interleaved(list(group.values()), repeats=repeats), strict=True))
    return {at: 1_000 * taken for at, taken in seconds.items()}


def _flops(backbone: Backbone, tokens: int, pairs: float) -> float:
    """Of a pass through the layers: two per weight and token, four per state's width and visible pair."""
    attention = 4 * backbone.hidden_size * len(backbone.layers) * pairs
    return 2 * _linear_size(backbone.layers) * tokens + attention


def _linear_size(model: nn.Module) -> int:
    """Weights of linear maps, embeddings apart."""
    return sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if parameter.ndim == 2 and "embed" not in name
    )


def _causal(tokens: int) -> float:
    return tokens * (tokens + 1) / 2
