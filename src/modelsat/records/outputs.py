"""What candidates answered, where a folder of outcomes has it: the optional file `outputs`.

One row per answer: model, instruction_id, output. Only re-ranking reads it.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from modelsat.errors import DataError
from modelsat.records.files import parse_object, read_text

_NAMES = ("outputs.parquet", "outputs.jsonl")


class _OutputRow(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())
    model: str
    instruction_id: str
    output: str


def read_outputs(folder: Path) -> dict[tuple[str, str], str]:
    """Read the outputs in a folder of outcomes.

    Args:
        folder: With or without `outputs.parquet` or `outputs.jsonl`.

    Returns:
        Text by (instruction id, candidate); nothing where there is no such file.

    Raises:
        DataError: The file is malformed; names file and row.
    """
    path = next((folder / name for name in _NAMES if (folder / name).exists()), None)
    if path is None:
        return {}
    rows = _parquet_rows(path) if path.suffix == ".parquet" else _jsonl_rows(path)
    return {(row.instruction_id, row.model): row.output for row in rows}


def _parquet_rows(path: Path) -> Iterable[_OutputRow]:
    try:
        table: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: cannot be read as parquet ({error}).") from None
    for number, row in enumerate(table):
        yield parse_object(row, _OutputRow, f"{path}: row {number}")


def _jsonl_rows(path: Path) -> Iterable[_OutputRow]:
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            try:
                value = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(f"{path}:{number}: not JSON ({error.msg}).") from None
            yield parse_object(value, _OutputRow, f"{path}:{number}")
