"""Who is who among a benchmark's methods, and which rows a headline rests on."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from modelsat.bench import methods
from modelsat.bench.results import MEAN_ZOO, BenchmarkResult, Cell

Role = Literal["own", "variant", "control", "bound", "rival"]
Row = Mapping[str, Cell]

OWN = methods.MODEL_SAT
ORACLE = methods.ORACLE
RANDOM = methods.RANDOM
BEST_SINGLE = "best single"

# The part that a headline speaks of, the first that a result has.
_HEADLINE_PARTS = ("pooled", "validation", "test")

PART_NAMES: Mapping[str, str] = {
    "pooled": "all held-out instructions, pooled",
    "test": "test instructions of tuned subjects",
    "ood_subjects": "subjects never tuned on",
    "ood_datasets": "datasets never tuned on",
    "validation": "validation instructions",
}


def role(method: str) -> Role:
    """What a method is in a comparison.

    `own` is the router as it ships, a `variant` is one of its layouts or heads, a `control` is it with the wrong
    cards, the oracle is a `bound` that no router can pass, and everything else is a `rival`.
    """
    if method == OWN:
        return "own"
    if method == ORACLE:
        return "bound"
    if "shuffle" in method:
        return "control"
    return "variant" if method.startswith(OWN) else "rival"


def headline_part(rows: Iterable[Row]) -> str:
    """The part that a headline speaks of: everything pooled, or what there is."""
    parts = {str(row["part"]): None for row in rows}
    known = [part for part in _HEADLINE_PARTS if part in parts]
    return next(iter([*known, *parts]), "")


def part_name(part: str) -> str:
    """A part in words."""
    return PART_NAMES.get(part, part)


def number(row: Row, column: str) -> float:
    """A cell as a number; NaN where it is not defined."""
    cell = row[column]
    return float("nan") if cell is None or isinstance(cell, str) else float(cell)


def records(result: BenchmarkResult, name: str) -> list[dict[str, Cell]]:
    """A table's rows; none where the table was not computed."""
    table = result.table(name)
    return [] if table is None else table.records()


def zoo_rows(result: BenchmarkResult, zoo: str = MEAN_ZOO, part: str | None = None) -> list[dict[str, Cell]]:
    """Rows of one zoo in one part, in the table's order; by default of the mean over zoos in the headline part."""
    rows = records(result, "zoos")
    wanted = headline_part(rows) if part is None else part
    return [row for row in rows if row["zoo"] == zoo and row["part"] == wanted]


def averaged_zoos(result: BenchmarkResult) -> list[str]:
    """The zoos that the mean over zoos is taken over: those routed in the headline part."""
    rows = records(result, "zoos")
    part = headline_part(rows)
    return distinct(row["zoo"] for row in rows if row["part"] == part and row["zoo"] != MEAN_ZOO)


def zoo_places(result: BenchmarkResult) -> list[tuple[str, str]]:
    """Each zoo with the part that it is judged in: the headline part, or the only ones that it has.

    Zoos of other datasets than the exam's own are routed apart, and are in no mean.
    """
    averaged = averaged_zoos(result)
    rows = records(result, "zoos")
    places = [(zoo, headline_part(rows)) for zoo in averaged]
    apart = [(str(row["zoo"]), str(row["part"])) for row in rows if row["zoo"] not in (MEAN_ZOO, *averaged)]
    return [*places, *dict.fromkeys(apart)]


def strongest_rival(rows: Iterable[Row], column: str = "accuracy") -> Row | None:
    """The rival with the highest value; None where no rival has one."""
    rivals = [row for row in rows if role(str(row["method"])) == "rival" and row[column] is not None]
    return max(rivals, key=lambda row: number(row, column), default=None)


def own_row(rows: Iterable[Row]) -> Row | None:
    """The shipped router's own row."""
    return next((row for row in rows if row["method"] == OWN), None)


def stream_means(rows: Sequence[Row]) -> dict[str, float]:
    """Each method's mean accuracy over the arrivals of one group's release stream."""
    means = {}
    for method in distinct(row["method"] for row in rows):
        known = [
            number(row, "accuracy") for row in rows if row["method"] == method and row["accuracy"] is not None
        ]
        if known:
            means[method] = sum(known) / len(known)
    return means


def distinct(cells: Iterable[Cell]) -> list[str]:
    """Distinct cells as text, in the order of their first appearance."""
    return list(dict.fromkeys(str(cell) for cell in cells))
