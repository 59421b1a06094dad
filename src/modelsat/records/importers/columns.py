"""Plain CSV and JSONL: one row is one candidate's result on one instruction; its columns may have any names."""

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelsat.errors import DataError
from modelsat.records.files import read_bytes, read_lines
from modelsat.records.importers.gather import Import, SourceRow, gather
from modelsat.records.importers.questions import digest
from modelsat.records.schema import INSTRUCTION_COLUMNS, OUTCOME_COLUMNS

if TYPE_CHECKING:
    from _csv import Reader

FIELDS = tuple(dict.fromkeys((*INSTRUCTION_COLUMNS, *OUTCOME_COLUMNS)))
ALIASES = {"candidate": "model", "id": "instruction_id"}

# A cell may hold a whole document; Python's own limit is 128 KiB.
_CELL_LIMIT = 64 * 1024 * 1024
_YES = frozenset({"true", "yes", "y", "correct", "pass", "passed"})
_NO = frozenset({"false", "no", "n", "incorrect", "wrong", "fail", "failed"})
_NOT_UTF8 = "not UTF-8; save the file as UTF-8"


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


def fixed_values(constants: Mapping[str, str]) -> dict[str, Any]:
    """Values that hold for every row, under the schema's names and of the schema's kinds.

    Raises:
        DataError: A field is unknown, or its value is of another kind.
    """
    return {field_name(name): _converted(field_name(name), value) for name, value in constants.items()}


def csv_rows(path: Path, *, delimiter: str | None = None) -> Iterator[SourceRow]:
    """Read a CSV file with a header line; a row that cannot be read says why.

    Args:
        path: The file.
        delimiter: What stands between cells: one character, or "tab"; by default a comma, or a tab in a `.tsv` file.

    Raises:
        DataError: The file is missing or has no header, or its header shows another delimiter.
    """
    reader, names = _open_csv(path, delimiter)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield SourceRow(file=path, line=line, fault=f"not CSV ({error})")
            continue
        if not any(cells):
            continue
        if not all(map(_is_clean, cells)):
            yield SourceRow(file=path, line=line, fault=_NOT_UTF8)
        elif len(cells) != len(names):
            fault = f"{len(cells)} cells under {len(names)} columns"
            yield SourceRow(file=path, line=line, fault=fault)
        else:
            yield SourceRow(file=path, line=line, values=dict(zip(names, cells, strict=True)))


def _open_csv(path: Path, delimiter: str | None) -> tuple["Reader", list[str]]:
    """What reads the rows below the header, and the header's names."""
    between = delimiter or ("tab" if path.suffix.lower() == ".tsv" else ",")
    between = "\t" if between in ("tab", "\\t") else between
    if len(between) != 1 or between in '"\r\n':
        raise DataError(f"the delimiter is {delimiter!r}; expected one character, such as ; or |, or tab.")
    csv.field_size_limit(_CELL_LIMIT)
    # A byte that is not UTF-8 becomes a lone surrogate, and spoils its own row only.
    text = read_bytes(path).decode("utf-8", "surrogateescape")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=between)
    try:
        header = next(reader, None)
    except csv.Error as error:
        raise DataError(f"{path}: not CSV ({error}).") from None
    if not header or not any(name.strip() for name in header):
        raise DataError(f"{path}: no header; the first line must name the columns.")
    names = [name.strip() for name in header]
    other = next((mark for mark in ";\t|" if len(names) == 1 and mark in names[0]), "")
    if other:
        shown = "tab" if other == "\t" else other
        raise DataError(f"{path}: has one column, {names[0][:60]!r}; read it with --delimiter '{shown}'.")
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{path}: two columns are called {twice!r}; rename one of them.")
    return reader, names


def jsonl_rows(path: Path) -> Iterator[SourceRow]:
    """Read a file with one JSON object per line; a line that cannot be read says why.

    Raises:
        DataError: The file is missing.
    """
    for line, value, fault in read_lines(path):
        if fault or not isinstance(value, dict):
            fault = fault or f"holds a {type(value).__name__}, not an object"
            yield SourceRow(file=path, line=line, fault=fault)
        else:
            yield SourceRow(file=path, line=line, values=value)


def import_rows(
    rows: Iterable[SourceRow],
    *,
    columns: Mapping[str, str] | None = None,
    constants: Mapping[str, str] | None = None,
) -> Import:
    """Turn rows of one's own columns into instructions and outcomes.

    Args:
        rows: From `csv_rows` or `jsonl_rows`.
        columns: As for `renamed_rows`.
        constants: As for `renamed_rows`.

    Raises:
        DataError: A field is unknown, or given twice.
    """
    return gather(renamed_rows(rows, columns or {}, constants or {}))


def renamed_rows(
    rows: Iterable[SourceRow], columns: Mapping[str, str], constants: Mapping[str, str]
) -> Iterator[SourceRow]:
    """Put rows of one's own columns under the schema's names.

    Args:
        rows: From `csv_rows` or `jsonl_rows`.
        columns: Field to column; a field that is not named is read from the column of its own name. A dot
            reaches into nested objects ("metrics.accuracy").
        constants: Field to a value that holds for every row.

    Raises:
        DataError: A field is unknown, or given twice.
    """
    sources = {field_name(name): column for name, column in columns.items()}
    fixed = fixed_values(constants)
    twice = sorted(set(sources) & set(fixed))
    if twice:
        raise DataError(f"field {twice[0]!r} is both mapped to a column and given a value; drop one of them.")
    return (_renamed(row, sources, fixed) for row in rows)


def _renamed(row: SourceRow, sources: Mapping[str, str], fixed: Mapping[str, Any]) -> SourceRow:
    if row.values is None:
        return row
    try:
        return dataclasses.replace(row, values=_values(row.values, sources, fixed))
    except DataError as error:
        return dataclasses.replace(row, values=None, fault=str(error))


def _values(row: Mapping[str, Any], sources: Mapping[str, str], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """The row under the schema's names, with text turned into the values that the schema wants."""
    values: dict[str, Any] = {}
    for field in FIELDS:
        if field in fixed:
            values[field] = fixed[field]
            continue
        if field in sources:
            value = _reach(row, sources[field])
        else:
            value = row.get(field, row.get("candidate") if field == "model" else None)
            value = row.get("id") if value is None and field == "instruction_id" else value
        values[field] = _converted(field, value)
    text = values["text"]
    if text is not None and not isinstance(text, str):
        raise DataError(f"text is {str(text)[:40]}; expected text")
    if text is None or not text.strip():
        raise DataError("text is missing or empty; map it with --map text=COLUMN")
    if values["instruction_id"] is None:
        # The same question asked of two candidates must meet in one instruction.
        values["instruction_id"] = f"{values['dataset'] or 'imported'}/{digest(text)}"
    return values


def _is_clean(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


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
        except (ValueError, RecursionError):
            raise DataError(f'a list is {text[:40]!r}, which is not JSON; write ["a", "b"] or a|b') from None
        return [str(part) for part in parts]
    return [part.strip() for part in text.split("|")]
