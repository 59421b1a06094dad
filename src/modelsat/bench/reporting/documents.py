"""The documents that a released result is written into: the README's numbers and the page of results.

Both are written from a summary, so that the few KB that a release keeps are all they rest on.
"""

from modelsat.bench.reporting.findings import with_interval
from modelsat.bench.reporting.numbers import UNDEFINED, count, write_cell
from modelsat.bench.reporting.observations import findings
from modelsat.bench.reporting.roles import (
    BEST_SINGLE,
    ORACLE,
    OWN,
    Row,
    averaged_zoos,
    headline_part,
    number,
    part_name,
    records,
    role,
    zoo_rows,
)
from modelsat.bench.reporting.sections import (
    SECTIONS,
    VERDICT_HEADINGS,
    absent,
    by_verdict,
    origin,
)
from modelsat.bench.reporting.standing import short_views
from modelsat.bench.reporting.summary import LEFT_OUT, summarise
from modelsat.bench.reporting.views import View, markdown, table_view
from modelsat.bench.results import BenchmarkResult
from modelsat.errors import DataError

# Rivals named in README; the page of results has all.
README_RIVALS = 3


def readme_section(result: BenchmarkResult) -> str:
    """The README's numbers as Markdown, without a heading.

    Args:
        result: Of the test split.

    Raises:
        DataError: It is of the development split, or holds no zoos.
    """
    summary = _released(result)
    rows = zoo_rows(summary)
    lost = by_verdict(findings(summary)).get(VERDICT_HEADINGS["lost"], [])
    return "\n".join(
        (
            f"{count(number(rows[0], 'n'))} instructions ({part_name(str(rows[0]['part']))}), means over "
            f'{len(averaged_zoos(summary))} zoos. "Unseen" candidates are known by their exam only. Gain: points over '
            "the best single candidate. Lead: Model-SAT minus the method, in points. Both with paired 95% bootstrap "
            "intervals.",
            "",
            markdown(_methods(summary, rivals=README_RIVALS), level=0),
            "Where a rival wins:",
            "",
            *(f"- {text}" for text in lost),
        )
    )


def results_page(result: BenchmarkResult, source: str) -> str:
    """The page of results as Markdown.

    Args:
        result: Of the test split.
        source: The file that it is kept in, to be named on the page.

    Raises:
        DataError: See `readme_section`.
    """
    summary = _released(result)
    lines = [
        "# Results",
        "",
        f"Written from `{source}`. [How this is measured, and how to read it](benchmark.md).",
        "",
    ]
    for heading, texts in by_verdict(findings(summary)).items():
        lines += [f"## {heading}", "", *(f"- {text}" for text in texts), ""]
    shortened = short_views(summary)
    for section in SECTIONS:
        tables = [table for table in map(summary.table, section.tables) if table is not None]
        if tables:
            lines += [f"## {section.heading}", "", section.reading, ""]
        for table in tables:
            views = shortened.get(table.name, [table_view(table)])
            lines += [markdown(view, level=3) for view in views]
    missing = absent(summary, never_kept=LEFT_OUT)
    if missing:
        lines += [f"Not run: {'; '.join(missing)}.", ""]
    lines += ["## How to compute it again", "", f"    {summary.command}", ""]
    lines += [f"- {name}: {text}" for name, text in origin(summary)]
    return "\n".join(lines) + "\n"


def _released(result: BenchmarkResult) -> BenchmarkResult:
    if result.split != "test":
        raise DataError(
            f"the result is of the {result.split} split; documents are written from one of the test split: "
            "modelsat bench --split test."
        )
    if not zoo_rows(result):
        raise DataError("the result has no table of zoos, on which documents rest; run the whole suite.")
    return summarise(result)


def _methods(summary: BenchmarkResult, *, rivals: int | None = None) -> View:
    """The main table; with `rivals` only the router, so many of its strongest rivals, and the best single candidate."""
    ranking = records(summary, "ranking")
    part = headline_part(ranking)
    quality = {(row["method"], row["candidates"]): row for row in ranking if row["part"] == part}
    shown = [row for row in zoo_rows(summary) if row["method"] != ORACLE]
    shown.sort(key=lambda row: (role(str(row["method"])) == "control", -number(row, "gain")))
    if rivals is not None:
        leading = [row for row in shown if role(str(row["method"])) == "rival"][:rivals]
        shown = [row for row in shown if row["method"] in (OWN, BEST_SINGLE) or row in leading]
    return View(
        title="By method",
        note="",
        headings=("method", "AUC seen", "AUC unseen", "ECE seen / unseen", "gain", "lead"),
        numeric=frozenset(range(1, 6)),
        rows=tuple(
            (
                str(row["method"]),
                *(_quality(quality.get((row["method"], group)), "auc") for group in ("seen", "unseen")),
                " / ".join(
                    _quality(quality.get((row["method"], group)), "ece") for group in ("seen", "unseen")
                ),
                with_interval(row, "gain"),
                UNDEFINED if row["lead"] is None else with_interval(row, "lead"),
            )
            for row in shown
        ),
        marked=frozenset(place for place, row in enumerate(shown) if row["method"] == OWN),
    )


def _quality(row: Row | None, column: str) -> str:
    return UNDEFINED if row is None else write_cell(column, row[column])
