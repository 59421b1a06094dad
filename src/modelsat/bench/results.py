"""What a benchmark found: named tables of plain values, and what they were computed from.

Knows neither how the tables are computed nor how they are shown. A section that was not run has no table.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, StrictBool, StrictFloat, StrictInt, StrictStr

from modelsat.errors import DataError
from modelsat.records.files import parse_json, read_text, write_text

Suite = Literal["quick", "full"]
Split = Literal["development", "test"]
Cell = str | float | int | bool | None

MEAN_ZOO = "mean"

# Columns by table. Accuracies, gains and rates are fractions from 0 to 1; `low` and `high` bound the 95%
# interval of a paired bootstrap over instructions, in the unit of their value.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "zoos": (
        "method",
        "zoo",
        "part",
        "n",
        "accuracy",
        "gain",
        "gain_low",
        "gain_high",
        "gap_closed",
        "regret",
        "entropy",
        "strongest_rate",
        "lead",
        "lead_low",
        "lead_high",
        "serves_unseen",
    ),
    "ranking": ("method", "part", "candidates", "auc", "within_auc", "ece", "n"),
    "learning_curve": (
        "exam",
        "tasks",
        "shots",
        "items",
        "candidates",
        "auc",
        "gain",
        "gain_low",
        "gain_high",
    ),
    "stream": ("group", "step", "date", "arrived", "method", "accuracy", "low", "high"),
    "coverage": ("group", "size", "added", "covered"),
    "cost_quality": ("zoo", "method", "setting", "cost", "quality"),
    "cost": ("zoo", "method", "aiq", "apgr", "cpt50", "cpt80", "saved", "strongest_rate"),
    "overhead": ("layout", "candidates", "tokens", "gflops", "milliseconds"),
    "robustness": ("perturbation", "zoo", "accuracy_change", "low", "high", "changed_share"),
    "gadgets": ("gadget", "zoo", "success_rate", "rate_without"),
    "reliability": ("candidates", "bin_low", "bin_high", "predicted", "observed", "count"),
    "choices": ("zoo", "subject", "candidate", "share"),
    "ablation": (
        "study",
        "variant",
        "layers",
        "tokens",
        "learnt",
        "n",
        "auc_seen",
        "auc_unseen",
        "gain",
        "gain_low",
        "gain_high",
    ),
    "leakage": ("check", "compared", "found"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of a benchmark.

    Attributes:
        name: Which table; one of `COLUMNS`.
        title: Heading, in words.
        note: What a reader must know to read it: how it was computed, and on how many instructions.
        columns: Names of the cells of every row.
        rows: Cells; None where a value is not defined.
    """

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

    @classmethod
    def of(cls, name: str, title: str, note: str, rows: Sequence[Sequence[Any]]) -> "Table":
        """Make one of the known tables; numbers that are not defined (NaN) become None.

        Args:
            name: A key of `COLUMNS`.
            title: See above.
            note: See above.
            rows: Cells in the order of the table's columns; numpy numbers are taken as plain ones.
        """
        return cls(
            name=name,
            title=title,
            note=note,
            columns=COLUMNS[name],
            rows=tuple(tuple(_plain(cell) for cell in row) for row in rows),
        )

    def records(self) -> list[dict[str, Cell]]:
        """The rows as column to cell."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkResult:
    """All that one benchmark found.

    Attributes:
        suite: `quick` works on samples, `full` on everything.
        split: `development` (validation instructions) or `test`.
        tables: In the order in which they were computed.
        method_notes: How each method was fitted, one sentence each.
        command: The command that computes it again.
        versions: Of Python and the packages that decide numbers.
        data_hash: Of instructions, outcomes, splits and cards.
        checkpoint_hash: Of the router's weights.
        seed: Of samples, fits, shuffles and bootstraps.
        date: When it was computed (ISO date).
        machine: Processor, cores and threads.
        seconds: How long it took.
    """

    suite: Suite
    split: Split
    tables: tuple[Table, ...]
    method_notes: Mapping[str, str]
    command: str
    versions: Mapping[str, str]
    data_hash: str
    checkpoint_hash: str
    seed: int
    date: str
    machine: Mapping[str, str]
    seconds: float

    def table(self, name: str) -> Table | None:
        """A table by name; None where it was not computed."""
        return next((table for table in self.tables if table.name == name), None)

    def to_json(self) -> str:
        """The result as JSON text, which `from_json` reads back exactly."""
        tables = [
            {
                "name": table.name,
                "title": table.title,
                "note": table.note,
                "columns": table.columns,
                "rows": table.rows,
            }
            for table in self.tables
        ]
        value = {
            "suite": self.suite,
            "split": self.split,
            "seed": self.seed,
            "date": self.date,
            "seconds": self.seconds,
            "command": self.command,
            "data_hash": self.data_hash,
            "checkpoint_hash": self.checkpoint_hash,
            "versions": dict(self.versions),
            "machine": dict(self.machine),
            "method_notes": dict(self.method_notes),
            "tables": tables,
        }
        return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = "benchmark result") -> "BenchmarkResult":
        """Read a result.

        Args:
            text: What `to_json` wrote.
            where: What to call the text in errors, usually its path.

        Raises:
            DataError: It is not JSON, or not of that form.
        """
        file = parse_json(text, _ResultFile, where)
        fields = file.model_dump(exclude={"tables"})
        tables = tuple(Table(**table.model_dump()) for table in file.tables)
        return cls(tables=tables, **fields)

    def save(self, path: Path) -> None:
        """Write the result as JSON, in one step."""
        write_text(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> "BenchmarkResult":
        """Read a result file; errors as for `from_json`."""
        return cls.from_json(read_text(path), str(path))


class _TableFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[StrictBool | StrictInt | StrictFloat | StrictStr | None, ...], ...]


class _ResultFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    suite: Suite
    split: Split
    seed: int
    date: str
    seconds: float
    command: str
    data_hash: str
    checkpoint_hash: str
    versions: dict[str, str]
    machine: dict[str, str]
    method_notes: dict[str, str]
    tables: tuple[_TableFile, ...]


def _plain(cell: Any) -> Cell:  # noqa: ANN401
    value: Cell = cell.item() if hasattr(cell, "item") else cell
    return None if isinstance(value, float) and value != value else value
