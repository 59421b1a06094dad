"""Optional tables beside instructions and outcomes, `.parquet` or `.jsonl`: what is known of models, and their answers.

`models` has one row per model: model, released (YYYY-MM), params_b (billions of parameters); unknown values are null.
`outputs` has one row per answer: model, instruction_id, output. Only re-ranking reads it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, BeforeValidator, ConfigDict

from modelsat.errors import DataError
from modelsat.records.files import Format, parse_object, read_objects

_MONTH = re.compile(r"\d{4}-\d{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """Facts about one model.

    Attributes:
        released: Month of its release (YYYY-MM); empty where unknown.
        parameters: In billions; None where unknown.
    """

    released: str = ""
    parameters: float | None = None


def _none_if_nan(value: object) -> object:
    return None if isinstance(value, float) and not isfinite(value) else value


class _ModelRow(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())
    model: str
    released: str | None = None
    params_b: Annotated[float | None, BeforeValidator(_none_if_nan)] = None


def read_models(folder: Path) -> dict[str, ModelFacts]:
    """Read what is known of the models in a folder of outcomes.

    Args:
        folder: With or without `models.parquet` or `models.jsonl`.

    Returns:
        Facts by model; nothing where there is no such file.

    Raises:
        DataError: The file is malformed; names file and row.
    """
    facts = {}
    for where, row in _rows(folder, "models", _ModelRow):
        released = row.released or ""
        if released and not _MONTH.match(released):
            raise DataError(f"{where}: released is {released!r}; expected a month such as 2024-07.")
        facts[row.model] = ModelFacts(released=released[:7], parameters=row.params_b)
    return facts


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
    return {(row.instruction_id, row.model): row.output for _, row in _rows(folder, "outputs", _OutputRow)}


def _rows(folder: Path, stem: str, form: type[Format]) -> Iterator[tuple[str, Format]]:
    """Rows of an optional file.

    Args:
        folder: A folder of outcomes.
        stem: The file's name without its ending.
        form: Of a row.

    Yields:
        Where a row stands, for errors, and the row; nothing where there is no such file.

    Raises:
        DataError: The file is malformed; names file and row.
    """
    for path, read in ((folder / f"{stem}.parquet", _parquet), (folder / f"{stem}.jsonl", read_objects)):
        if path.exists():
            for where, value in read(path):
                yield where, parse_object(value, form, where)
            return


def _parquet(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: not a readable parquet file ({str(error).splitlines()[0]}).") from None
    for number, row in enumerate(table.to_pylist()):
        yield f"{path}: row {number}", row
