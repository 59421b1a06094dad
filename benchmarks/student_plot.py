"""The students' curve: decisions a second against the AUC that they lose to their teacher."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelsat.bench.reporting.canvas import (
    INK,
    MUTED,
    OWN_COLOUR,
    RIVAL_COLOUR,
    Plot,
    finish,
    new_figure,
    require_plots,
    style,
)
from modelsat.bench.reporting.marks import halo, label_ends, log_scale
from modelsat.errors import DataError
from modelsat.records.files import write_text

if TYPE_CHECKING:
    from benchmarks.students import StudentRow

_HEIGHT = 3.4
_COLOURS = (OWN_COLOUR, RIVAL_COLOUR, MUTED)


def student_curve(rows: "Sequence[StudentRow]") -> Plot:
    """AUC against decisions a second, by group of candidates; cascades, which have no AUC, are left out.

    Args:
        rows: The teacher's first, as `measure_students` gives them.
    """
    shown = sorted((row for row in rows if row.auc), key=lambda row: row.cost.per_second)
    teacher, first = rows[0], next(iter(rows[0].auc))
    quickest = shown[-1]
    message = (
        f"{quickest.name} decides {quickest.cost.per_second / teacher.cost.per_second:.0f} times as often as "
        f"{teacher.name} and loses {teacher.auc[first] - quickest.auc[first]:.3f} of AUC"
    )
    with style():
        figure, axes = new_figure(
            message,
            "AUC by candidates seen in tuning or not; texts of 128 tokens, one at a time, 30 candidates",
            height=_HEIGHT,
        )
        log_scale(axes, "x", [row.cost.per_second for row in shown])
        places, ends = [row.cost.per_second for row in shown], []
        for colour, group in zip(_COLOURS, teacher.auc, strict=False):
            heights = [row.auc[group] for row in shown]
            axes.plot(places, heights, color=colour, marker="o", markersize=6)
            ends.append((group, places[-1], heights[-1], colour))
        for row in shown:
            axes.annotate(
                row.name,
                (row.cost.per_second, row.auc[first]),
                xytext=(0, 9),
                textcoords="offset points",
                # Centred, the slowest one's name would lie across the axis.
                ha="left" if row is shown[0] else "center",
                color=INK,
                fontsize=10,
                path_effects=halo(),
            )
        axes.margins(y=0.16)
        axes.grid(axis="y")
        axes.set_xlabel("decisions a second, logarithmic")
        label_ends(axes, ends, height=_HEIGHT)
        return finish(figure, name="students", table="students", message=message)


def check_plot(path: Path) -> None:
    """Check before anything long is measured that a plot can be drawn.

    Raises:
        DataError: The file ends neither in .svg nor in .png.
        MissingExtraError: matplotlib is not installed.
    """
    if path.suffix not in (".svg", ".png"):
        raise DataError(f"{path}: a plot ends in .svg or .png.")
    require_plots()


def save_plot(plot: Plot, path: Path) -> None:
    """Write a plot as SVG or PNG, by the file's ending (see `check_plot`)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".svg":
        write_text(path, plot.svg)
    else:
        path.write_bytes(plot.png)
