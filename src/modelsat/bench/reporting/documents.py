"""Documents written from a released result: the README's numbers and the page of results.

Both are written from a summary, so that the few KB that a release keeps are all they rest on.
"""

from modelsat.bench.methods import MODEL_SAT
from modelsat.bench.reporting.numbers import UNDEFINED, count, three_decimals
from modelsat.bench.reporting.report import absent, findings, origin, summarise
from modelsat.bench.reporting.rows import (
    BEST_SINGLE,
    averaged_zoos,
    baselines_in,
    headline_rows,
    headline_zoo_rows,
    number,
    part_name,
    strongest_baseline,
)
from modelsat.bench.reporting.views import View
from modelsat.bench.reporting.words import HEADINGS, with_interval
from modelsat.bench.results import BenchmarkResult, Row
from modelsat.bench.sections import all_sections
from modelsat.errors import DataError


def readme_section(result: BenchmarkResult) -> str:
    """The README's numbers as Markdown, without a heading: five rows in the mean over the zoos, and every defeat.

    Model-SAT, the two most accurate baselines, the most accurate one of those that serve unseen candidates, and the
    best single candidate.

    Args:
        result: Of the test split.

    Raises:
        DataError: It is of the development split, or holds no zoos.
    """
    summary = _released(result)
    rows = headline_zoo_rows(summary)
    ranked = sorted(baselines_in(rows, "lead"), key=lambda row: -number(row, "accuracy"))
    serving = strongest_baseline(row for row in ranked if row["serves_unseen"] is True)
    names = [MODEL_SAT, *(str(row["method"]) for row in ranked[:2]), BEST_SINGLE]
    names += [] if serving is None else [str(serving["method"])]
    shown = sorted((row for row in rows if row["method"] in names), key=lambda row: -number(row, "accuracy"))
    quality = {(row["method"], row["candidates"]): row for row in headline_rows(summary.records("ranking"))}

    def auc(row: Row, group: str) -> str:
        known = quality.get((row["method"], group))
        return UNDEFINED if known is None else three_decimals(number(known, "auc"))

    view = View.of(
        "By method",
        "",
        {
            "method": lambda row: str(row["method"]),
            "AUC seen": lambda row: auc(row, "seen"),
            "AUC unseen": lambda row: auc(row, "unseen"),
            "serves unseen": lambda row: "yes" if row["serves_unseen"] else "no",
            "gain": lambda row: with_interval(row, "gain"),
            "lead": lambda row: UNDEFINED if row["lead"] is None else with_interval(row, "lead"),
        },
        shown,
        numeric={1, 2, 4, 5},
    )
    found = findings(summary)
    defeats = "\n\n".join(
        f"{heading}:\n\n" + "\n".join(f"- {text}" for text in found[heading])
        for heading in (HEADINGS["lost"], HEADINGS["behind"])
        if heading in found
    )
    return (
        f"{count(number(rows[0], 'n'))} instructions ({part_name(str(rows[0]['part']))}), means over "
        f'{len(averaged_zoos(summary))} zoos. "Unseen" candidates are known by their exam only. Gain: points over the '
        "best single candidate. Lead: Model-SAT minus the method, in points. Both with paired 95% bootstrap "
        f"intervals.\n\n{view.markdown(level=0)}\n{defeats}"
    )


def results_page(result: BenchmarkResult, source: str) -> str:
    """The page of results as Markdown.

    Args:
        result: Of the test split.
        source: The file in which it is kept, to be named on the page.

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
    for heading, texts in findings(summary).items():
        lines += [f"## {heading}", "", *(f"- {text}" for text in texts), ""]
    for section in all_sections():
        views = section.shown(summary)
        if views:
            lines += [f"## {section.heading}", "", section.reading, ""]
            lines += [view.markdown(level=3) for view in views]
    missing = absent(summary)
    if missing:
        lines += [f"Not run: {'; '.join(missing)}.", ""]
    lines += ["## How to compute it again", "", f"    {summary.command}", ""]
    lines += [f"- {name}: {text}" for name, text in origin(summary).items()]
    return "\n".join(lines) + "\n"


def _released(result: BenchmarkResult) -> BenchmarkResult:
    if result.split != "test":
        raise DataError(
            f"the result is of the {result.split} split; documents are written from one of the test split: "
            "modelsat bench --split test."
        )
    if not headline_zoo_rows(result):
        raise DataError("the result has no table of zoos, on which documents rest; run the whole suite.")
    return summarise(result)
