"""The router beside the strongest rival, in a few lines: what fits a terminal, a README and a summary."""

from collections.abc import Iterable

from modelsat.bench.reporting.findings import with_interval
from modelsat.bench.reporting.numbers import UNDEFINED, percent
from modelsat.bench.reporting.roles import (
    BEST_SINGLE,
    ORACLE,
    OWN,
    averaged_zoos,
    distinct,
    number,
    own_row,
    part_name,
    records,
    strongest_rival,
    zoo_places,
    zoo_rows,
)
from modelsat.bench.reporting.views import View, method_view, ranking_view, stream_view
from modelsat.bench.results import BenchmarkResult, Cell


def short_views(result: BenchmarkResult) -> dict[str, list[View]]:
    """Few lines in place of many, by the name of the table; other tables are short already."""
    zoos = [method_view(result), zoo_standing(result), part_standing(result)]
    views: dict[str, list[View | None]] = {
        "zoos": zoos,
        "ranking": [ranking_view(result)],
        "stream": [stream_view(result)],
    }
    return {name: [view for view in of_table if view is not None] for name, of_table in views.items()}


def zoo_standing(result: BenchmarkResult) -> View:
    """Zoo by zoo."""
    averaged = averaged_zoos(result)
    groups = [
        (zoo if zoo in averaged else f"{zoo} ({part})", zoo_rows(result, zoo, part))
        for zoo, part in zoo_places(result)
    ]
    return _beside("By zoo", "zoo", groups)


def part_standing(result: BenchmarkResult) -> View:
    """Part by part, in the mean over zoos."""
    parts = distinct(row["part"] for row in records(result, "zoos"))
    return _beside(
        "By part, mean over the zoos",
        "part",
        [(part_name(part), zoo_rows(result, part=part)) for part in parts],
    )


def _beside(title: str, index: str, groups: Iterable[tuple[str, list[dict[str, Cell]]]]) -> View:
    """The router beside the strongest rival, for groups of rows."""
    return View(
        title=title,
        note="",
        headings=(index, BEST_SINGLE, "routed", "gain", "strongest rival", "lead over it", ORACLE),
        numeric=frozenset({1, 2, 3, 5, 6}),
        rows=tuple(_line(name, rows) for name, rows in groups),
    )


def _line(name: str, rows: list[dict[str, Cell]]) -> tuple[str, ...]:
    own, rival = own_row(rows), strongest_rival(rows)
    accuracy = {str(row["method"]): percent(number(row, "accuracy")) for row in rows}
    return (
        name,
        accuracy.get(BEST_SINGLE, UNDEFINED),
        accuracy.get(OWN, UNDEFINED),
        UNDEFINED if own is None else with_interval(own, "gain"),
        UNDEFINED if rival is None else str(rival["method"]),
        UNDEFINED if rival is None or rival["lead"] is None else with_interval(rival, "lead"),
        accuracy.get(ORACLE, UNDEFINED),
    )
