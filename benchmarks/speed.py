"""Speed and memory of routing on this machine: ratios within one run, and a few absolute times, each beside its bar.

Ratios carry over from machine to machine; seconds do not. Nothing here fails: a busy machine misses bars.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Literal, get_args

import typer

from benchmarks.measure import Measure, MeasureReport, chosen_parts, run, stopwatch, write_json
from benchmarks.speed_baselines import measure_baselines
from benchmarks.speed_layouts import measure_layouts
from benchmarks.speed_processes import measure_processes
from benchmarks.texts import BATCHES, CANDIDATES, TEXTS, TOKENS, instructions_of, zoo_of
from modelsat.bench.timing import interleaved, machine, versions
from modelsat.capability.zoo import ModelZoo
from modelsat.cli.output import progress_bars
from modelsat.errors import DataError
from modelsat.network.load import load_scorer
from modelsat.onnx.load import load_onnx_scorer
from modelsat.onnx.session import best_precision
from modelsat.progress import Progress, no_progress
from modelsat.routing.router import Router
from modelsat.routing.score_cache import ScoreCache
from modelsat.scoring.checkpoint import load_checkpoint, shipped_folder
from modelsat.types import Instruction

# In this order: what ran before slows down a later part, the many small products of `layouts` most of all.
Part = Literal["processes", "layouts", "engine", "route", "baselines"]
PARTS: tuple[Part, ...] = get_args(Part)
LARGE_ZOO = 1_000
LENGTHS = (16, 32, 64, 128, 256, 512, 2_048, 8_192)
_PACKAGES = ("modelsat", "onnxruntime", "torch", "transformers", "numpy")


def main(
    part: Annotated[
        list[str] | None,
        typer.Option(help="processes, layouts, engine, route or baselines; repeatable (default: all)."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each timing; medians are shown.")] = 5,
    litellm: Annotated[
        Path | None,
        typer.Option(metavar="PYTHON", help="An interpreter with LiteLLM: time its heuristic router too."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the report as JSON.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure speed and memory beside their bars. A busy machine misses bars; nothing fails."""
    parts = chosen_parts(part, PARTS)
    if litellm is not None and not litellm.is_file():
        raise DataError(f"--litellm is {litellm}, which is not a file; give a Python that has LiteLLM.")
    with progress_bars() as advance:
        report = measure_speed(parts, repeats=repeats, litellm=litellm, progress=advance)
    if output is not None:
        write_json(output, report.to_json())
    report.print(as_json=as_json)


def measure_speed(
    parts: Sequence[Part] = PARTS,
    *,
    repeats: int = 5,
    litellm: Path | None = None,
    progress: Progress = no_progress,
) -> MeasureReport:
    """Measure speed and memory with the shipped weights.

    Args:
        parts: Parts to measure.
        repeats: Runs of each timing; medians are reported.
        litellm: The interpreter of an environment with LiteLLM, whose heuristic router is timed as well.
        progress: Called with (parts done, parts in total).

    Raises:
        DataError: That interpreter has no LiteLLM.
    """
    runs: Mapping[Part, Callable[[int], list[Measure]]] = {
        "processes": measure_processes,
        "layouts": measure_layouts,
        "engine": measure_engine,
        "route": measure_route,
        "baselines": partial(measure_baselines, litellm=litellm),
    }
    # Before the work: afterwards the load would be this run's own.
    here = machine()
    measures: list[Measure] = []
    for done, part in enumerate(parts):
        progress("measuring", done, len(parts))
        measures += runs[part](repeats)
    progress("measuring", len(parts), len(parts))
    return MeasureReport(machine=here, versions=versions(_PACKAGES), measures=tuple(measures))


def measure_engine(repeats: int) -> list[Measure]:
    """Throughput of the router in ONNX Runtime: against torch, by size of the zoo and by length of the text."""
    return [*_against_torch(repeats), *_by_zoo(repeats), *_by_length(repeats)]


def _against_torch(repeats: int) -> list[Measure]:
    precision = best_precision()
    scorers = (load_scorer(), load_onnx_scorer(precision=precision), load_onnx_scorer(precision="fp32"))
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
    scorer, many = load_onnx_scorer(), zoo_of(LARGE_ZOO)
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
    seconds = interleaved([partial(scorer.score, text, profiles) for text in texts], repeats=repeats)
    return [
        Measure(
            name=f"scores of a text of {length:,} tokens",
            value=1000 * taken,
            unit="ms",
            note=f"{budget} of them are read, from both ends" if length > budget else "",
        )
        for length, taken in zip(LENGTHS, seconds, strict=True)
    ]


def measure_route(repeats: int) -> list[Measure]:
    """Where the time of a warm route goes, and the cost of a repeated request."""
    scorer = load_onnx_scorer()
    router = Router(scorer=scorer, zoo=ModelZoo.shipped())
    totals, backbones, encoders = [], [], []
    for repeat in range(repeats + 1):
        with stopwatch(scorer.encoder, "pool") as backbone, stopwatch(scorer.encoder, "embed") as encoder:
            total = _round(router)
        if repeat:
            totals.append(total)
            backbones.append(sum(backbone))
            encoders.append(sum(encoder))
    total, in_backbone, in_encoder = median(totals), median(backbones), median(encoders)
    cached = Router(scorer=scorer, zoo=router.zoo, score_cache=ScoreCache())
    _round(cached)
    again = median(_round(cached) for _ in range(repeats))
    lengths = [len(text) for text in TEXTS]
    return [
        Measure(
            name="warm route",
            value=1000 * total / len(TEXTS),
            unit="ms",
            note=f"{len(router.zoo)} candidates, texts of {min(lengths)} to {max(lengths)} letters",
        ),
        Measure(
            name="warm route outside the backbone",
            value=100 * max(0.0, 1 - in_backbone / total),
            unit="%",
            bar=10.0,
            note="time of a route beyond the backbone's; the sentence encoder runs beside the backbone",
        ),
        Measure(
            name="- sentence encoder",
            value=1000 * in_encoder / len(TEXTS),
            unit="ms",
            note="in a thread of its own, beside the backbone",
        ),
        Measure(name="a repeated request", value=1000 * again / len(TEXTS), unit="ms", note="from the cache"),
    ]


def _round(router: Router) -> float:
    start = time.perf_counter()
    for text in TEXTS:
        router.route(text)
    return time.perf_counter() - start


if __name__ == "__main__":
    run(main)
