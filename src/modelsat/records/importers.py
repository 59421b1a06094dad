"""Importing a user's own results: rows of CSV or JSONL become instructions and outcomes.

One row is one candidate's result on one instruction; its columns may have any names.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelsat.errors import DataError
from modelsat.records.files import read_text
from modelsat.records.schema import (
    INSTRUCTION_COLUMNS,
    OUTCOME_COLUMNS,
    instruction_from_row,
    outcome_from_row,
)
from modelsat.types import Instruction, Outcome

FIELDS = tuple(dict.fromkeys((*INSTRUCTION_COLUMNS, *OUTCOME_COLUMNS)))
ALIASES = {"candidate": "model", "id": "instruction_id"}
NumberedRow = tuple[int, Mapping[str, Any] | str]

# A cell may hold a whole document; Python's own limit is 128 KiB.
_CELL_LIMIT = 64 * 1024 * 1024
_YES = frozenset({"true", "yes", "y", "correct", "pass", "passed"})
_NO = frozenset({"false", "no", "n", "incorrect", "wrong", "fail", "failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A row that could not be imported.

    Attributes:
        line: Where it begins in the file, from 1.
        reason: What is wrong with it.
    """

    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What came of the rows.

    Attributes:
        instructions: One per question.
        outcomes: One per candidate and question: the first, where a file has several.
        rows: Rows read.
        duplicates: Rows left out because their candidate already had an outcome on the question.
        rejected: Rows that could not be read.
    """

    instructions: tuple[Instruction, ...]
    outcomes: tuple[Outcome, ...]
    rows: int
    duplicates: int
    rejected: tuple[Rejection, ...]


def field_name(name: str) -> str:
    """The schema's name of a field, which `candidate` and `id` may stand for.

    Raises:
        DataError: There is no such field.
    """
    field = ALIASES.get(name, name)
    if field not in FIELDS:
        known = ", ".join((*ALIASES, *(field for field in FIELDS if field not in ALIASES.values())))
        raise DataError(f"unknown field {name!r}; known: {known}.")
    return field


def csv_rows(path: Path, *, delimiter: str = ",") -> Iterator[NumberedRow]:
    """Read a CSV file with a header line.

    Yields:
        The line a row begins at, and the row by column name or a sentence on why it cannot be read.

    Raises:
        DataError: The file is missing, not UTF-8, or has no header.
    """
    csv.field_size_limit(_CELL_LIMIT)
    reader = csv.reader(io.StringIO(read_text(path).removeprefix("\ufeff"), newline=""), delimiter=delimiter)
    header = next(reader, None)
    if not header or not any(name.strip() for name in header):
        raise DataError(f"{path}: no header; the first line must name the columns.")
    names = [name.strip() for name in header]
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, f"not CSV ({error})"
            continue
        if not any(cells):
            continue
        if len(cells) != len(names):
            yield line, f"{len(cells)} cells under {len(names)} columns"
            continue
        yield line, dict(zip(names, cells, strict=True))


def jsonl_rows(path: Path) -> Iterator[NumberedRow]:
    """Read a file with one JSON object per line; yields and raises as `csv_rows`."""
    for line, text in enumerate(read_text(path).removeprefix("\ufeff").split("\n"), start=1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except json.JSONDecodeError as error:
            yield line, f"not JSON ({error.msg})"
            continue
        yield line, row if isinstance(row, dict) else f"holds a {type(row).__name__}, not an object"


def import_rows(
    rows: Iterable[NumberedRow],
    *,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, str] | None = None,
) -> Import:
    """Turn rows into instructions and outcomes.

    Args:
        rows: Rows with the lines they begin at, from `csv_rows` or `jsonl_rows`.
        columns: Field to column; a field that is not named is read from the column of its own name. A dot
            reaches into nested objects ("metrics.accuracy").
        constants: Field to a value that holds for every row.

    Raises:
        DataError: A field is unknown, or given twice.
    """
    sources = {field_name(name): column for name, column in (columns or {}).items()}
    fixed = {field_name(name): value for name, value in (constants or {}).items()}
    twice = sorted(set(sources) & set(fixed))
    if twice:
        raise DataError(f"field {twice[0]!r} is both mapped to a column and given a value; drop one of them.")
    instructions: dict[str, Instruction] = {}
    outcomes: dict[tuple[str, str], Outcome] = {}
    rejected: list[Rejection] = []
    count = duplicates = 0
    for line, row in rows:
        count += 1
        if isinstance(row, str):
            rejected.append(Rejection(line=line, reason=row))
            continue
        try:
            values = _values(row, sources, fixed)
            instruction = instruction_from_row(values, "instruction")
            outcome = outcome_from_row(values, "outcome")
            known = instructions.get(instruction.id)
            if known is not None and known.text != instruction.text:
                raise DataError(f"instruction_id {instruction.id!r} has another text on an earlier line")
        except DataError as error:
            rejected.append(Rejection(line=line, reason=str(error)))
            continue
        instructions.setdefault(instruction.id, instruction)
        key = (outcome.candidate, outcome.instruction_id)
        if key in outcomes:
            duplicates += 1
        else:
            outcomes[key] = outcome
    return Import(
        instructions=tuple(instructions.values()),
        outcomes=tuple(outcomes.values()),
        rows=count,
        duplicates=duplicates,
        rejected=tuple(rejected),
    )


def _values(row: Mapping[str, Any], sources: Mapping[str, str], fixed: Mapping[str, str]) -> dict[str, Any]:
    """The row under the schema's names, with text turned into the values that the schema wants."""
    values: dict[str, Any] = {}
    for field in FIELDS:
        if field in fixed:
            value: Any = fixed[field]
        elif field in sources:
            value = _reach(row, sources[field])
        else:
            value = row.get(field, row.get("candidate") if field == "model" else None)
            value = row.get("id") if value is None and field == "instruction_id" else value
        values[field] = _converted(field, value)
    if not (values["text"] or "").strip():
        raise DataError("text is missing or empty; map it with text=COLUMN")
    if values["instruction_id"] is None:
        # The same question asked of two candidates must meet in one instruction.
        digest = hashlib.sha256(values["text"].encode()).hexdigest()[:12]
        values["instruction_id"] = f"{values['dataset'] or 'imported'}/{digest}"
    return values


def _reach(row: Mapping[str, Any], column: str) -> Any:  # noqa: ANN401  # a cell holds whatever its file holds
    if column in row:
        return row[column]
    value: Any = row
    for part in column.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise DataError(f"no column {column!r}; the row has {', '.join(map(str, row))}")
        value = value[part]
    return value


def _converted(field: str, value: Any) -> Any:  # noqa: ANN401
    if (
        field in ("instruction_id", "model", "answer")
        and isinstance(value, int | float)
        and not isinstance(value, bool)
    ):
        return str(value)
    if field == "kind" and value is None:
        return None
    if not isinstance(value, str):
        return value
    if not value.strip() and field != "text":
        return None
    text = value.strip()
    if field in ("score", "parsed") and text.casefold() in _YES | _NO:
        return text.casefold() in _YES
    if field == "parsed" and text in ("0", "1"):
        return text == "1"
    if field in ("score", "output_tokens", "latency_s"):
        try:
            return float(text)
        except ValueError:
            raise DataError(f"{field} is {value!r}; expected a number") from None
    if field in ("choices", "images"):
        return _list(text)
    return value if field in ("text", "answer") else text


def _list(text: str) -> list[str]:
    """A list in one cell: JSON, or parts between bars."""
    if text.startswith("["):
        try:
            parts = json.loads(text)
        except json.JSONDecodeError:
            raise DataError(f'a list is {text[:40]!r}, which is not JSON; write ["a", "b"] or a|b') from None
        return [str(part) for part in parts]
    return [part.strip() for part in text.split("|")]
