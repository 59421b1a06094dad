"""Instructions and outcomes: their files, their splits, their matrix."""

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
