"""Overhead of routing as the zoo grows, by layout, beside running every candidate and re-ranking (Figure 2b)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from modelsat.bench.reporting.numbers import count, three_figures
from modelsat.bench.reporting.plots import (
    BASELINE,
    INK,
    MUTED,
    OWN,
    THIRD,
    Plot,
    draw,
    label_lines,
    log_scale,
)
from modelsat.bench.reporting.rows import grouped, number
from modelsat.bench.reporting.words import Finding
from modelsat.bench.results import BenchmarkResult, Row, Suite, Table
from modelsat.bench.run import BenchmarkRun
from modelsat.bench.section import Column, Section, TableSpec
from modelsat.bench.timing import interleaved
from modelsat.scoring.config import NetworkConfig
from modelsat.scoring.scorer import TwoPhaseScorer
from modelsat.types import CapabilityProfile, Instruction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from modelsat.network.backbone import Backbone
    from modelsat.network.paper.prompted import PromptedNetwork

# Candidates in the zoo.
SIZES: dict[Suite, tuple[int, ...]] = {"quick": (1, 10, 100), "full": (1, 5, 10, 20, 50, 100)}
# A layout is timed up to so many tokens.
TIMED_TOKENS: dict[Suite, int] = {"quick": 1_600, "full": 20_000}
_REPEATS = 2
# A call of more tokens is run once.
_SLOW_TOKENS = 1_280
# A long request; its first 128 tokens count.
_REQUEST = "Find all real x with x^3 - 6x^2 + 11x - 6 = 0, and prove that there are no others. " * 20
_LETTERS_PER_TOKEN = 4
_COLOURS = (OWN, THIRD, BASELINE, INK)


def _ends(rows: list[Row]) -> list[Row]:
    sizes = {number(row, "candidates") for row in rows}
    return [row for row in rows if number(row, "candidates") in (min(sizes), max(sizes))]


TABLE = TableSpec(
    name="overhead",
    title="Cost of routing as the zoo grows",
    columns=(
        Column("layout"),
        Column("candidates", count),
        Column("tokens", count),
        Column("gflops", three_figures, "GFLOPs"),
        Column("milliseconds", three_figures),
    ),
    summarise=_ends,
)


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
    """Work of one layout for one size of the zoo; `call` is timed."""

    layout: str
    candidates: int
    tokens: int
    flops: float
    call: Callable[[], object] | None = None


def compute(run: BenchmarkRun) -> Iterator[Table]:
    """Overhead of the router, if it is of layout exam_attention."""
    if isinstance(run.scorer.scorer, TwoPhaseScorer):
        members = [name for name in run.core.table.candidates if name in run.facts]
        yield overhead_table(
            run.scorer.scorer,
            run.profiles,
            config=run.config,
            inference=mean_inference(run.profiles, [run.facts[name].parameters for name in members]),
            sizes=SIZES[run.effort.suite],
            most_tokens=TIMED_TOKENS[run.effort.suite],
        )


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
        inference: Runs once per candidate in re-ranking.
        sizes: Of the zoo.
        most_tokens: Time a layout only up to so many tokens.
    """
    from modelsat.network.encoder import load_encoder
    from modelsat.network.paper.untuned import TOKENS, prompted_networks

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
    rows = [
        (cost.layout, cost.candidates, cost.tokens, cost.flops / 1e9, milliseconds.get(at))
        for at, cost in enumerate(costs)
    ]
    return TABLE.table(
        rows,
        f"One request of {TOKENS} tokens on the processor at hand; GFLOP counted from the weights. Layouts "
        "shared_prefix and capability_first: the same backbone with an untuned connector. Re-ranking runs every "
        f"candidate itself: {inference.parameters:.0f}B parameters and {inference.output_tokens:.0f} tokens of answer "
        "in the mean; it is not timed here. Times change from run to run; all else does not.",
    )


def mean_inference(profiles: Sequence[CapabilityProfile], sizes: Iterable[float | None]) -> Inference:
    """Means over what is known: 8B parameters and 200 tokens where nothing is."""
    known = [size for size in sizes if size is not None]
    lengths = [card.mean_output_tokens for card in profiles if card.mean_output_tokens is not None]
    return Inference(
        parameters=float(np.mean(known)) if known else 8.0,
        output_tokens=float(np.mean(lengths)) if lengths else 200.0,
    )


def _prompted(
    shared: "PromptedNetwork", first: "PromptedNetwork", ids: list[int], size: int
) -> Iterable[_Cost]:
    from modelsat.network.paper.untuned import random_cards

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
    """Milliseconds by position among the costs; slow calls are timed apart, with fewer repeats."""
    calls = {
        at: cost.call for at, cost in enumerate(costs) if cost.call is not None and cost.tokens <= most_tokens
    }
    slow = {at: call for at, call in calls.items() if costs[at].tokens > _SLOW_TOKENS}
    quick = {at: call for at, call in calls.items() if at not in slow}
    seconds: dict[int, float] = {}
    for group, repeats in ((quick, _REPEATS), (slow, 1)):
        seconds |= dict(zip(group, interleaved(list(group.values()), repeats=repeats), strict=True))
    return {at: 1_000 * taken for at, taken in seconds.items()}


def _flops(backbone: "Backbone", tokens: int, pairs: float) -> float:
    """Of a pass through the layers: two per weight and token, four per state's width and visible pair."""
    attention = 4 * backbone.hidden_size * len(backbone.layers) * pairs
    return 2 * _linear_size(backbone.layers) * tokens + attention


def _linear_size(model: Any) -> int:  # noqa: ANN401 - a torch module
    """Weights of linear maps, embeddings apart."""
    return sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if parameter.ndim == 2 and "embed" not in name
    )


def _causal(tokens: int) -> float:
    return tokens * (tokens + 1) / 2


def findings(result: BenchmarkResult) -> Iterator[Finding]:
    """Time to route over the smallest and the largest zoo, by layout."""
    for layout, rows in grouped(result.records("overhead"), "layout").items():
        timed = sorted(
            (row for row in rows if row["milliseconds"] is not None),
            key=lambda row: number(row, "candidates"),
        )
        if len(timed) > 1:
            first, last = (
                f"{three_figures(number(row, 'milliseconds'))} ms over a zoo of {count(number(row, 'candidates'))}"
                for row in (timed[0], timed[-1])
            )
            yield Finding("fact", f"{layout} routes in {first}, in {last}.")


def plots(result: BenchmarkResult) -> Iterator[Plot]:
    """Time and arithmetic to route one instruction, by the size of the zoo."""
    for column, name, what in (("milliseconds", "time", "Milliseconds"), ("gflops", "work", "GFLOPs")):
        rows = [row for row in result.records("overhead") if number(row, column) > 0]
        if len({row["candidates"] for row in rows}) > 1:
            yield _lines(rows, column, name, what)


def _lines(rows: Sequence[Row], column: str, name: str, what: str) -> Plot:
    def paint(axes: "Axes") -> None:
        sizes = sorted({number(row, "candidates") for row in rows})
        log_scale(axes, "x", sizes)
        log_scale(axes, "y", [number(row, column) for row in rows])
        for place, (layout, line) in enumerate(grouped(rows, "layout").items()):
            points = sorted((number(row, "candidates"), number(row, column)) for row in line)
            colour = _COLOURS[place] if place < len(_COLOURS) else MUTED
            axes.plot(*zip(*points, strict=True), color=colour, marker="o", label=layout)
        axes.set_xticks(sizes, [count(size) for size in sizes])
        axes.grid(axis="y")
        axes.set_xlabel("candidates in the zoo")
        label_lines(axes)

    return draw(
        paint,
        title=f"{what} to route one instruction, by size of the zoo and layout",
        caption="One request of 128 tokens; both scales logarithmic",
        height=3.2,
        name=f"overhead-{name}",
        table="overhead",
    )


SECTION = Section(
    name="overhead",
    order=75,
    heading="Cost of routing itself",
    reading="Work to score one instruction. Re-ranking first asks every candidate of the zoo for an answer.",
    tables=(TABLE,),
    compute=compute,
    findings=findings,
    plots=plots,
    needs_torch=True,
)
