"""A result cut down to what a release keeps: a few KB, still a result, from which documents are written.

Kept are the rows that headlines and documents speak of: the mean over zoos, the router and whoever matters beside it
in every zoo and in the stream, ends of curves. Numbers are rounded to five digits after the point.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from modelsat.bench.reporting.findings import judged
from modelsat.bench.reporting.roles import (
    BEST_SINGLE,
    ORACLE,
    OWN,
    Row,
    distinct,
    headline_part,
    number,
    role,
    stream_means,
    strongest_rival,
)
from modelsat.bench.results import MEAN_ZOO, BenchmarkResult, Cell, Table

# Tables that only plots need.
LEFT_OUT: Collection[str] = ("cost_quality", "choices", "reliability")
_DIGITS = 5


def summarise(result: BenchmarkResult) -> BenchmarkResult:
    """Cut a result down; what was cut down before stays as it is."""
    tables = (_cut(table) for table in result.tables if table.name not in LEFT_OUT)
    return replace(result, tables=tuple(tables), seconds=round(result.seconds, 1))


def summary_text(summary: BenchmarkResult) -> str:
    """A result as JSON with one line per row of a table, so that a change of numbers reads well in a diff.

    `BenchmarkResult.from_json` reads it.
    """
    value = json.loads(summary.to_json())
    tables = value.pop("tables")
    head = json.dumps(value, ensure_ascii=False, indent=1).removesuffix("\n}")
    body = ",\n".join(_table_text(table) for table in tables)
    return f'{head},\n "tables": [\n{body}\n ]\n}}\n'


def _table_text(table: Mapping[str, Any]) -> str:
    fields = [
        f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
        for key, value in table.items()
        if key != "rows"
    ]
    rows = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in table["rows"]]
    return "  {" + ", ".join(fields) + ', "rows": [\n   ' + ",\n   ".join(rows) + "\n  ]}"


def _cut(table: Table) -> Table:
    keep = _KEPT.get(table.name)
    records = table.records()
    rows = records if keep is None else keep(records)
    return replace(
        table, rows=tuple(tuple(_rounded(row[column]) for column in table.columns) for row in rows)
    )


def _zoos(rows: list[dict[str, Cell]]) -> list[dict[str, Cell]]:
    part = headline_part(rows)
    averaged = {row["zoo"] for row in rows if row["part"] == part}
    beside: dict[tuple[Cell, Cell], list[dict[str, Cell]]] = {}
    for row in rows:
        beside.setdefault((row["zoo"], row["part"]), []).append(row)

    def kept(row: dict[str, Cell]) -> bool:
        mean, headline = row["zoo"] == MEAN_ZOO, row["part"] == part
        spoken_of = mean or headline or row["zoo"] not in averaged
        return (mean and headline) or (spoken_of and _matters(row, beside[row["zoo"], row["part"]]))

    return [row for row in rows if kept(row)]


def _matters(row: Row, beside: list[dict[str, Cell]]) -> bool:
    """The router, its references, its strongest and its closest rival, and every rival that beats it."""
    method = str(row["method"])
    if method in (OWN, ORACLE) or method.startswith(BEST_SINGLE):
        return True
    rivals = [
        other for other in beside if role(str(other["method"])) == "rival" and other["lead"] is not None
    ]
    closest = min(rivals, key=lambda other: number(other, "lead"), default=None)
    beats = role(method) == "rival" and judged(row, "lead") == "lost"
    return beats or row is closest or row is strongest_rival(beside)


def _headline(rows: list[dict[str, Cell]]) -> list[dict[str, Cell]]:
    part = headline_part(rows)
    return [row for row in rows if row["part"] == part]


def _streams(rows: list[dict[str, Cell]]) -> list[dict[str, Cell]]:
    kept = []
    for group in distinct(row["group"] for row in rows):
        here = [row for row in rows if row["group"] == group]
        rivals = {method: mean for method, mean in stream_means(here).items() if role(method) == "rival"}
        strongest = max(rivals, key=lambda method: rivals[method], default="")
        kept += [row for row in here if row["method"] in (OWN, BEST_SINGLE, strongest)]
    return kept


def _ends(rows: list[dict[str, Cell]]) -> list[dict[str, Cell]]:
    sizes = {number(row, "candidates") for row in rows}
    return [row for row in rows if number(row, "candidates") in (min(sizes), max(sizes))]


def _rounded(cell: Cell) -> Cell:
    return round(cell, _DIGITS) if isinstance(cell, float) else cell


_KEPT: Mapping[str, Callable[[list[dict[str, Cell]]], list[dict[str, Cell]]]] = {
    "zoos": _zoos,
    "ranking": _headline,
    "stream": _streams,
    "overhead": _ends,
}
