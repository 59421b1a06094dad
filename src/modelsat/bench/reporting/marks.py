"""Marks that plots share: labels at the ends of lines, ticks on logarithmic axes, an outline around text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from modelsat.bench.reporting.canvas import PAPER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

# Up to so many orders of magnitude, ticks stand at 1, 2 and 5; beyond, at 1.
_FINE_TICKS = 10**2.6
# A logarithmic axis spans at least this ratio.
_LEAST_SPAN = 10
# Where labels stand right of the axes, in shares of their width.
_LABEL = 1.035
# Of a label, in inches.
_LINE_HEIGHT = 0.2


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Move labels apart, as little as needed, so that no two are closer than `gap`.

    Args:
        places: Where labels would stand.
        gap: Least distance between two.

    Returns:
        Where they stand, in the order of `places`; those that were not crowded keep their place.
    """
    order = sorted(range(len(places)), key=lambda index: places[index])
    # Each group holds labels that touch: their places, and where the group's first one stands.
    groups: list[tuple[list[int], float]] = []
    for index in order:
        members, start = [index], places[index]
        while groups and start < groups[-1][1] + gap * len(groups[-1][0]):
            members = groups.pop()[0] + members
            offsets = [places[member] - gap * rank for rank, member in enumerate(members)]
            start = sum(offsets) / len(offsets)
        groups.append((members, start))
    moved = list(places)
    for members, start in groups:
        for rank, member in enumerate(members):
            moved[member] = start + gap * rank
    return moved


def halo(width: float = 3) -> Any:  # noqa: ANN401
    """An outline in the colour of the paper, so that a label is read where it crosses a line."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width, foreground=PAPER)]


def label_ends(
    axes: "Axes", ends: Sequence[tuple[str, float, float, str]], *, lines: int = 1, height: float
) -> None:
    """Name lines where they end, right of the axes, apart from each other.

    Args:
        axes: With its lines drawn, its limits final.
        ends: Name, last point (x and y in units of the data) and colour of each line.
        lines: Of text in a label.
        height: Of the axes, in inches, roughly: the layout is not known yet.
    """
    # Limits are worked out when a figure is drawn; they are needed now.
    axes.autoscale_view()
    # In shares of the axes, so that the same holds on a logarithmic scale.
    to_share = axes.transData + axes.transAxes.inverted()
    points = [to_share.transform((across, up)) for _, across, up, _ in ends]
    gap = _LINE_HEIGHT * lines / height
    places = spread([float(up) for _, up in points], gap)
    for (name, _, _, colour), (across, up), place in zip(ends, points, places, strict=True):
        axes.plot(
            [across, 1, _LABEL - 0.008],
            [up, up, place],
            transform=axes.transAxes,
            clip_on=False,
            color=colour,
            linewidth=0.8,
            alpha=0.6,
            zorder=1,
        )
        axes.annotate(
            name,
            (_LABEL, place),
            xycoords="axes fraction",
            va="center",
            color=colour,
            fontweight="bold",
            fontsize=11,
            annotation_clip=False,
        )


def percent_scale(axis: "Axis") -> None:
    """Round ticks in percent, without the halves that would be written as if they were whole."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}%"))


def log_scale(axes: "Axes", which: Literal["x", "y"], values: Sequence[float]) -> None:
    """A logarithmic axis with ticks as plain numbers.

    Args:
        axes: To scale.
        which: Axis.
        values: That will be drawn; all above 0.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = min(values), max(values)
    if high / low < _LEAST_SPAN:
        # What hardly changes shall look as if it hardly changed.
        middle, reach = (low * high) ** 0.5, _LEAST_SPAN**0.5
        low, high = middle / reach, middle * reach
    # A margin in shares of the axis, so that points do not lie on its ends.
    margin = (high / low) ** 0.05
    axes.set(**{f"{which}scale": "log", f"{which}lim": (low / margin, high * margin)})
    axis = axes.xaxis if which == "x" else axes.yaxis
    fine = high / low <= _FINE_TICKS
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if fine else (1,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
