"""The report as one HTML page that needs nothing else: words first, then pictures, then tables.

Everything that came from a result is escaped: a candidate's name may hold anything.
"""

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

from modelsat.bench.reporting.canvas import Plot, for_page
from modelsat.bench.reporting.findings import Finding
from modelsat.bench.reporting.sections import SECTIONS, Section, absent, by_verdict, origin
from modelsat.bench.reporting.views import View, headline_views, table_view
from modelsat.bench.results import BenchmarkResult

# A table of more rows is folded.
_LONG = 24


def html_page(result: BenchmarkResult, found: list[Finding], plots: Sequence[Plot]) -> str:
    """Write the page.

    Args:
        result: Of a benchmark.
        found: What its tables say, in sentences.
        plots: To put beside their tables; may be none.
    """
    shown = [section for section in SECTIONS if any(result.table(name) for name in section.tables)]
    style = files("modelsat.templates").joinpath("page.css").read_text(encoding="utf-8")
    body = "".join(
        (
            _header(result, shown),
            "<main>",
            _findings(found, absent(result)),
            *(_section(section, result, plots) for section in shown),
            _methods(result),
            _origin(result),
            "</main>",
        )
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(_title(result))}</title>\n<style>\n{style}</style></head>\n<body>{body}</body></html>\n"
    )


def _title(result: BenchmarkResult) -> str:
    return f"Model-SAT: benchmark of {result.date}"


def _header(result: BenchmarkResult, shown: Iterable[Section]) -> str:
    links = "".join(f'<a href="#{section.tables[0]}">{escape(section.heading)}</a>' for section in shown)
    notice = (
        '<p class="notice">Development suite: validation instructions, which choices may be made on. Not a number to '
        "publish.</p>"
        if result.split == "development"
        else ""
    )
    facts = f"{result.suite} suite, {result.split} split, {result.seconds / 60:.1f} minutes"
    return (
        f'<header><h1>{escape(_title(result))}</h1><p class="quiet">{escape(facts)}</p>{notice}<nav>{links}'
        '<a href="#origin">How to compute it again</a></nav></header>\n'
    )


def _findings(found: list[Finding], not_run: Sequence[str]) -> str:
    groups = "".join(
        f"<div><h2>{escape(heading)}</h2><ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul></div>"
        for heading, texts in by_verdict(found).items()
    )
    left_out = (
        f'<p class="quiet">Not run, so not in this report: {escape("; ".join(not_run))}.</p>'
        if not_run
        else ""
    )
    return f'<section id="findings"><div class="findings">{groups}</div>{left_out}</section>\n'


def _section(section: Section, result: BenchmarkResult, plots: Sequence[Plot]) -> str:
    views = headline_views(result)
    parts = [
        f'<section id="{section.tables[0]}"><h2>{escape(section.heading)}</h2><p>{escape(section.reading)}</p>'
    ]
    figures = [plot for plot in plots if plot.table in section.tables]
    if figures:
        drawn = "".join(f"<figure>{for_page(plot)}</figure>" for plot in figures)
        parts.append(f'<div class="plots">{drawn}</div>')
    for name in section.tables:
        table = result.table(name)
        if table is None:
            continue
        shortened = views.get(name, [])
        parts.extend(_view(view) for view in shortened)
        whole = table_view(table)
        if shortened or len(whole.rows) > _LONG:
            summary = f"{escape(whole.title)}: all {len(whole.rows)} rows"
            parts.append(f"<details><summary>{summary}</summary>{_note(whole)}{_table(whole)}</details>")
        else:
            parts.append(_view(whole))
    parts.append("</section>\n")
    return "".join(parts)


def _view(view: View) -> str:
    return f"<h3>{escape(view.title)}</h3>{_note(view)}{_table(view)}"


def _note(view: View) -> str:
    return f'<p class="quiet">{escape(view.note)}</p>' if view.note else ""


def _table(view: View) -> str:
    head = "".join(
        f'<th scope="col"{_side(view, place)}>{escape(text)}</th>' for place, text in enumerate(view.headings)
    )
    rows = "".join(_row(view, place) for place in range(len(view.rows)))
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _row(view: View, number: int) -> str:
    first, *others = view.rows[number]
    cells = "".join(
        f"<td{_side(view, place)}>{escape(text)}</td>" for place, text in enumerate(others, start=1)
    )
    own = ' class="own"' if number in view.marked else ""
    return f'<tr{own}><th scope="row"{_side(view, 0)}>{escape(first)}</th>{cells}</tr>'


def _side(view: View, place: int) -> str:
    return ' class="number"' if place in view.numeric else ""


def _methods(result: BenchmarkResult) -> str:
    if not result.method_notes:
        return ""
    return f'<section id="methods"><h2>Methods</h2>{_pairs(result.method_notes.items())}</section>\n'


def _origin(result: BenchmarkResult) -> str:
    return (
        '<section id="origin"><h2>How to compute it again</h2><p>On the same data, weights and machine, this command '
        f"gives the same numbers and the same files.</p><pre>{escape(result.command)}</pre>{_pairs(origin(result))}"
        "</section>\n"
    )


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(text)}</dd>' for name, text in pairs)}</dl>"
