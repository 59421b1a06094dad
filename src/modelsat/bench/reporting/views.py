"""Tables as a reader sees them: values beside their intervals, units in the headings, long tables turned.

A view holds text only. Markdown, HTML and the pages under `docs/` are written from views; the numbers themselves
are in the result's JSON.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelsat.bench.reporting.numbers import FORMATS, UNDEFINED, write_cell, write_interval
from modelsat.bench.reporting.roles import (
    BEST_SINGLE,
    OWN,
    Row,
    averaged_zoos,
    distinct,
    headline_part,
    number,
    part_name,
    records,
    stream_means,
    zoo_places,
    zoo_rows,
)
from modelsat.bench.results import BenchmarkResult, Table

# Columns that bound another one, by the table-wide name of what they bound.
_BOUNDS: Mapping[str, tuple[str, str]] = {
    "gain": ("gain_low", "gain_high"),
    "lead": ("lead_low", "lead_high"),
    "accuracy": ("low", "high"),
    "accuracy_change": ("low", "high"),
}
_BOUND_COLUMNS = {column for bounds in _BOUNDS.values() for column in bounds}

_HEADINGS: Mapping[str, str] = {
    "gain": "gain, points",
    "lead": "Model-SAT's lead, points",
    "gap_closed": "gap closed",
    "regret": "regret, points",
    "strongest_rate": "to the strongest",
    "serves_unseen": "serves unseen",
    "auc": "AUC",
    "auc_seen": "AUC, seen",
    "auc_unseen": "AUC, unseen",
    "learnt": "tuned on",
    "within_auc": "within-candidate AUC",
    "ece": "ECE",
    "cost": "cost per 1,000",
    "aiq": "AIQ",
    "apgr": "APGR",
    "cpt50": "CPT(50%)",
    "cpt80": "CPT(80%)",
    "saved": "cost saved",
    "gflops": "GFLOPs",
    "accuracy_change": "accuracy, points",
    "changed_share": "choices changed",
    "success_rate": "to the dearest",
    "rate_without": "without gadget",
    "bin_low": "from",
    "bin_high": "to",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A table in words.

    Attributes:
        title: Heading.
        note: What a reader must know to read it; may be empty.
        headings: Of the columns.
        numeric: Columns to align right, by position.
        rows: Cells as text.
        marked: Rows of the router itself, by position.
    """

    title: str
    note: str
    headings: tuple[str, ...]
    numeric: frozenset[int]
    rows: tuple[tuple[str, ...], ...]
    marked: frozenset[int] = frozenset()


def table_view(table: Table) -> View:
    """Every row of a table."""
    return rows_view(table.title, table.note, table.columns, table.records())


def rows_view(title: str, note: str, columns: Sequence[str], rows: Iterable[Row]) -> View:
    """Some columns of some rows; a value takes its interval with it.

    Args:
        title: Heading.
        note: What a reader must know.
        columns: Which to show; those that bound another one are never shown on their own.
        rows: Of one table.
    """
    kept = list(rows)
    shown = [column for column in columns if column not in _BOUND_COLUMNS]
    return View(
        title=title,
        note=note,
        headings=tuple(_HEADINGS.get(column, column.replace("_", " ")) for column in shown),
        numeric=frozenset(place for place, column in enumerate(shown) if _is_numeric(column, kept)),
        rows=tuple(tuple(_write(row, column) for column in shown) for row in kept),
        marked=frozenset(place for place, row in enumerate(kept) if row.get("method") == OWN),
    )


def method_view(result: BenchmarkResult) -> View | None:
    """Every method in the mean over zoos, the most accurate first."""
    rows = sorted(zoo_rows(result), key=lambda row: -number(row, "accuracy"))
    if not rows:
        return None
    columns = [column for column in rows[0] if column not in ("zoo", "part", "n")]
    instructions = write_cell("n", rows[0]["n"])
    return rows_view(
        "Mean over the zoos, by method",
        f"{instructions} instructions: {part_name(str(rows[0]['part']))}. Gain: over the best single candidate. Lead: "
        "Model-SAT minus the method. Both with paired 95% intervals.",
        columns,
        rows,
    )


def zoo_view(result: BenchmarkResult, column: str, title: str) -> View | None:
    """Methods x zoos, the mean over zoos last.

    Args:
        result: Of a benchmark.
        column: What to show: `gain`, `lead` or `accuracy`.
        title: Heading.
    """
    averaged = averaged_zoos(result)
    shown: list[Row] = []
    for zoo, part in zoo_places(result):
        name = zoo if zoo in averaged else f"{zoo} ({part})"
        shown += [{**row, "zoo": name} for row in zoo_rows(result, zoo, part)]
    shown += zoo_rows(result)
    if not shown:
        return None
    part = part_name(headline_part(shown))
    return turned_view(
        title, f"{part[:1].upper()}{part[1:]}.", shown, index="method", across="zoo", column=column
    )


def part_view(result: BenchmarkResult) -> View | None:
    """Methods x parts: gain in the mean over zoos."""
    rows = [row for row in records(result, "zoos") if row["zoo"] == "mean"]
    if len({row["part"] for row in rows}) < 2:
        return None
    note = "Mean over the zoos; " + "; ".join(
        f"{part}: {part_name(part)}" for part in distinct(row["part"] for row in rows)
    )
    return turned_view("Gain by part, points", f"{note}.", rows, index="method", across="part", column="gain")


def ranking_view(result: BenchmarkResult) -> View | None:
    """How well each method's scores rank, in the headline part."""
    table = result.table("ranking")
    if table is None:
        return None
    part = headline_part(table.records())
    columns = [column for column in table.columns if column != "part"]
    note = f"{table.note} {part_name(part)[:1].upper()}{part_name(part)[1:]}."
    return rows_view(table.title, note, columns, [row for row in table.records() if row["part"] == part])


def stream_view(result: BenchmarkResult) -> View | None:
    """What each method achieved over a release stream: mean over arrivals, first and last step."""
    rows = records(result, "stream")
    if not rows:
        return None
    shown: list[tuple[str, ...]] = []
    for group in distinct(row["group"] for row in rows):
        here = [row for row in rows if row["group"] == group]
        for method, mean in stream_means(here).items():
            steps = [row for row in here if row["method"] == method]
            ends = (_write(row, "accuracy") for row in (steps[0], steps[-1]))
            shown.append((group, method, write_cell("accuracy", mean), *ends))
    return View(
        title="Over the release stream, by method",
        note="Mean over all arrivals, and the accuracy after the first and the last one with its 95% interval.",
        headings=("group", "method", "mean accuracy", "first", "last"),
        numeric=frozenset({2, 3, 4}),
        rows=tuple(shown),
        marked=frozenset(place for place, row in enumerate(shown) if row[1] == OWN),
    )


def choice_views(result: BenchmarkResult) -> list[View]:
    """Subjects x candidates, one view per zoo: the share of a subject's instructions that each one gets."""
    rows = records(result, "choices")
    return [
        turned_view(
            f"Who is chosen in {zoo}",
            "",
            [row for row in rows if row["zoo"] == zoo],
            index="subject",
            across="candidate",
            column="share",
        )
        for zoo in distinct(row["zoo"] for row in rows)
    ]


def turned_view(title: str, note: str, rows: Sequence[Row], *, index: str, across: str, column: str) -> View:
    """One value per pair of two columns, as a matrix.

    Args:
        title: Heading.
        note: What a reader must know.
        rows: Of one table.
        index: Column that names the rows.
        across: Column that names the columns.
        column: The value, shown with its interval if it has one.
    """
    down, over = distinct(row[index] for row in rows), distinct(row[across] for row in rows)
    cells = {(str(row[index]), str(row[across])): _write(row, column) for row in rows}
    return View(
        title=title,
        note=note,
        headings=(index, *over),
        numeric=frozenset(range(1, 1 + len(over))),
        rows=tuple((name, *(cells.get((name, other), UNDEFINED) for other in over)) for name in down),
        marked=frozenset(place for place, name in enumerate(down) if name == OWN),
    )


def headline_views(result: BenchmarkResult) -> dict[str, list[View]]:
    """The views that are shown in place of a long table, by the table's name."""
    lead = zoo_view(result, "lead", "Model-SAT's lead over each method by zoo, points")
    gain = zoo_view(result, "gain", f"Gain over the {BEST_SINGLE} by zoo, points")
    views: Mapping[str, Sequence[View | None]] = {
        "zoos": [method_view(result), gain, lead, part_view(result)],
        "ranking": [ranking_view(result)],
        "stream": [stream_view(result)],
        "choices": choice_views(result),
    }
    return {name: [view for view in of_table if view is not None] for name, of_table in views.items()}


def markdown(view: View, *, level: int = 2) -> str:
    """A view as a Markdown section; ends with a line break.

    Args:
        view: To write.
        level: Of the heading; 0 writes the table alone.
    """
    lines = []
    if level:
        lines += [f"{'#' * level} {view.title}", ""]
        lines += [view.note, ""] if view.note else []
    lines.append(_line(view.headings))
    lines.append(
        "|"
        + "|".join("---:" if place in view.numeric else "---" for place in range(len(view.headings)))
        + "|"
    )
    for place, row in enumerate(view.rows):
        lines.append(_line([f"**{cell}**" for cell in row] if place in view.marked else row))
    return "\n".join(lines) + "\n"


def _is_numeric(column: str, rows: Sequence[Row]) -> bool:
    # The same name may head a number in one table and words in another: candidates.
    return column in FORMATS or (bool(rows) and all(type(row[column]) in (int, float) for row in rows))


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _write(row: Row, column: str) -> str:
    low, high = _BOUNDS.get(column, ("", ""))
    if low in row:
        return write_interval(column, row[column], row[low], row[high])
    return write_cell(column, row[column])
