"""The look of every plot, and its files: SVG and PNG, the same bytes for the same data.

Colours are those of Okabe and Ito, told apart by people who do not see red or green: blue for the router, vermilion
for its strongest rival, grey for everything else. Lines are labelled where they end; titles say what the data says.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any

from modelsat.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#1c2128", "#68707a", "#e3e6ea", "#ffffff"
OWN_COLOUR, RIVAL_COLOUR, OTHER_COLOUR = "#0072b2", "#d55e00", "#a9b0b8"
THIRD_COLOUR = "#009e73"

# What each colour becomes on a page that is light or dark; a file of its own keeps the light one.
PAGE_COLOURS: Mapping[str, str] = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    PAPER: "--paper",
    OWN_COLOUR: "--own",
    RIVAL_COLOUR: "--rival",
    OTHER_COLOUR: "--other",
    THIRD_COLOUR: "--third",
}

WIDTH = 6.4
PNG_DPI = 200
_TITLE_CHARACTERS = 52
_SUBTITLE_CHARACTERS = 66
# More digits than any eye resolves, and half of a file.
_LONG_NUMBER = re.compile(r"-?\d+\.\d{4,}")

_STYLE: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 12,
    "axes.edgecolor": MUTED,
    "axes.facecolor": PAPER,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "figure.facecolor": PAPER,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 2.4,
    "lines.solid_capstyle": "round",
    "savefig.facecolor": PAPER,
    "svg.fonttype": "path",
    # Names of shapes in the file are drawn from this, not from a random number.
    "svg.hashsalt": "modelsat",
    "text.color": INK,
    # A name that holds a dollar sign is not a formula.
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A finished plot.

    Attributes:
        name: File name without ending.
        table: Name of the table that it shows.
        message: What it says in one sentence; also its title.
        svg: As text.
        png: As bytes.
    """

    name: str
    table: str
    message: str
    svg: str
    png: bytes


def require_plots() -> None:
    """Say at once that plots cannot be drawn, before anything long is computed.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError("plots", "A report with plots")


@contextmanager
def style() -> Iterator[None]:
    """Draw in the house's style."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def new_figure(message: str, subtitle: str, *, height: float) -> "tuple[Figure, Axes]":
    """A figure with one plot below its message.

    Args:
        message: What the plot says; the title.
        subtitle: What is drawn, with its unit.
        height: Of the plot, in inches; the title comes on top.

    Returns:
        The figure and its axes.
    """
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    title = textwrap.wrap(message, _TITLE_CHARACTERS, break_on_hyphens=False)
    below = textwrap.wrap(subtitle, _SUBTITLE_CHARACTERS, break_on_hyphens=False)
    head = 0.12 + 0.27 * len(title) + 0.21 * len(below) + 0.1
    total = height + head
    layout = ConstrainedLayoutEngine(rect=(0.01, 0.01, 0.98, (total - head) / total - 0.01))
    figure = Figure(figsize=(WIDTH, total), layout=layout)
    top = 1 - 0.1 / total
    figure.text(0.018, top, "\n".join(title), fontsize=14.5, fontweight="bold", va="top", linespacing=1.25)
    figure.text(
        0.018,
        top - (0.27 * len(title) + 0.06) / total,
        "\n".join(below),
        fontsize=11,
        color=MUTED,
        va="top",
        linespacing=1.25,
    )
    return figure, figure.subplots()


def finish(figure: "Figure", *, name: str, table: str, message: str) -> Plot:
    """Write a figure as SVG and PNG, without dates or versions in the files."""
    # Laid out once; each file would otherwise measure all text again.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    svg, png = BytesIO(), BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": "modelsat", "Title": message})
    figure.savefig(png, format="png", dpi=PNG_DPI, metadata={"Software": None, "Title": message})
    text = _LONG_NUMBER.sub(_shortened, svg.getvalue().decode("utf-8"))
    return Plot(name=_file_name(name), table=table, message=message, svg=text, png=png.getvalue())


def _shortened(number: re.Match[str]) -> str:
    return f"{float(number.group()):.3f}".rstrip("0").rstrip(".")


def _file_name(name: str) -> str:
    """A name that any file system and any page takes: zoos and groups are named by users."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)


def for_page(plot: Plot) -> str:
    """A plot as SVG to put into a page: the page's colours, ids of its own, read out by its message."""
    from html import escape

    svg = plot.svg[plot.svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\b(id=\"|href=\"#|url\(#)", rf"\g<1>{plot.name}-", svg)
    for colour, variable in PAGE_COLOURS.items():
        svg = svg.replace(colour, f"var({variable})")
    size = re.search(r'<svg [^>]*?viewBox="([^"]*)"', svg)
    box = size.group(1) if size else ""
    head = f'<svg viewBox="{box}" role="img" aria-label="{escape(plot.message, quote=True)}"'
    return re.sub(
        r"<svg [^>]*",
        f'{head} xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"',
        svg,
        count=1,
    )
