"""A report as one HTML page that needs nothing else: no script, no font, no request."""

from collections.abc import Callable, Sequence
from html import escape

from modelsat.gateway.report import RoutingReport, period_words
from modelsat.routing.pricing import format_money

CHOICES = {
    "answered": "as answered",
    "routed": "as routed",
    "strongest": "always the strongest",
    "cheapest": "always the cheapest",
}
_COLOURS = {"answered": "#0b6e4f", "routed": "#3a7ca5", "strongest": "#9a3b3b", "cheapest": "#8a8a8a"}
_WIDTH, _HEIGHT, _LABEL, _BAR = 720, 220, 220, 22
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.2rem .8rem;border-bottom:1px solid #ddd;text-align:right}
th:first-child,td:first-child{text-align:left}svg{display:block;max-width:100%;height:auto}svg text{font-size:13px}
.note{color:#555}"""


def report_page(
    report: RoutingReport,
    currency: str,
    *,
    summary: Sequence[str],
    tables: Sequence[tuple[str, Sequence[str], Sequence[Sequence[str]]]],
) -> str:
    """Write the page.

    Args:
        report: What the plots show.
        currency: ISO 4217 code of its costs.
        summary: Sentences at the top.
        tables: Title, headings and rows of each table; texts are escaped here.
    """
    parts = [f"<p>{escape(sentence)}</p>" for sentence in summary]
    if report.alternatives:
        bars = [
            (choice_name(line.choice, line.candidate), line.cost, _COLOURS[line.choice])
            for line in report.alternatives
        ]
        parts += ["<h2>Cost</h2>", _bars(bars, lambda cost: format_money(cost, currency))]
    if len(report.days) > 1:
        parts += ["<h2>Cost by day</h2>", _lines(report, currency)]
    if report.candidates:
        shares = [(line.candidate, 100 * line.share, _COLOURS["answered"]) for line in report.candidates]
        parts += ["<h2>Share of answers</h2>", _bars(shares, lambda share: f"{share:.1f}%")]
    for title, columns, rows in tables:
        parts += [f"<h2>{escape(title)}</h2>", _table(columns, rows)]
    title = f"Model-SAT: {period_words(report)}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>{escape(title)}</h1>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def choice_name(choice: str, candidate: str | None) -> str:
    """A choice in words."""
    return CHOICES[choice] + (f": {candidate}" if candidate else "")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>\n{body}</table>"


def _bars(bars: Sequence[tuple[str, float, str]], write: Callable[[float], str]) -> str:
    longest = max(value for _, value, _ in bars) or 1.0
    room = _WIDTH - _LABEL - 90
    drawn = []
    for place, (name, value, colour) in enumerate(bars):
        y, length = place * (_BAR + 8), max(1.0, room * value / longest)
        drawn.append(
            f'<text x="{_LABEL - 8}" y="{y + 16}" text-anchor="end">{escape(_short(name))}'
            f"<title>{escape(name)}</title></text>"
            f'<rect x="{_LABEL}" y="{y}" width="{length:.1f}" height="{_BAR}" fill="{colour}"/>'
            f'<text x="{_LABEL + length + 6:.1f}" y="{y + 16}">{write(value)}</text>'
        )
    return _svg(len(bars) * (_BAR + 8), drawn)


def _lines(report: RoutingReport, currency: str) -> str:
    choices = [line.choice for line in report.alternatives]
    highest = max(day.costs[choice] for day in report.days for choice in choices) or 1.0
    left, right, bottom = 80, _WIDTH - 10, _HEIGHT - 40
    step = (right - left) / (len(report.days) - 1)
    drawn = [
        f'<line x1="{left}" y1="{bottom}" x2="{right}" y2="{bottom}" stroke="#999"/>',
        f'<text x="{left - 6}" y="14" text-anchor="end">{format_money(highest, currency)}</text>',
        f'<text x="{left - 6}" y="{bottom}" text-anchor="end">0</text>',
        f'<text x="{left}" y="{bottom + 16}">{report.days[0].date}</text>',
        f'<text x="{right}" y="{bottom + 16}" text-anchor="end">{report.days[-1].date}</text>',
    ]
    for place, choice in enumerate(choices):
        points = " ".join(
            f"{left + step * number:.1f},{bottom - (bottom - 10) * day.costs[choice] / highest:.1f}"
            for number, day in enumerate(report.days)
        )
        drawn.append(
            f'<polyline points="{points}" fill="none" stroke="{_COLOURS[choice]}" stroke-width="2"/>'
            f'<text x="{left + 160 * place}" y="{_HEIGHT - 4}" fill="{_COLOURS[choice]}">{CHOICES[choice]}</text>'
        )
    return _svg(_HEIGHT, drawn)


def _svg(height: float, drawn: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}" height="{height:.0f}" role="img" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(drawn)}</svg>'
    )


def _short(name: str, most: int = 30) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
