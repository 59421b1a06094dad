"""Rows of results: roles of methods, and the rows that a headline rests on."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from modelsat.bench.methods import MODEL_SAT, ORACLE
from modelsat.bench.results import ALL_CANDIDATES, MEAN_ZOO, BenchmarkResult, Cell, Row

Role = Literal["own", "variant", "control", "bound", "baseline"]

BEST_SINGLE = "best single"

# The part that a headline is about: the first of these that a result has.
_HEADLINE_PARTS = ("pooled", "validation", "test")

_PART_NAMES: Mapping[str, str] = {
    "pooled": "all held-out instructions, pooled",
    "test": "test instructions of tuned subjects",
    "ood_subjects": "subjects never tuned on",
    "ood_datasets": "datasets never tuned on",
    "validation": "validation instructions",
}


def role(row: Row) -> Role:
    """Role of a row's method in a comparison.

    `own` is the router, a `variant` is another checkpoint, a `control` is the router with wrong cards, the oracle is a
    `bound` that no router can pass, and everything else is a `baseline`.
    """
    method = str(row["method"])
    if method in (MODEL_SAT, ORACLE):
        return "own" if method == MODEL_SAT else "bound"
    if "shuffle" in method:
        return "control"
    return "variant" if method.startswith(MODEL_SAT) else "baseline"


def headline_part(rows: Iterable[Row]) -> str:
    """The part that a headline is about: everything pooled, or what there is."""
    parts = {str(row["part"]): None for row in rows}
    known = [part for part in _HEADLINE_PARTS if part in parts]
    return next(iter([*known, *parts]), "")


def headline_rows(rows: Sequence[Row]) -> list[Row]:
    """Rows of the headline part."""
    part = headline_part(rows)
    return [row for row in rows if row["part"] == part]


def part_name(part: str) -> str:
    """A part in words."""
    return _PART_NAMES.get(part, part)


def among(zoo: str) -> str:
    """A zoo, as a sentence ends with it."""
    return "among all candidates" if zoo == ALL_CANDIDATES else f"in {zoo}"


def number(row: Row, column: str) -> float:
    """A cell as a number; NaN if it is not defined."""
    cell = row[column]
    return float("nan") if cell is None or isinstance(cell, str) else float(cell)


def zoo_rows(result: BenchmarkResult, zoo: str = MEAN_ZOO, part: str | None = None) -> list[Row]:
    """Rows of one zoo in one part, in the table's order; by default of the mean over zoos in the headline part."""
    rows = result.records("zoos")
    wanted = headline_part(rows) if part is None else part
    return [row for row in rows if row["zoo"] == zoo and row["part"] == wanted]


def averaged_zoos(result: BenchmarkResult) -> list[str]:
    """The zoos that the mean over zoos is taken over: those routed in the headline part."""
    rows = headline_rows(result.records("zoos"))
    return distinct(row["zoo"] for row in rows if row["zoo"] != MEAN_ZOO)


def headline_zoo_rows(result: BenchmarkResult) -> list[Row]:
    """Rows that a headline rests on: the mean over zoos, or the only zoo."""
    zoos = averaged_zoos(result)
    return zoo_rows(result, MEAN_ZOO if len(zoos) > 1 else zoos[0]) if zoos else []


def zoo_places(result: BenchmarkResult) -> dict[str, list[Row]]:
    """Rows of each zoo in the part in which it is judged: the headline part, or the only one that it has.

    Zoos of other datasets than the exam's own are routed apart, and are in no mean; their part is named with them.
    """
    averaged = averaged_zoos(result)
    places = {zoo: zoo_rows(result, zoo) for zoo in averaged}
    for row in result.records("zoos"):
        zoo, part = str(row["zoo"]), str(row["part"])
        if zoo not in (MEAN_ZOO, *averaged):
            places.setdefault(f"{zoo} ({part_name(part)})", zoo_rows(result, zoo, part))
    return places


def baselines_in(rows: Iterable[Row], column: str) -> list[Row]:
    """Rows of baselines with a value in a column."""
    return [row for row in rows if role(row) == "baseline" and row[column] is not None]


def strongest_baseline(rows: Iterable[Row], column: str = "accuracy") -> Row | None:
    """The baseline with the highest value; None if none has one."""
    return max(baselines_in(rows, column), key=lambda row: number(row, column), default=None)


def own_row(rows: Iterable[Row]) -> Row | None:
    """The router's own row."""
    return next((row for row in rows if row["method"] == MODEL_SAT), None)


def grouped(rows: Iterable[Row], column: str) -> dict[str, list[Row]]:
    """Rows by the text of a cell, in the order of their first appearance."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(str(row[column]), []).append(row)
    return groups


def distinct(cells: Iterable[Cell]) -> list[str]:
    """Distinct cells as text, in the order of their first appearance."""
    return list(dict.fromkeys(str(cell) for cell in cells))
