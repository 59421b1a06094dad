"""`modelsat report`: what routing was worth."""

import calendar
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli.keys import JsonOption, StoreOption, find_key
from modelsat.cli.output import print_json, print_table, print_text, progress_bars, say
from modelsat.errors import DataError

if TYPE_CHECKING:
    from modelsat.gateway.report import Quality, RoutingReport

Table = tuple[str, list[str], list[list[str]]]
_UNITS_S = {
    **dict.fromkeys(("min", "minute"), 60.0),
    **dict.fromkeys(("h", "hour"), 3_600.0),
    **dict.fromkeys(("d", "day"), 86_400.0),
    **dict.fromkeys(("w", "week"), 604_800.0),
}
_UNITS_MONTHS = {"month": 1, "year": 12}


def report(
    since: Annotated[
        str,
        typer.Option(help="From when on: 30min, 24h, 7d, 4w, 3months, or a date such as 2026-03-31 (UTC)."),
    ] = "7d",
    until: Annotated[
        str | None, typer.Option(help="Until when, written likewise; now by default.", show_default=False)
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Only this API key's: id or name.", show_default=False)
    ] = None,
    strongest: Annotated[
        str | None,
        typer.Option(
            help="Compare with always asking this one; by default the highest mean P(right).",
            show_default=False,
        ),
    ] = None,
    cheapest: Annotated[
        str | None,
        typer.Option(
            help="Compare with always asking this one; by default the lowest mean expected cost.",
            show_default=False,
        ),
    ] = None,
    currency: Annotated[str, typer.Option(metavar="CODE", help="Currency of the zoo's prices.")] = "USD",
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page with plots, too.", show_default=False),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the gateway's routing was worth: cost beside fixed choices, quality by feedback, shares."""
    from modelsat.gateway.keys import list_keys
    from modelsat.gateway.report import make_report
    from modelsat.gateway.store.database import store_url, using_store
    from modelsat.gateway.store.reads import TrafficReader, reading
    from modelsat.types.ranges import require_currency

    require_currency("--currency", currency)
    now = time.time()
    start, end = moment(since, now), now if until is None else moment(until, now)
    if start >= end:
        raise DataError(f"--since {since} is not before --until {until or 'now'}; swap them.")
    with using_store(store_url(store), must_exist=True) as engine, progress_bars() as advance:
        key_id = None if key is None else find_key(list_keys(engine), key).id
        with reading(engine) as connection:
            found = make_report(
                TrafficReader(connection, since=start, until=end, key_id=key_id),
                since=start,
                until=end,
                strongest=strongest,
                cheapest=cheapest,
                progress=advance,
            )
    if html is not None:
        from modelsat.gateway.report_page import report_page
        from modelsat.records.files import write_text

        write_text(html, report_page(found, currency, summary=summary(found), tables=tables(found, currency)))
        say(f"{html}: written")
    if as_json:
        print_json(found.to_json())
        return
    for sentence in summary(found):
        print_text(sentence)
    for title, columns, rows in tables(found, currency):
        print_table(columns, rows, title=title, numeric=columns[1:])


def moment(text: str, now: float) -> float:
    """A moment as users write it: an age such as 7d or 3months, or a date, with or without a time (UTC).

    Raises:
        DataError: It is neither.
    """
    age = re.fullmatch(r"(\d{1,4})([a-z]+)", text.strip(), re.ASCII)
    if age and age[2] == "m":
        raise DataError(f"{text!r} may mean minutes or months; write {age[1]}min or {age[1]}month.")
    try:
        if age:
            number, unit = int(age[1]), age[2].removesuffix("s")
            if unit in _UNITS_S:
                return now - number * _UNITS_S[unit]
            return _months_before(now, number * _UNITS_MONTHS[unit])
        date = datetime.fromisoformat(text.strip())
    except (KeyError, ValueError):
        raise DataError(
            f"{text!r} is no time; write an age such as 30min, 24h, 7d, 4w, 3months or 1year, "
            "or a date such as 2026-03-31."
        ) from None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()


def _months_before(now: float, months: int) -> float:
    """The same day and time some calendar months ago, or the last day of that month where it is shorter."""
    at = datetime.fromtimestamp(now, UTC)
    year, month = divmod(12 * at.year + at.month - 1 - months, 12)
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return at.replace(year=year, month=month + 1, day=day).timestamp()


def summary(report: "RoutingReport") -> list[str]:
    """What a reader should know first, in sentences."""
    from modelsat.gateway.report import period_words

    period = period_words(report)
    if not report.decisions:
        return [f"No decisions from {period}."]
    by = ", ".join(f"{count:,} by {name}" for name, count in report.origins.items())
    sentences = [
        f"{report.decisions:,} decisions from {period} ({by}); {report.answered:,} were sent to a candidate, "
        f"{report.failed:,} of these failed, {report.fell_back:,} fell back.",
    ]
    if report.shadow:
        sentences.append(
            f"{report.shadow:,} in shadow: a fixed candidate answered, and routing was only recorded."
        )
    if report.unpriced:
        sentences.append(
            f"{report.unpriced:,} answers of unknown cost (no tokens reported, or no price in the zoo) "
            "are in no sum of money."
        )
    costs = {line.choice: line.cost for line in report.alternatives}
    routed = costs.get("routed", costs.get("answered", 0.0))
    for choice in ("strongest", "cheapest"):
        if costs.get(choice):
            ratio = routed / costs[choice]
            words = f"{1 - ratio:.1%} less than" if ratio <= 1 else f"{ratio:.2f} times as much as"
            if f"{ratio:.2f}" == "1.00":
                words = "as much as"
            sentences.append(f"Routing cost {words} always asking the {choice} candidate.")
    return sentences


def tables(report: "RoutingReport", currency: str) -> list[Table]:
    """The report's tables: title, headings and cells; those with nothing in them are left out."""
    from modelsat.gateway.report_page import choice_name
    from modelsat.routing.pricing import format_money

    found: list[Table] = []
    if report.alternatives:
        rows = [
            [
                choice_name(line.choice, line.candidate),
                format_money(line.cost, currency),
                f"{line.predicted:.3f}",
            ]
            for line in report.alternatives
        ]
        title = f"Cost of {report.compared:,} routed answers (what was not asked is estimated)"
        found.append((title, ["choice", "cost", "mean P(right)"], rows))
    if report.candidates:
        columns = [
            "candidate",
            "answers",
            "share",
            "failed",
            "tokens in",
            "tokens out",
            "cost",
            "median s",
            "p95 s",
        ]
        rows = [
            [
                line.candidate,
                f"{line.answers:,}",
                f"{line.share:.1%}",
                f"{line.failures:,}",
                f"{line.input_tokens:,}",
                f"{line.output_tokens:,}",
                format_money(line.cost, currency),
                f"{line.median_ms / 1000:.2f}",
                f"{line.p95_ms / 1000:.2f}",
            ]
            for line in report.candidates
        ]
        found.append(("By candidate", columns, rows))
    if report.quality is not None:
        rows = [_quality_row(line.candidate, line.quality) for line in report.candidates if line.quality]
        rows.append(_quality_row("all", report.quality))
        found.append(("Quality by feedback", ["candidate", "feedback", "mean", "95%", "mean P(right)"], rows))
    return found


def _quality_row(name: str, quality: "Quality") -> list[str]:
    return [
        name,
        f"{quality.count:,}",
        f"{quality.observed:.3f}",
        f"{quality.low:.3f}-{quality.high:.3f}",
        "-" if quality.predicted is None else f"{quality.predicted:.3f}",
    ]
