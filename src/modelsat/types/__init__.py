"""The domain words, as frozen data.

This package knows numpy, pydantic and the standard library only: no files, no torch, no network. Everything here is
checked on construction, so that a value that exists is a value in range.
"""

from modelsat.types.candidates import Candidate
from modelsat.types.decisions import (
    Comparison,
    Evidence,
    FloatArray,
    RankedCandidate,
    RoutingDecision,
    ScoreMatrix,
    ScoreParts,
    TaskDifference,
    column_index,
)
from modelsat.types.requests import Instruction, InstructionKind, Outcome
from modelsat.types.results import CapabilityProfile, TaskResult

__all__ = [
    "Candidate",
    "CapabilityProfile",
    "Comparison",
    "Evidence",
    "FloatArray",
    "Instruction",
    "InstructionKind",
    "Outcome",
    "RankedCandidate",
    "RoutingDecision",
    "ScoreMatrix",
    "ScoreParts",
    "TaskDifference",
    "TaskResult",
    "column_index",
]
