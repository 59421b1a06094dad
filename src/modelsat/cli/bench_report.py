"""`modelsat bench report`: a benchmark's result in words and tables, and as a report to open or to keep."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli.output import print_json, print_table, progress_bars, say

if TYPE_CHECKING:
    from modelsat.bench.reporting.views import View
    from modelsat.bench.results import BenchmarkResult


def report(
    result_file: Annotated[
        Path, typer.Argument(metavar="RESULT", help="result.json or summary.json of a report.")
    ],
    folder: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write a report to this folder.", show_default=False),
    ] = None,
    plots: Annotated[
        bool, typer.Option("--plots/--no-plots", help="Draw plots; needs the extra 'plots'.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print what won and every table as JSON.")] = False,
) -> None:
    """Show a result again, or write its report again, without computing anything."""
    from modelsat.bench.results import BenchmarkResult

    result = BenchmarkResult.load(result_file)
    if folder is not None:
        write(result, folder, plots=plots)
    if as_json:
        print_json(result_json(result))
    else:
        print_result(result)


def write(result: "BenchmarkResult", folder: Path, *, plots: bool) -> None:
    """Write a report and say where its page is."""
    from modelsat.bench.reporting.report_directory import write_report

    with progress_bars() as advance:
        page = write_report(result, folder, plots=plots, progress=advance)
    say(f"{page}: written.")


def result_json(result: "BenchmarkResult") -> dict[str, object]:
    """What won in words, and every table as rows."""
    from modelsat.bench.reporting.observations import findings
    from modelsat.bench.reporting.sections import by_verdict

    return {
        "suite": result.suite,
        "split": result.split,
        "findings": by_verdict(findings(result)),
        "tables": {table.name: table.records() for table in result.tables},
    }


def print_result(result: "BenchmarkResult") -> None:
    """Show what won and where a rival wins, and the tables that are short enough to read."""
    from modelsat.bench.reporting.observations import findings
    from modelsat.bench.reporting.sections import SECTIONS, absent, by_verdict
    from modelsat.bench.reporting.standing import short_views
    from modelsat.bench.reporting.summary import LEFT_OUT
    from modelsat.bench.reporting.views import table_view

    for heading, texts in by_verdict(findings(result)).items():
        typer.echo(heading)
        for text in texts:
            typer.echo(f"  - {text}")
        typer.echo()
    shortened = short_views(result)
    for section in SECTIONS:
        # Tables that only plots need are left to the report.
        names = (name for name in section.tables if name not in LEFT_OUT)
        for table in filter(None, map(result.table, names)):
            for view in shortened.get(table.name, [table_view(table)]):
                _print_view(view)
    missing = absent(result, never_kept=LEFT_OUT)
    if missing:
        typer.echo(f"Not run: {'; '.join(missing)}.")


def _print_view(view: "View") -> None:
    numeric = [heading for place, heading in enumerate(view.headings) if place in view.numeric]
    print_table(view.headings, view.rows, title=view.title, numeric=numeric)
    typer.echo()
