"""How fast routing is here: ratios within one run, and a few absolute times, each beside its bar.

Ratios carry over from machine to machine; seconds do not. Nothing here fails: a busy machine misses bars.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from statistics import median

import torch

from modelsat.bench.layouts import prompted_networks, random_cards
from modelsat.bench.measure import Measure, SpeedReport
from modelsat.bench.texts import TEXTS
from modelsat.bench.timing import interleaved, machine, stopwatch, versions
from modelsat.capability.zoo import ModelZoo
from modelsat.errors import LayoutError
from modelsat.network.config import NetworkConfig
from modelsat.network.exam_scorer import ExamAttentionScorer
from modelsat.network.load import load_scorer
from modelsat.network.sat import TorchReader
from modelsat.routing.router import Router
from modelsat.types import Instruction

Progress = Callable[[int, int], None]

LARGE_ZOO = 1_000
PROMPTED_CANDIDATES = 30
_PACKAGES = ("modelsat", "torch", "transformers", "numpy")

# What a user's first route costs: a fresh interpreter, all imports, weights from the cache.
_FIRST_ROUTE = """
from pathlib import Path
from modelsat import Router
Router.load().route("Which vitamin does sunlight give?")
status = Path("/proc/self/status")
if status.exists():
    # Of this process alone; what getrusage says may be its parent's.
    print(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")))
else:
    import resource, sys
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak // 1024 if sys.platform == "darwin" else peak)
"""
_HELP = "from modelsat.cli.main import app; app()"


def measure_speed(*, repeats: int = 5, progress: Progress | None = None) -> SpeedReport:
    """Measure everything, with the shipped weights.

    Args:
        repeats: Of each timing; medians are reported.
        progress: Called with (parts done, parts in all).
    """
    parts: tuple[Callable[[int], list[Measure]], ...] = (
        _fresh_processes,
        _zoo_size,
        _warm_route,
        _layouts,
    )
    # Before the work: afterwards it would be this run's own.
    here = machine(torch.get_num_threads())
    measures: list[Measure] = []
    for done, part in enumerate(parts):
        if progress:
            progress(done, len(parts))
        measures += part(repeats)
    if progress:
        progress(len(parts), len(parts))
    return SpeedReport(machine=here, versions=versions(_PACKAGES), measures=tuple(measures))


def _shipped_scorer() -> ExamAttentionScorer:
    scorer = load_scorer()
    if not isinstance(scorer, ExamAttentionScorer):
        raise LayoutError(
            f"the shipped router is {scorer.name}; its speed is measured for exam_attention only."
        )
    return scorer


def _fresh_processes(repeats: int) -> list[Measure]:
    def run(code: str, *arguments: str) -> tuple[float, str]:
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        return time.perf_counter() - start, done.stdout

    # The first one fills the disk's cache, and converts the weights on a new machine.
    run(_FIRST_ROUTE)
    first = [run(_FIRST_ROUTE) for _ in range(min(repeats, 3))]
    helped = [run(_HELP, "--help")[0] for _ in range(repeats)]
    peak = max(int(output.split()[-1]) for _, output in first) / 2**20
    return [
        Measure(name="modelsat --help", value=median(helped), unit="s", bar=0.5, note="fresh process"),
        Measure(
            name="first route",
            value=median(seconds for seconds, _ in first),
            unit="s",
            bar=6.0,
            note="fresh process, weights in the cache",
        ),
        Measure(name="peak memory", value=peak, unit="GB", bar=1.5, note="of that process"),
    ]


def _zoo_size(repeats: int) -> list[Measure]:
    shipped = ModelZoo.shipped().profiles
    many = [
        replace(shipped[number % len(shipped)], candidate=f"candidate {number}")
        for number in range(LARGE_ZOO)
    ]
    scorer = _shipped_scorer()
    # Each keeps the cards of its own zoo, as a router does.
    one, large = copy(scorer), copy(scorer)
    instructions = [Instruction(id=str(number), text=text) for number, text in enumerate(TEXTS)]
    seconds = interleaved(
        [
            lambda: [one.score([instruction], many[:1]) for instruction in instructions],
            lambda: [large.score([instruction], many) for instruction in instructions],
        ],
        repeats=repeats,
    )
    return [
        Measure(
            name=f"exam_attention: {LARGE_ZOO:,} candidates / 1",
            value=seconds[1] / seconds[0],
            unit="x",
            bar=1.2,
            note=f"{1000 * seconds[1] / len(TEXTS):.0f} ms against {1000 * seconds[0] / len(TEXTS):.0f} ms",
        )
    ]


def _warm_route(repeats: int) -> list[Measure]:
    scorer = _shipped_scorer()
    router = Router(scorer=scorer, zoo=ModelZoo.shipped())
    reader = scorer.reader
    assert isinstance(reader, TorchReader)
    totals, backbones, encoders = [], [], []
    for repeat in range(repeats + 1):
        with (
            stopwatch(reader.backbone, "run") as backbone,
            stopwatch(reader, "embed") as encoder,
        ):
            start = time.perf_counter()
            for text in TEXTS:
                router.route(text)
            total = time.perf_counter() - start
        if repeat:
            totals.append(total)
            backbones.append(sum(backbone))
            encoders.append(sum(encoder))
    total, in_backbone, in_encoder = median(totals), median(backbones), median(encoders)
    return [
        Measure(
            name="warm route",
            value=1000 * total / len(TEXTS),
            unit="ms",
            note=f"{len(router.zoo)} candidates, texts of {min(map(len, TEXTS))} to {max(map(len, TEXTS))} letters",
        ),
        Measure(
            name="warm route outside the backbone",
            value=100 * (1 - in_backbone / total),
            unit="%",
            bar=10.0,
            note="sentence encoder included",
        ),
        Measure(name="- sentence encoder", value=100 * in_encoder / total, unit="%"),
        Measure(
            name="- all the rest",
            value=100 * (1 - (in_backbone + in_encoder) / total),
            unit="%",
            note="tokenizer, head, choice, reasons",
        ),
    ]


def _layouts(repeats: int) -> list[Measure]:
    cards = random_cards(PROMPTED_CANDIDATES)
    networks = list(prompted_networks(layers=NetworkConfig().layers).values())
    ids = networks[0].tokenize(" ".join(TEXTS * 4))
    seconds = interleaved(
        [lambda network=network: network.score([ids], cards) for network in networks],  # type: ignore[misc]
        # One pass of capability_first takes as long as dozens of routes.
        repeats=min(repeats, 3),
    )
    prefix = len(ids) + len(networks[0].inquiry)
    tokens = PROMPTED_CANDIDATES * (prefix + 1) / (prefix + PROMPTED_CANDIDATES)
    faster = seconds[0] / seconds[1]
    return [
        Measure(
            name=f"shared_prefix over capability_first, {PROMPTED_CANDIDATES} candidates",
            value=faster,
            unit="x",
            bar=12.0,
            better="higher",
            note=f"{len(ids)} tokens; {1000 * seconds[1]:.0f} ms against {1000 * seconds[0]:.0f} ms",
        ),
        Measure(
            name="shared_prefix: time / its share of tokens",
            value=tokens / faster,
            unit="x",
            bar=1.3,
            note=f"{tokens:.1f} times fewer tokens",
        ),
    ]
