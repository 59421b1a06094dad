"""Importing results: one's own rows, and the logs of the field's own tools, become instructions and outcomes.

One file per format; each turns its files into `SourceRow`s, and `gather` does the rest.
"""

from modelsat.records.importers.columns import (
    csv_rows,
    field_name,
    fixed_values,
    import_rows,
    jsonl_rows,
    renamed_rows,
)
from modelsat.records.importers.gather import (
    Duplicate,
    Import,
    Rejection,
    SourceRow,
    gather,
    require_writable,
)

__all__ = [
    "Duplicate",
    "Import",
    "Rejection",
    "SourceRow",
    "csv_rows",
    "field_name",
    "fixed_values",
    "gather",
    "import_rows",
    "jsonl_rows",
    "renamed_rows",
    "require_writable",
]
