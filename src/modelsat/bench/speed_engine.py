"""The shipped router's engine: against torch, by the size of the zoo, by the length of the text."""

from copy import copy
from dataclasses import replace
from functools import partial

from modelsat.bench.measure import Measure
from modelsat.bench.texts import TEXTS, text_of
from modelsat.bench.timing import interleaved
from modelsat.capability.zoo import ModelZoo
from modelsat.network.load import load_scorer
from modelsat.onnx.cache import best_precision
from modelsat.onnx.load import load_onnx_scorer
from modelsat.scoring.checkpoint import load_checkpoint, shipped_folder
from modelsat.types import CapabilityProfile, Instruction

TOKENS = 128
CANDIDATES = 30
LARGE_ZOO = 1_000
BATCHES = (1, 32)
LENGTHS = (16, 32, 64, 128, 256, 512, 2_048, 8_192)


def measure_engine(repeats: int) -> list[Measure]:
    """What the engine does in a second, and what that depends on.

    Args:
        repeats: Of each timing; medians are reported.
    """
    return [*_against_torch(repeats), *_by_zoo(repeats), *_by_length(repeats)]


def instructions_of(count: int, *, tokens: int) -> list[Instruction]:
    """Different texts of one length."""
    return [Instruction(id=str(number), text=text_of(tokens, number=number)) for number in range(count)]


def zoo_of(count: int) -> tuple[CapabilityProfile, ...]:
    """So many candidates, with the shipped cards in turn."""
    shipped = ModelZoo.shipped().profiles
    return tuple(
        replace(shipped[number % len(shipped)], candidate=f"candidate {number}") for number in range(count)
    )


def _against_torch(repeats: int) -> list[Measure]:
    precision = best_precision()
    full, fast = load_onnx_scorer(precision="fp32"), load_onnx_scorer(precision=precision)
    scorers = (load_scorer(), fast, full)
    profiles, layers = zoo_of(CANDIDATES), load_checkpoint(shipped_folder()).config.layers
    what = f"{TOKENS} tokens, {CANDIDATES} candidates, {layers or 'all'} layers"
    measures = []
    for batch in BATCHES:
        asked = instructions_of(batch, tokens=TOKENS)
        torch, engine, exact = interleaved(
            [partial(scorer.score, asked, profiles) for scorer in scorers],
            repeats=repeats if batch == 1 else min(repeats, 3),
        )
        measures += [
            Measure(
                name=f"engine in {precision} over torch, batch {batch}",
                value=torch / engine,
                unit="x",
                # Without VNNI the engine computes in fp32, as torch does.
                bar=2.0 if precision == "int8" else None,
                better="higher",
                note=f"{1000 * engine:.0f} ms against {1000 * torch:.0f} ms; {what}",
            ),
            Measure(name=f"- engine in fp32 over torch, batch {batch}", value=torch / exact, unit="x"),
            Measure(
                name=f"- decisions by the engine, batch {batch}",
                value=batch / engine,
                unit="/s",
                better="higher",
            ),
        ]
    return measures


def _by_zoo(repeats: int) -> list[Measure]:
    scorer = load_onnx_scorer()
    many = zoo_of(LARGE_ZOO)
    # Each keeps the cards of its own zoo, as a router does.
    one, large = copy(scorer), copy(scorer)
    asked = [Instruction(id=str(number), text=text) for number, text in enumerate(TEXTS)]
    seconds = interleaved(
        [
            lambda: [one.score([instruction], many[:1]) for instruction in asked],
            lambda: [large.score([instruction], many) for instruction in asked],
        ],
        repeats=repeats,
    )
    each = [1000 * taken / len(asked) for taken in seconds]
    return [
        Measure(
            name=f"exam_attention: {LARGE_ZOO:,} candidates / 1",
            value=each[1] / each[0],
            unit="x",
            bar=1.2,
            note=f"{each[1]:.0f} ms against {each[0]:.0f} ms",
        )
    ]


def _by_length(repeats: int) -> list[Measure]:
    scorer, profiles = load_onnx_scorer(), zoo_of(CANDIDATES)
    budget = load_checkpoint(shipped_folder()).config.tokens
    texts = [instructions_of(1, tokens=length) for length in LENGTHS]
    seconds = interleaved(
        [partial(scorer.score, text, profiles) for text in texts],
        repeats=repeats,
    )
    return [
        Measure(
            name=f"scores of a text of {length:,} tokens",
            value=1000 * taken,
            unit="ms",
            note=_cut(length, budget),
        )
        for length, taken in zip(LENGTHS, seconds, strict=True)
    ]


def _cut(length: int, budget: int) -> str:
    return f"{budget} of them are read, from both ends" if length > budget else ""
