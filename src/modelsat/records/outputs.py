"""What candidates answered, where a folder of outcomes has it: the optional file `outputs`.

One row per answer: model, instruction_id, output. Only re-ranking reads it.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from modelsat.records.side_files import side_rows


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
    return {
        (row.instruction_id, row.model): row.output for _, row in side_rows(folder, "outputs", _OutputRow)
    }
