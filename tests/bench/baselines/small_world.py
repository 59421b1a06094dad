"""Candidates that are good at one subject each, and an embedding that knows the subjects."""

from collections.abc import Sequence

import numpy as np

from modelsat.records.table import OutcomeTable
from modelsat.types import FloatArray, Instruction
from tests.profiles import profile

SUBJECTS = ("law", "maths", "code")
CANDIDATES = ("coder", "jurist", "mathematician")
GOOD_AT = {"coder": "code", "jurist": "law", "mathematician": "maths"}


def embed(texts: Sequence[str]) -> FloatArray:
    """Subjects are far apart; texts within one differ a little."""
    vectors = np.zeros((len(texts), 8), dtype=np.float32)
    for row, text in enumerate(texts):
        subject, number = text.split()
        vectors[row, SUBJECTS.index(subject)] = 1.0
        vectors[row, 3 + int(number) % 5] = 0.2
    unit: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def table_of(numbers: range) -> OutcomeTable:
    """Outcomes of the three candidates on some questions of every subject."""
    rows = tuple(
        Instruction(id=f"{subject}/{number}", text=f"{subject} {number}", dataset="tiny", task=subject)
        for subject in SUBJECTS
        for number in numbers
    )
    scores = np.array([[GOOD_AT[name] == row.task for name in CANDIDATES] for row in rows], dtype=np.float32)
    # One lucky answer makes the jurist the best single candidate.
    scores[-1, 1] = 1.0
    return OutcomeTable(
        instructions=rows, candidates=CANDIDATES, scores=scores, output_tokens=np.full(3, np.nan, np.float32)
    )


TUNING, TEST = table_of(range(20)), table_of(range(20, 25))
PROFILES = tuple(profile(name, {GOOD_AT[name]: 0.9}) for name in CANDIDATES)
