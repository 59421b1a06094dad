"""A report on disk: one page, every plot, every table, the result itself and its summary.

index.html               all of it on one page that needs no other file
result.json              every number
summary.json             what a release keeps, a few KB
tables/<name>.md .json   each table in words and in numbers
plots/<name>.svg .png    each plot
"""

import json
from pathlib import Path

from modelsat.bench.reporting.canvas import Plot, require_plots
from modelsat.bench.reporting.observations import findings
from modelsat.bench.reporting.page import html_page
from modelsat.bench.reporting.plots import draw
from modelsat.bench.reporting.summary import summarise, summary_text
from modelsat.bench.reporting.views import View, headline_views, markdown, table_view
from modelsat.bench.results import BenchmarkResult, Table
from modelsat.errors import DataError
from modelsat.progress import Progress, no_progress
from modelsat.records.files import write_text

PAGE = "index.html"


def write_report(
    result: BenchmarkResult,
    folder: Path,
    *,
    plots: bool = True,
    progress: Progress = no_progress,
) -> Path:
    """Write a report; the same result gives the same files, byte for byte.

    Args:
        result: Of a benchmark; sections that were not run are left out, and the page says so.
        folder: Made where it is missing; files of an earlier report in it are replaced.
        plots: Whether to draw; without, the extra `plots` is not needed.
        progress: Called with the kinds of plots drawn, and in all.

    Returns:
        Path of the page.

    Raises:
        MissingExtraError: Plots are wanted and matplotlib is not installed; nothing is written then.
        DataError: A file cannot be written.
    """
    if plots:
        require_plots()
    result.save(folder / "result.json")
    write_text(folder / "summary.json", summary_text(summarise(result)))
    shortened = headline_views(result)
    for table in result.tables:
        _write_table(table, shortened.get(table.name, []), folder / "tables")
    drawn = draw(result, progress=progress) if plots else []
    for plot in drawn:
        _write_plot(plot, folder / "plots")
    page = folder / PAGE
    write_text(page, html_page(result, findings(result), drawn))
    return page


def _write_table(table: Table, shortened: list[View], folder: Path) -> None:
    views = [*shortened, table_view(table)]
    write_text(folder / f"{table.name}.md", "\n".join(markdown(view) for view in views))
    value = {"name": table.name, "title": table.title, "note": table.note, "rows": table.records()}
    write_text(folder / f"{table.name}.json", json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def _write_plot(plot: Plot, folder: Path) -> None:
    write_text(folder / f"{plot.name}.svg", plot.svg)
    path = folder / f"{plot.name}.png"
    try:
        path.write_bytes(plot.png)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}).") from None
