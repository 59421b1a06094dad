"""Tables as text: values beside their intervals, units in the headings, long tables turned into matrices."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelsat.bench.methods import MODEL_SAT
from modelsat.bench.reporting.numbers import UNDEFINED
from modelsat.bench.reporting.rows import distinct
from modelsat.bench.results import Row

Write = Callable[[Row], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A table as text.

    Attributes:
        title: Heading.
        note: Explains the values; may be empty.
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

    @classmethod
    def of(
        cls,
        title: str,
        note: str,
        columns: Mapping[str, Write],
        rows: Iterable[Row],
        *,
        numeric: Collection[int],
    ) -> "View":
        """Write some rows.

        Args:
            title: Heading.
            note: Explains the values.
            columns: Writer of a cell, by heading.
            rows: Rows of results.
            numeric: Positions of the columns to align right.
        """
        kept = list(rows)
        return cls(
            title=title,
            note=note,
            headings=tuple(columns),
            numeric=frozenset(numeric),
            rows=tuple(tuple(write(row) for write in columns.values()) for row in kept),
            marked=frozenset(place for place, row in enumerate(kept) if row.get("method") == MODEL_SAT),
        )

    @classmethod
    def matrix(
        cls, title: str, note: str, rows: Sequence[Row], *, index: str, across: str, write: Write
    ) -> "View":
        """One value per pair of two columns.

        Args:
            title: Heading.
            note: Explains the values.
            rows: Of one table.
            index: Column that names the rows.
            across: Column that names the columns.
            write: Writer of the value.
        """
        down, over = distinct(row[index] for row in rows), distinct(row[across] for row in rows)
        cells = {(str(row[index]), str(row[across])): write(row) for row in rows}
        return cls(
            title=title,
            note=note,
            headings=(index, *over),
            numeric=frozenset(range(1, 1 + len(over))),
            rows=tuple((name, *(cells.get((name, other), UNDEFINED) for other in over)) for name in down),
            marked=frozenset(place for place, name in enumerate(down) if name == MODEL_SAT),
        )

    def markdown(self, *, level: int = 2) -> str:
        """A Markdown section, which ends with a line break; level 0 gives the table alone."""
        lines = []
        if level:
            lines += [f"{'#' * level} {self.title}", ""]
            lines += [self.note, ""] if self.note else []
        sides = ("---:" if place in self.numeric else "---" for place in range(len(self.headings)))
        lines += [_line(self.headings), f"|{'|'.join(sides)}|"]
        for place, row in enumerate(self.rows):
            lines.append(_line([f"**{cell}**" for cell in row] if place in self.marked else row))
        return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
