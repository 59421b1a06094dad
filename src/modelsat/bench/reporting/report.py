"""A report on disk: one page, every plot, every table, the result itself and its summary.

index.html               everything on one page that needs no other file
result.json              every number
summary.json             what a release keeps, a few KB
tables/<name>.md .json   each table in words and in numbers
plots/<name>.svg .png    each plot
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from modelsat.bench.reporting.plots import Plot, require_plots
from modelsat.bench.reporting.views import View
from modelsat.bench.reporting.words import Finding, by_verdict
from modelsat.bench.results import BenchmarkResult, Cell, Table
from modelsat.bench.section import Column, TableSpec
from modelsat.bench.sections import all_sections, table_specs
from modelsat.progress import Progress, no_progress
from modelsat.records.files import write_text
from modelsat.templates import render

PAGE = "index.html"
# Digits after the point in a summary.
_DIGITS = 5
# A table of more rows is folded.
_LONG = 24


def findings(result: BenchmarkResult) -> dict[str, list[str]]:
    """Everything that can be stated of a result, under the headings of verdicts."""
    found: list[Finding] = [finding for section in all_sections() for finding in section.findings(result)]
    return by_verdict(found)


def whole_view(table: Table) -> View:
    """Every row of a table; one of a section that no longer exists is written plainly."""
    plain = TableSpec(name=table.name, title=table.title, columns=tuple(map(Column, table.columns)))
    spec = table_specs().get(table.name, plain)
    return (spec if spec.names == table.columns else plain).view(table.records(), note=table.note)


def absent(result: BenchmarkResult) -> list[str]:
    """Headings of the sections that were not run; those that only have plots are not missed in a summary."""
    return [
        section.heading
        for section in all_sections()
        if not section.computed(result) and not all(spec.only_plotted for spec in section.tables)
    ]


def summarise(result: BenchmarkResult) -> BenchmarkResult:
    """A result reduced to the rows that headlines and documents rest on; a summary stays as it is."""
    specs = table_specs()
    tables = []
    for table in result.tables:
        spec = specs.get(table.name)
        if spec is not None and not spec.only_plotted:
            rows = spec.summarise(list(table.records()))
            cells = tuple(tuple(_rounded(row[column]) for column in table.columns) for row in rows)
            tables.append(replace(table, rows=cells))
    return replace(result, tables=tuple(tables), seconds=round(result.seconds, 1))


def origin(result: BenchmarkResult) -> dict[str, str]:
    """Data, weights, versions and machine that a result was computed with."""
    split = "validation instructions" if result.split == "development" else "held-out test instructions"
    return {
        "Suite": f"{result.suite}, {result.split} ({split})",
        "Date": result.date,
        "Duration": f"{result.seconds / 60:.1f} minutes",
        "Seed": str(result.seed),
        "Data": result.data_hash,
        "Checkpoint": result.checkpoint_hash,
        "Versions": ", ".join(f"{name} {version}" for name, version in result.versions.items()),
        "Machine": ", ".join(f"{name}: {value}" for name, value in result.machine.items()),
    }


def write_report(
    result: BenchmarkResult, folder: Path, *, plots: bool = True, progress: Progress = no_progress
) -> Path:
    """Write a report; the same result gives the same files, byte for byte.

    Args:
        result: Sections that were not run are left out, and the page names them.
        folder: Created if it is missing; files of an earlier report in it are replaced.
        plots: Whether to draw; without, the extra `plots` is not needed.
        progress: Counts sections.

    Returns:
        Path of the page.

    Raises:
        MissingExtraError: Plots are wanted and matplotlib is not installed; nothing is written then.
        DataError: A file cannot be written.
    """
    if plots:
        require_plots()
    result.save(folder / "result.json")
    summarise(result).save(folder / "summary.json")
    for table in result.tables:
        write_text(folder / "tables" / f"{table.name}.md", whole_view(table).markdown())
        value = {"name": table.name, "title": table.title, "note": table.note, "rows": table.records()}
        text = json.dumps(value, ensure_ascii=False, indent=1) + "\n"
        write_text(folder / "tables" / f"{table.name}.json", text)
    drawn: list[Plot] = []
    for done, section in enumerate(all_sections() if plots else ()):
        progress("drawing", done, len(all_sections()))
        drawn += section.plots(result)
    for plot in drawn:
        for ending in ("svg", "png"):
            plot.save(folder / "plots" / f"{plot.name}.{ending}")
    page = folder / PAGE
    write_text(page, html_page(result, drawn))
    return page


def html_page(result: BenchmarkResult, plots: Sequence[Plot]) -> str:
    """The report as one HTML page that needs no other file: words first, then pictures, then tables.

    Args:
        result: Of a benchmark.
        plots: To put beside their tables; may be none.
    """
    sections = []
    for section in all_sections():
        if section.computed(result):
            names = {spec.name for spec in section.tables}
            tables = [table for table in result.tables if table.name in names]
            shown = section.shown(result)
            short = {view.title for view in shown if len(view.rows) <= _LONG}
            sections.append(
                {
                    "name": section.name,
                    "heading": section.heading,
                    "reading": section.reading,
                    "plots": [plot for plot in plots if plot.table in names],
                    "shown": [view for view in shown if view.title in short or section.views is not None],
                    "folded": [
                        view
                        for view in map(whole_view, tables)
                        if view.title not in short or section.views is not None
                    ],
                }
            )
    title = f"Model-SAT: benchmark of {result.date}"
    return render(
        "benchmark.html",
        title=title,
        heading=title,
        lead=f"{result.suite} suite, {result.split} split, {result.seconds / 60:.1f} minutes",
        result=result,
        findings=findings(result),
        absent=absent(result),
        sections=sections,
        origin=origin(result),
    )


def _rounded(cell: Cell) -> Cell:
    return round(cell, _DIGITS) if isinstance(cell, float) else cell
