"""The CSV files of EmbedLLM: one row is one model's result on one prompt.

The published files have the columns prompt_id, model_id, category_id, label, model_name, prompt and category. Needed
are prompt_id, prompt, label and one of model_name and model_id.
"""

from collections.abc import Iterator
from pathlib import Path

from modelsat.errors import DataError
from modelsat.records.importers.columns import csv_rows
from modelsat.records.importers.gather import SourceRow

_LABELS = {"0": 0.0, "0.0": 0.0, "1": 1.0, "1.0": 1.0, "false": 0.0, "true": 1.0}


def embedllm_rows(path: Path, *, delimiter: str | None = None) -> Iterator[SourceRow]:
    """Read one CSV file, with a delimiter as for `csv_rows`.

    Raises:
        DataError: The file is missing, or has other columns.
    """
    for row in csv_rows(path, delimiter=delimiter):
        if row.values is None:
            yield row
            continue
        cells = row.values
        missing = [name for name in ("prompt_id", "prompt", "label") if name not in cells]
        if missing or not {"model_name", "model_id"} & set(cells):
            wanted = missing[0] if missing else "model_name"
            raise DataError(f"{path}: column {wanted!r} is missing; its columns are {', '.join(cells)}.")
        label = cells["label"].strip().casefold()
        number = cells["prompt_id"].strip()
        if label not in _LABELS:
            yield SourceRow(file=path, line=row.line, fault=f"label is {cells['label']!r}; expected 0 or 1")
        elif not number:
            yield SourceRow(file=path, line=row.line, fault="prompt_id is missing")
        else:
            values = {
                "instruction_id": f"embedllm/{number}",
                "dataset": "embedllm",
                "task": cells.get("category", "").strip(),
                "text": cells["prompt"],
                "model": (cells.get("model_name") or cells.get("model_id") or "").strip(),
                "score": _LABELS[label],
                "source": "embedllm",
            }
            yield SourceRow(file=path, line=row.line, values=values)
