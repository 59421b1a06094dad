"""Instructions and outcomes: their files, their splits, their matrix."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelsat.records.outcomes import Outcomes
    from modelsat.records.splits import Split, Splits, content_hash, read_splits, split_of, stem, stem_hash
    from modelsat.records.store import (
        OutcomeDirectory,
        read_instructions,
        read_outcomes,
        write_instructions,
        write_outcomes,
    )
    from modelsat.records.table import OutcomeTable

__all__ = [
    "OutcomeDirectory",
    "OutcomeTable",
    "Outcomes",
    "Split",
    "Splits",
    "content_hash",
    "read_instructions",
    "read_outcomes",
    "read_splits",
    "split_of",
    "stem",
    "stem_hash",
    "write_instructions",
    "write_outcomes",
]

_HOMES = {
    "OutcomeDirectory": "store",
    "OutcomeTable": "table",
    "Outcomes": "outcomes",
    "Split": "splits",
    "Splits": "splits",
    "content_hash": "splits",
    "read_instructions": "store",
    "read_outcomes": "store",
    "read_splits": "splits",
    "split_of": "splits",
    "stem": "splits",
    "stem_hash": "splits",
    "write_instructions": "store",
    "write_outcomes": "store",
}


def __getattr__(name: str) -> object:
    """Fetch a public name from where it lives: who serves reads no tables, and need not import what does (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'modelsat.records' has no attribute {name!r}")
    value: object = getattr(import_module(f"modelsat.records.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
