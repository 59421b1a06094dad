"""All plots of a result; one that its tables do not hold is left out."""

from collections.abc import Callable, Iterator

from modelsat.bench.reporting.canvas import Plot, require_plots, style
from modelsat.bench.reporting.plots_choice import choice_maps, method_bars, zoo_bars
from modelsat.bench.reporting.plots_cost import cost_curves, overhead_lines
from modelsat.bench.reporting.plots_growth import coverage_bars, learning_curve, reliability, stream_lines
from modelsat.bench.results import BenchmarkResult
from modelsat.progress import Progress, no_progress

DRAWERS: tuple[Callable[[BenchmarkResult], Iterator[Plot]], ...] = (
    zoo_bars,
    method_bars,
    choice_maps,
    reliability,
    learning_curve,
    stream_lines,
    coverage_bars,
    cost_curves,
    overhead_lines,
)


def draw(result: BenchmarkResult, *, progress: Progress = no_progress) -> list[Plot]:
    """Draw every plot that the result's tables allow.

    Args:
        result: Of a benchmark.
        progress: Called with the kinds of plots drawn, and in all.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    require_plots()
    plots: list[Plot] = []
    with style():
        for done, drawer in enumerate(DRAWERS):
            progress("drawing", done, len(DRAWERS))
            plots.extend(drawer(result))
    progress("drawing", len(DRAWERS), len(DRAWERS))
    return plots
