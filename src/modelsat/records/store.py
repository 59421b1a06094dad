"""Instruction and outcome files: parquet or JSONL, told apart by their ending."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock

from modelsat.errors import DataError
from modelsat.records.files import packed_hint, read_objects, write_text
from modelsat.records.outcomes import IndexArray, Outcomes
from modelsat.records.schema import (
    INSTRUCTION_COLUMNS,
    OUTCOME_COLUMNS,
    instruction_from_row,
    instruction_to_row,
    outcome_from_row,
    outcome_to_row,
)
from modelsat.types import FloatArray, Instruction, Outcome

ENDINGS = (".parquet", ".jsonl")

_INSTRUCTION_FIELDS = pa.schema(
    [
        (name, pa.list_(pa.string()) if name in ("choices", "images") else pa.string())
        for name in INSTRUCTION_COLUMNS
    ]
)


def read_instructions(path: Path) -> tuple[Instruction, ...]:
    """Read instructions from `.parquet` or `.jsonl`.

    Raises:
        DataError: A row is not as the schema says (the error names file, row and value), or an id appears
            twice.
    """
    if _ending(path) == ".jsonl":
        instructions = tuple(instruction_from_row(row, where) for where, row in read_objects(path))
    else:
        table = _read_parquet(path, (*INSTRUCTION_COLUMNS, "src"), required=("instruction_id", "text"))
        names = table.column_names
        rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
        instructions = tuple(
            instruction_from_row(dict(zip(names, row, strict=True)), f"{path}: row {number}")
            for number, row in enumerate(rows)
        )
    seen: set[str] = set()
    for instruction in instructions:
        if instruction.id in seen:
            raise DataError(f"{path}: instruction_id {instruction.id!r} appears twice; ids must be unique.")
        seen.add(instruction.id)
    return instructions


def read_outcomes(path: Path) -> Outcomes:
    """Read outcomes from `.parquet` or `.jsonl`; errors as for `read_instructions`."""
    if _ending(path) == ".jsonl":
        return Outcomes.of(outcome_from_row(row, where) for where, row in read_objects(path))
    table = _read_parquet(path, OUTCOME_COLUMNS, required=("model", "instruction_id", "score"))
    candidates, candidate_index = _codes(table, "model", path)
    instruction_ids, instruction_index = _codes(table, "instruction_id", path)
    sources, source_index = _codes(table, "source", path)
    scores = _floats(table, "score", path)
    _require(path, "score", scores, (scores >= 0) & (scores <= 1), "a number from 0 to 1")
    columns: dict[str, FloatArray] = {}
    for name in ("output_tokens", "latency_s"):
        values = _floats(table, name, path)
        _require(
            path,
            name,
            values,
            np.isnan(values) | (np.isfinite(values) & (values >= 0)),
            "a number of at least 0",
        )
        columns[name] = values
    if "parsed" in table.column_names:
        parsed = _cast(table, "parsed", pa.bool_(), path)
        parsed_flags = pc.fill_null(parsed, True).to_numpy(zero_copy_only=False).astype(np.bool_)
    else:
        parsed_flags = np.ones(len(scores), dtype=np.bool_)
    return Outcomes(
        candidates=candidates,
        instruction_ids=instruction_ids,
        sources=sources,
        candidate_index=candidate_index,
        instruction_index=instruction_index,
        source_index=source_index,
        scores=scores,
        parsed=parsed_flags,
        output_tokens=columns["output_tokens"],
        latency_s=columns["latency_s"],
    )


def write_instructions(path: Path, instructions: Iterable[Instruction]) -> None:
    """Write instructions as `.parquet` or `.jsonl`."""
    rows = [instruction_to_row(instruction) for instruction in instructions]
    if _ending(path) == ".jsonl":
        _write_jsonl(path, rows)
    else:
        _write_parquet(path, pa.Table.from_pylist(rows, schema=_INSTRUCTION_FIELDS))


def write_outcomes(path: Path, outcomes: Iterable[Outcome]) -> None:
    """Write outcomes as `.parquet` or `.jsonl`."""
    columns = Outcomes.of(outcomes)
    if _ending(path) == ".jsonl":
        _write_jsonl(path, (outcome_to_row(outcome) for outcome in columns))
        return
    table = pa.table(
        {
            "model": _decode(columns.candidates, columns.candidate_index),
            "instruction_id": _decode(columns.instruction_ids, columns.instruction_index),
            "score": pa.array(columns.scores),
            "parsed": pa.array(columns.parsed),
            "output_tokens": pa.array(columns.output_tokens, from_pandas=True),
            "latency_s": pa.array(columns.latency_s, from_pandas=True),
            "source": _decode(columns.sources, columns.source_index),
        }
    )
    _write_parquet(path, table)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, which need not exist yet, so that of two writers the second adds to what the first wrote.

    Waits for whoever holds it; a process that ends, however it ends, lets go.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.with_name(f".{folder.name}.lock")
    with FileLock(path):
        try:
            yield
        finally:
            # Whoever waits for the lock notices that its file is gone, and makes another.
            with suppress(OSError):
                path.unlink()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeDirectory:
    """A folder with `instructions` and `outcomes`, each `.parquet` or `.jsonl`.

    Attributes:
        path: The folder.
        instructions: All its instructions.
        outcomes: All its outcomes; each belongs to one of the instructions.
    """

    path: Path
    instructions: tuple[Instruction, ...]
    outcomes: Outcomes

    @classmethod
    def load(cls, path: Path | str) -> "OutcomeDirectory":
        """Read the folder.

        Raises:
            DataError: A file is missing or malformed, or an outcome's instruction is not there.
        """
        folder = Path(path)
        instructions = read_instructions(_find(folder, "instructions"))
        outcomes = read_outcomes(_find(folder, "outcomes"))
        orphans = set(outcomes.instruction_ids) - {instruction.id for instruction in instructions}
        if orphans:
            raise DataError(
                f"{folder}: {len(orphans)} instruction ids of the outcomes (e.g. {min(orphans)!r}) are not "
                "in its instructions; add those instructions or remove their outcomes."
            )
        return cls(path=folder, instructions=instructions, outcomes=outcomes)

    @classmethod
    def find(cls, path: Path | str) -> "OutcomeDirectory | None":
        """Read the folder if it holds instructions or outcomes; None where there is nothing yet. Errors as `load`."""
        folder = Path(path)
        begun = [folder / f"{stem}{ending}" for stem in ("instructions", "outcomes") for ending in ENDINGS]
        return cls.load(folder) if any(file.exists() for file in begun) else None

    @property
    def ending(self) -> str:
        """The ending of its files."""
        return _find(self.path, "outcomes").suffix

    @staticmethod
    def save(
        path: Path | str,
        instructions: Sequence[Instruction],
        outcomes: Sequence[Outcome],
        *,
        ending: str = ".parquet",
    ) -> None:
        """Write both files into a folder, which is made where it does not exist.

        Instructions first: whoever reads in between, or after a crash in between, finds the instruction of every
        outcome.
        """
        folder = Path(path)
        write_instructions(folder / f"instructions{ending}", instructions)
        write_outcomes(folder / f"outcomes{ending}", outcomes)


def _ending(path: Path) -> str:
    if path.suffix not in ENDINGS:
        raise DataError(f"{path}: the ending is {path.suffix!r}; expected {' or '.join(ENDINGS)}.")
    return path.suffix


def _find(folder: Path, stem: str) -> Path:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give a folder with instructions and outcomes.")
    found = [folder / f"{stem}{ending}" for ending in ENDINGS if (folder / f"{stem}{ending}").is_file()]
    if len(found) != 1:
        fault = (
            f"both {found[0].name} and {found[1].name} are there"
            if found
            else f"no {stem}.parquet or {stem}.jsonl"
            + packed_hint(folder, re.compile(re.escape(stem) + r"\.(parquet|jsonl)"))
        )
        raise DataError(f"{folder}: {fault}; an outcomes directory holds one {stem} file.")
    return found[0]


def _write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _write_parquet(path: Path, table: pa.Table) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, temporary, compression="zstd")
        temporary.replace(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error}).") from None


def _read_parquet(path: Path, wanted: Sequence[str], required: Sequence[str]) -> pa.Table:
    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        missing = [name for name in required if name not in names]
        if missing:
            raise DataError(f"{path}: column {missing[0]!r} is missing; its columns are {', '.join(names)}.")
        return file.read(columns=[name for name in wanted if name in names])
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path.") from None
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable parquet file ({str(error).splitlines()[0]}).") from None


def _cast(table: pa.Table, name: str, kind: pa.DataType, path: Path) -> pa.ChunkedArray:
    try:
        return table[name].cast(kind)
    except pa.ArrowException:
        raise DataError(f"{path}: column {name!r} holds {table[name].type}; expected {kind}.") from None


def _codes(table: pa.Table, name: str, path: Path) -> tuple[tuple[str, ...], IndexArray]:
    """A text column as its distinct values and, per row, which of them."""
    if name not in table.column_names:
        return ("",), np.zeros(table.num_rows, dtype=np.int32)
    column = _cast(table, name, pa.string(), path)
    if name != "source" and column.null_count:
        row = int(np.argmax(column.is_null().to_numpy()))
        raise DataError(f"{path}: row {row}: {name} is missing; every row needs one.")
    encoded = pc.fill_null(column, "").combine_chunks().dictionary_encode()
    return tuple(encoded.dictionary.to_pylist()), encoded.indices.to_numpy().astype(np.int32)


def _floats(table: pa.Table, name: str, path: Path) -> FloatArray:
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan, dtype=np.float32)
    values: FloatArray = _cast(table, name, pa.float32(), path).to_numpy().astype(np.float32)
    return values


def _require(path: Path, name: str, values: FloatArray, valid: np.ndarray, expected: str) -> None:
    if not valid.all():
        row = int(np.argmin(valid))
        raise DataError(f"{path}: row {row}: {name} is {values[row]}; expected {expected}.")


def _decode(names: tuple[str, ...], index: IndexArray) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(index), pa.array(names, type=pa.string())).cast(
        pa.string()
    )
