"""How fast routing is here: ratios within one run, and a few absolute times, each beside its bar.

Ratios carry over from machine to machine; seconds do not. Nothing here fails: a busy machine misses bars.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from modelsat.bench.measure import Measure, SpeedReport
from modelsat.bench.speed_engine import measure_engine
from modelsat.bench.speed_processes import measure_processes
from modelsat.bench.speed_rivals import measure_rivals
from modelsat.bench.speed_route import measure_route
from modelsat.bench.timing import machine, versions
from modelsat.network.pretrained import require_torch
from modelsat.threads import usable_cores

# In this order: what ran before costs a later part, the many small products of `layouts` most of all.
Part = Literal["processes", "layouts", "engine", "route", "rivals"]
PARTS: tuple[Part, ...] = get_args(Part)
Progress = Callable[[int, int], None]

_PACKAGES = ("modelsat", "onnxruntime", "torch", "transformers", "numpy")


def measure_speed(
    *,
    parts: Sequence[Part] = PARTS,
    repeats: int = 5,
    litellm: Path | None = None,
    progress: Progress | None = None,
) -> SpeedReport:
    """Measure speed and memory, with the shipped weights.

    Args:
        parts: What to measure.
        repeats: Of each timing; medians are reported.
        litellm: The interpreter of an environment with LiteLLM: its heuristic router becomes one of the rivals.
        progress: Called with (parts done, parts in all).

    Raises:
        DataError: That interpreter has no LiteLLM.
        LayoutError: The shipped router is of a layout that the engine cannot run.
        MissingExtraError: torch or the engine is not installed.
    """
    require_torch()
    runs: Mapping[Part, Callable[[int], list[Measure]]] = {
        "processes": measure_processes,
        "layouts": _measure_layouts,
        "engine": measure_engine,
        "route": measure_route,
        "rivals": partial(measure_rivals, litellm=litellm),
    }
    # Before the work: afterwards the load would be this run's own.
    here = machine(usable_cores())
    measures: list[Measure] = []
    for done, part in enumerate(parts):
        if progress:
            progress(done, len(parts))
        measures += runs[part](repeats)
    if progress:
        progress(len(parts), len(parts))
    return SpeedReport(machine=here, versions=versions(_PACKAGES), measures=tuple(measures))


def _measure_layouts(repeats: int) -> list[Measure]:
    # Torch's; the other parts measure what runs without it.
    from modelsat.bench.layouts import measure_layouts

    return measure_layouts(repeats)
