"""Results of a benchmark: named tables of plain values, and what they were computed from.

Knows neither how the tables are computed nor how they are shown. A section that was not run has no table.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict, StrictBool, StrictFloat, StrictInt, StrictStr

from modelsat.errors import DataError
from modelsat.records.files import parse_json, read_text, write_text

Suite = Literal["quick", "full"]
Split = Literal["development", "test"]
Cell = StrictBool | StrictInt | StrictFloat | StrictStr | None
Row = Mapping[str, Cell]

MEAN_ZOO = "mean"
# The zoo of outcomes whose splits name none.
ALL_CANDIDATES = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of a benchmark.

    Accuracies, gains and rates are fractions from 0 to 1. Bounds are those of 95% intervals of a paired bootstrap
    over instructions, in the unit of their value.

    Attributes:
        name: Which table.
        title: Heading, in words.
        note: How it was computed, and on how many instructions.
        columns: Names of the cells of every row.
        rows: Cells; None where a value is not defined.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows, start=1):
            if len(row) != len(self.columns):
                raise DataError(
                    f"table {self.name}: row {number} has {len(row)} cells; expected {len(self.columns)} "
                    f"({', '.join(self.columns)})."
                )
            for column, cell in zip(self.columns, row, strict=True):
                if isinstance(cell, float) and not isfinite(cell):
                    raise DataError(
                        f"table {self.name}: row {number}: {column} is {cell}; write None where a value is "
                        "not defined."
                    )

    def records(self) -> list[dict[str, Cell]]:
        """The rows as column to cell."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkResult:
    """Everything one benchmark found.

    Attributes:
        suite: `quick` works on samples, `full` on everything.
        split: `development` (validation instructions) or `test`.
        seed: Of samples, fits, shuffles and bootstraps.
        date: When it was computed (ISO date).
        seconds: How long it took.
        command: The command that computes it again.
        data_hash: Of instructions, outcomes, splits, cards and prices.
        checkpoint_hash: Of the router's weights.
        versions: Versions of Python and of the packages that decide numbers.
        machine: Processor, cores and threads.
        method_notes: How each method was fitted, one sentence each.
        tables: In the order in which they were computed.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    suite: Suite
    split: Split
    seed: int
    date: str
    seconds: float
    command: str
    data_hash: str
    checkpoint_hash: str
    versions: Mapping[str, str]
    machine: Mapping[str, str]
    method_notes: Mapping[str, str]
    tables: tuple[Table, ...]

    def table(self, name: str) -> Table | None:
        """A table by name; None if it was not computed."""
        return next((table for table in self.tables if table.name == name), None)

    def records(self, name: str) -> list[dict[str, Cell]]:
        """A table's rows; none if it was not computed."""
        table = self.table(name)
        return [] if table is None else table.records()

    def to_json(self) -> str:
        """The result as JSON text with one line per row, so that a change of numbers reads well in a diff."""
        value = asdict(self)
        tables = ",\n".join(map(_table_json, value.pop("tables")))
        head = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False).removesuffix("\n}")
        return f'{head},\n "tables": [\n{tables}\n ]\n}}\n'

    @classmethod
    def from_json(cls, text: str, where: str = "benchmark result") -> "BenchmarkResult":
        """Read a result.

        Args:
            text: From `to_json`.
            where: Name of the text in errors, usually its path.

        Raises:
            DataError: It is not JSON, or not of that form.
        """
        return parse_json(text, cls, where)

    def save(self, path: Path) -> None:
        """Write the result as JSON, in one step."""
        write_text(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> "BenchmarkResult":
        """Read a result file; errors as for `from_json`."""
        return cls.from_json(read_text(path), str(path))


def _table_json(table: Mapping[str, object]) -> str:
    fields = [
        f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
        for key, value in table.items()
        if key != "rows"
    ]
    rows = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in table["rows"]]  # type: ignore[attr-defined]
    return "  {" + ", ".join(fields) + ', "rows": [\n   ' + ",\n   ".join(rows) + "\n  ]}"
