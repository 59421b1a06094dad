"""The students' curve: decisions a second against the AUC that they lose to their teacher."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelsat.bench.reporting.plots import (
    BASELINE,
    MUTED,
    OWN,
    Plot,
    draw,
    label_lines,
    log_scale,
    require_plots,
)
from modelsat.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from benchmarks.students import StudentRow

_COLOURS = (OWN, BASELINE, MUTED)


def student_curve(rows: "Sequence[StudentRow]") -> Plot:
    """AUC against decisions a second, by group of candidates; cascades, which have no AUC, are left out.

    Args:
        rows: The teacher's first, as from `measure_students`.
    """
    shown = sorted((row for row in rows if row.auc), key=lambda row: row.cost.per_second)
    teacher, first, quickest = rows[0], next(iter(rows[0].auc)), shown[-1]
    places = [row.cost.per_second for row in shown]

    def paint(axes: "Axes") -> None:
        log_scale(axes, "x", places)
        for colour, group in zip(_COLOURS, teacher.auc, strict=False):
            axes.plot(places, [row.auc[group] for row in shown], color=colour, marker="o", label=group)
        for row in shown:
            at = (row.cost.per_second, row.auc[first])
            axes.annotate(row.name, at, xytext=(0, 9), textcoords="offset points", fontsize=10)
        axes.margins(y=0.16)
        axes.grid(axis="y")
        axes.set_xlabel("decisions a second, logarithmic")
        label_lines(axes)

    return draw(
        paint,
        title="AUC of students and their teacher by decisions a second",
        caption="AUC by candidates seen in tuning or not; texts of 128 tokens, one at a time, 30 candidates. "
        f"{quickest.name}: {quickest.cost.per_second / teacher.cost.per_second:.0f} times as many decisions as "
        f"{teacher.name}, {teacher.auc[first] - quickest.auc[first]:.3f} less AUC (no interval)",
        height=3.4,
        name="students",
        table="students",
    )


def check_plot(path: Path) -> None:
    """Check before anything long is measured that a plot can be drawn.

    Raises:
        DataError: The file ends neither in .svg nor in .png.
        MissingExtraError: matplotlib is not installed.
    """
    if path.suffix not in (".svg", ".png"):
        raise DataError(f"{path}: a plot ends in .svg or .png.")
    require_plots()
