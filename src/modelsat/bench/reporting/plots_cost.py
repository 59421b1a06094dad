"""Plots of what routing costs and saves: quality by money, and work by the size of the zoo."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from modelsat.bench.reporting.canvas import (
    INK,
    MUTED,
    OTHER_COLOUR,
    OWN_COLOUR,
    RIVAL_COLOUR,
    THIRD_COLOUR,
    Plot,
    finish,
    new_figure,
)
from modelsat.bench.reporting.marks import label_ends, log_scale, percent_scale
from modelsat.bench.reporting.numbers import count, three_figures, whole_percent
from modelsat.bench.reporting.roles import OWN, Row, distinct, number, own_row, records, role
from modelsat.bench.results import BenchmarkResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Costs that span more than this are drawn on a logarithmic scale.
_WIDE = 8
_LAYOUT_COLOURS = (OWN_COLOUR, THIRD_COLOUR, RIVAL_COLOUR, INK)


def cost_curves(result: BenchmarkResult) -> Iterator[Plot]:
    """Quality by cost, one plot per zoo with prices."""
    curves = [
        row
        for row in records(result, "cost_quality")
        if row["cost"] is not None and row["quality"] is not None
    ]
    summary = records(result, "cost")
    for zoo in distinct(row["zoo"] for row in curves):
        here = [row for row in curves if row["zoo"] == zoo]
        if any(row["method"] == OWN for row in here):
            yield _cost_curve(zoo, here, [row for row in summary if row["zoo"] == zoo])


def _cost_curve(zoo: str, rows: Sequence[Row], summary: Sequence[Row]) -> Plot:
    own = own_row(summary)
    rivals = [row for row in summary if role(str(row["method"])) == "rival" and row["aiq"] is not None]
    rival = str(max(rivals, key=lambda row: number(row, "aiq"))["method"]) if rivals else ""
    if own is not None and own["saved"] is not None and number(own, "saved") > 0:
        saved = whole_percent(number(own, "saved"))
        message = f"In {zoo}, {OWN} saves {saved} of the cost at the strongest candidate's quality"
    else:
        message = f"In {zoo}, {OWN} does not reach the strongest candidate's quality at a lower cost"
    figure, axes = new_figure(
        message, "Share of instructions answered right, by cost per 1,000 of them", height=3.6
    )
    mixes = [method for method in distinct(row["method"] for row in rows) if "mix" in method]
    looks: dict[str, dict[str, Any]] = {
        **{
            method: {"color": INK, "linewidth": 1.6, "linestyle": (0, (4, 2)), "zorder": 3}
            for method in mixes
        },
        rival: {"color": RIVAL_COLOUR, "linewidth": 2.2, "zorder": 4},
        OWN: {"color": OWN_COLOUR, "linewidth": 3, "zorder": 5},
    }
    costs = [number(row, "cost") for row in rows]
    wide = min(costs) > 0 and max(costs) / min(costs) > _WIDE
    ends, background = [], 0
    for method in distinct(row["method"] for row in rows):
        line = sorted((row for row in rows if row["method"] == method), key=lambda row: number(row, "cost"))
        places = [number(row, "cost") for row in line]
        heights = [100 * number(row, "quality") for row in line]
        look = looks.get(method, {"color": OTHER_COLOUR, "linewidth": 1.1, "zorder": 2})
        marker: dict[str, Any] = {"marker": "o", "markersize": 5} if len(line) == 1 else {}
        axes.plot(places, heights, **look, **marker)
        if method in looks:
            ends.append((method, places[-1], heights[-1], str(look["color"])))
        else:
            background += 1
    axes.margins(x=0.03)
    if wide:
        log_scale(axes, "x", costs)
    if mixes:
        # The dearest mix is the strongest candidate alone.
        dearest = max((row for row in rows if row["method"] == mixes[0]), key=lambda row: number(row, "cost"))
        _reference(axes, 100 * number(dearest, "quality"), "strongest candidate alone")
    percent_scale(axes.yaxis)
    axes.grid(axis="y")
    grey = f"; grey: {background} other methods" if background else ""
    axes.set_xlabel(f"cost per 1,000 instructions{', logarithmic' if wide else ''}{grey}", fontsize=10.5)
    label_ends(axes, ends[::-1], height=2.9)
    return finish(figure, name=f"cost-{zoo}", table="cost_quality", message=message)


def _reference(axes: "Axes", height: float, name: str) -> None:
    axes.axhline(height, color=MUTED, linewidth=1.2, linestyle=(0, (1.2, 2)), zorder=1)
    axes.annotate(
        name,
        (0.01, height),
        xycoords=("axes fraction", "data"),
        xytext=(0, 4),
        textcoords="offset points",
        fontsize=10.5,
        color=MUTED,
    )


def overhead_lines(result: BenchmarkResult) -> Iterator[Plot]:
    """Time and arithmetic to route one instruction, by the size of the zoo."""
    rows = records(result, "overhead")
    for column, name, unit, what in (
        ("milliseconds", "overhead-time", "ms", "Milliseconds"),
        ("gflops", "overhead-work", "GFLOPs", "GFLOPs"),
    ):
        known = [row for row in rows if row[column] is not None and number(row, column) > 0]
        if len({row["candidates"] for row in known}) > 1:
            yield _overhead(known, column, name, unit, what)


def _overhead(rows: Sequence[Row], column: str, name: str, unit: str, what: str) -> Plot:
    lines = {
        layout: sorted(
            (row for row in rows if row["layout"] == layout), key=lambda row: number(row, "candidates")
        )
        for layout in distinct(row["layout"] for row in rows)
    }
    largest = max(number(row, "candidates") for row in rows)
    ends = {layout: number(line[-1], column) for layout, line in lines.items()}
    cheapest, dearest = min(ends, key=lambda key: ends[key]), max(ends, key=lambda key: ends[key])
    message = f"{cheapest} routes over {count(largest)} candidates in {three_figures(ends[cheapest])} {unit}"
    if dearest != cheapest:
        message += f"; {dearest} takes {_times(ends[dearest] / ends[cheapest])} as much"
    figure, axes = new_figure(
        message, f"{what} per instruction, by candidates in the zoo; log scales", height=3.5
    )
    sizes = sorted({number(row, "candidates") for row in rows})
    log_scale(axes, "x", sizes)
    log_scale(axes, "y", [number(row, column) for row in rows])
    labels = []
    for place, (layout, line) in enumerate(sorted(lines.items(), key=lambda item: ends[item[0]])):
        colour = _LAYOUT_COLOURS[place] if place < len(_LAYOUT_COLOURS) else MUTED
        axes.plot(
            [number(row, "candidates") for row in line],
            [number(row, column) for row in line],
            color=colour,
            marker="o",
            markersize=5,
        )
        labels.append((layout, number(line[-1], "candidates"), ends[layout], colour))
    axes.set_xticks(sizes, [count(size) for size in sizes])
    axes.grid(axis="y")
    axes.set_xlabel("candidates", fontsize=10.5)
    label_ends(axes, labels, height=2.9)
    return finish(figure, name=name, table="overhead", message=message)


def _times(ratio: float) -> str:
    return f"{count(ratio)} times" if ratio >= 10 else f"{ratio:.1f} times"
