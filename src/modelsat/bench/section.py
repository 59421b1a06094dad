"""A section of the benchmark: one subject, from its columns to its plots, described by one object in one file.

`bench/sections/` holds a file per section; adding a section is adding a file there.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any

from modelsat.bench.reporting.numbers import UNDEFINED, Form
from modelsat.bench.reporting.plots import Plot
from modelsat.bench.reporting.views import View
from modelsat.bench.reporting.words import Finding
from modelsat.bench.results import BenchmarkResult, Cell, Row, Table

if TYPE_CHECKING:
    from modelsat.bench.run import BenchmarkRun


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        name: In results.
        form: Writes its numbers; None for words.
        heading: In views; by default the name.
        bounds: Names of the two columns that hold its interval, which follow it.
    """

    name: str
    form: Form | None = None
    heading: str = ""
    bounds: tuple[str, ...] = ()

    def write(self, row: Row) -> str:
        """The cell as text, with its interval: +1.34 [+0.25, +2.43]."""
        value, *ends = (_written(row[name], self.form) for name in (self.name, *self.bounds))
        return f"{value} [{', '.join(ends)}]" if ends and UNDEFINED not in (value, *ends) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """Form of a table.

    Attributes:
        name: In results.
        title: Heading.
        columns: Its columns.
        only_plotted: Too long to read: left out of terminal, documents and summaries.
        summarise: Rows that the summary of a release keeps, of all rows.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    only_plotted: bool = False
    summarise: Callable[[list[Row]], list[Row]] = list

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all cells of a row."""
        return tuple(name for column in self.columns for name in (column.name, *column.bounds))

    def table(self, rows: Iterable[Sequence[Any]], note: str) -> Table:
        """Fill the table; numpy numbers become plain ones, and NaN becomes None.

        Args:
            rows: Cells in the order of `names`.
            note: Explains how the values were computed.
        """
        cells = tuple(tuple(map(_plain, row)) for row in rows)
        return Table(name=self.name, title=self.title, note=note, columns=self.names, rows=cells)

    def view(
        self,
        rows: Iterable[Row],
        *,
        title: str = "",
        note: str = "",
        without: Iterable[str] = (),
    ) -> View:
        """Some rows as text.

        Args:
            rows: Of this table.
            title: Instead of the table's own.
            note: Explains the values.
            without: Columns to leave out.
        """
        shown = [column for column in self.columns if column.name not in set(without)]
        return View.of(
            title or self.title,
            note,
            {column.heading or column.name.replace("_", " "): column.write for column in shown},
            rows,
            numeric={place for place, column in enumerate(shown) if column.form is not None},
        )


def _nothing(result: BenchmarkResult) -> Iterable[Any]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One subject of the benchmark.

    Attributes:
        name: As in `--section`.
        order: Position in the report; sections are computed in this order, too.
        heading: In words.
        reading: How to read it.
        tables: Forms of its tables.
        compute: Computes the tables of a run.
        findings: Sentences computed from a result's tables.
        views: Short views instead of whole tables; by default the tables themselves.
        plots: Plots of a result's tables.
        part_of: A section with which it is computed even if only that one is asked for.
        full_only: Left out of the quick suite.
        needs_torch: Needs the extra `torch`.
        gate: Computed first, whatever is asked for, because it may stop the benchmark.
    """

    name: str
    order: int
    heading: str
    reading: str
    tables: tuple[TableSpec, ...]
    compute: Callable[["BenchmarkRun"], Iterable[Table]]
    findings: Callable[[BenchmarkResult], Iterable[Finding]] = _nothing
    views: Callable[[BenchmarkResult], Iterable[View]] | None = None
    plots: Callable[[BenchmarkResult], Iterable[Plot]] = _nothing
    part_of: str = ""
    full_only: bool = False
    needs_torch: bool = False
    gate: bool = False

    def computed(self, result: BenchmarkResult) -> bool:
        """Whether a result has one of its tables."""
        return any(result.table(spec.name) for spec in self.tables)

    def shown(self, result: BenchmarkResult) -> list[View]:
        """Views for terminal and documents: the short ones, or the tables that are not too long."""
        if self.views is not None:
            return list(self.views(result))
        return [
            spec.view(table.records(), note=table.note)
            for spec in self.tables
            if not spec.only_plotted and (table := result.table(spec.name)) is not None
        ]


def _written(cell: Cell, form: Form | None) -> str:
    if cell is None or (isinstance(cell, float) and isnan(cell)):
        return UNDEFINED
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return str(cell) if isinstance(cell, str) or form is None else form(cell)


def _plain(cell: Any) -> Cell:  # noqa: ANN401
    value: Cell = cell.item() if hasattr(cell, "item") else cell
    return None if isinstance(value, float) and isnan(value) else value
