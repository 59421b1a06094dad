"""The look of every plot, and its files: SVG and PNG, the same bytes for the same data.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart: blue for the router, vermilion for its
strongest baseline, grey for everything else.
"""

import re
import textwrap
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from modelsat.errors import DataError, MissingExtraError
from modelsat.records.files import write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

INK, MUTED, GRID, PAPER = "#1c2128", "#68707a", "#e3e6ea", "#ffffff"
OWN, BASELINE, OTHER, THIRD = "#0072b2", "#d55e00", "#a9b0b8", "#009e73"

_WIDTH = 7.2
_PNG_DPI = 180
_TITLE_CHARACTERS, _CAPTION_CHARACTERS = 58, 78
# More digits than any eye resolves, and half of a file.
_LONG_NUMBER = re.compile(r"-?\d+\.\d{4,}")

_STYLE: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 11,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.facecolor": PAPER,
    "grid.color": GRID,
    "legend.frameon": False,
    "lines.linewidth": 2.4,
    # Names of shapes in the file are derived from this, not from a random number.
    "svg.hashsalt": "modelsat",
    "text.color": INK,
    # A name that holds a dollar sign is not a formula.
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A finished plot.

    Attributes:
        name: File name without ending.
        table: Name of the table that it shows.
        title: Its title.
        svg: As text.
        png: As bytes.
    """

    name: str
    table: str
    title: str
    svg: str
    png: bytes

    @property
    def uri(self) -> str:
        """The drawing as an image's address, for a page that needs no other file."""
        return f"data:image/svg+xml;base64,{b64encode(self.svg.encode()).decode()}"

    def save(self, path: Path) -> None:
        """Write it as SVG or PNG, by the file's ending.

        Raises:
            DataError: The file cannot be written.
        """
        if path.suffix == ".svg":
            write_text(path, self.svg)
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.png)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror}).") from None


def require_plots() -> None:
    """Check that plots can be drawn, before anything long is computed.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError("plots", "A report with plots")


def draw(
    paint: "Callable[[Axes], object]", *, title: str, caption: str, height: float, name: str, table: str
) -> Plot:
    """Draw a plot.

    Args:
        paint: Draws into the axes.
        title: States no more than the data's intervals support.
        caption: Describes the values drawn, with their unit; below the axes.
        height: Of the axes, in inches, roughly.
        name: File name without ending; users name zoos and groups, so other characters than letters, digits, ".", "_"
            and "-" are replaced.
        table: Name of the table that it shows.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        head = textwrap.wrap(title, _TITLE_CHARACTERS, break_on_hyphens=False)
        below = textwrap.wrap(caption, _CAPTION_CHARACTERS, break_on_hyphens=False)
        size = (_WIDTH, height + 0.26 * len(head) + 0.19 * len(below) + 0.2)
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle("\n".join(head), x=0.012, ha="left", fontsize=14, fontweight="bold")
        axes = figure.subplots()
        paint(axes)
        figure.supxlabel("\n".join(below), x=0.012, ha="left", fontsize=10.5, color=MUTED)
        svg, png = BytesIO(), BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": "modelsat", "Title": title})
        figure.savefig(png, format="png", dpi=_PNG_DPI, metadata={"Software": None, "Title": title})
    return Plot(
        name=re.sub(r"[^A-Za-z0-9._-]+", "-", name),
        table=table,
        title=title,
        svg=_LONG_NUMBER.sub(_shortened, svg.getvalue().decode("utf-8")),
        png=png.getvalue(),
    )


def label_lines(axes: "Axes") -> None:
    """Name the labelled lines right of the axes, the one that ends highest first."""
    handles, names = axes.get_legend_handles_labels()
    ends = [float(handle.get_ydata()[-1]) for handle in handles]  # type: ignore[attr-defined]
    order = sorted(range(len(names)), key=lambda at: -ends[at])
    axes.legend(
        [handles[at] for at in order],
        [names[at] for at in order],
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        handlelength=1.4,
    )


def percent_scale(axis: "Axis") -> None:
    """Round ticks in percent."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}%"))


def log_scale(axes: "Axes", which: Literal["x", "y"], values: Sequence[float]) -> None:
    """A logarithmic axis over at least one order of magnitude, with ticks as plain numbers.

    Args:
        axes: To scale.
        which: Axis.
        values: That are drawn; all above 0.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = min(values), max(values)
    if high / low < 10:
        # A small change shall look small.
        middle = (low * high) ** 0.5
        low, high = middle / 10**0.5, middle * 10**0.5
    margin = (high / low) ** 0.05
    axes.set(**{f"{which}scale": "log", f"{which}lim": (low / margin, high * margin)})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low <= 400 else (1,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))


def _shortened(number: re.Match[str]) -> str:
    return f"{float(number.group()):.3f}".rstrip("0").rstrip(".")
