"""Optional files beside instructions and outcomes, `.parquet` or `.jsonl`: read row by row against a form."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from modelsat.errors import DataError
from modelsat.records.files import Format, parse_object, read_objects


def side_rows(folder: Path, stem: str, form: type[Format]) -> Iterator[tuple[str, Format]]:
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
