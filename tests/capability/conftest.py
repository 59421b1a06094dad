"""A small world of outcomes: subjects with telling and untelling items, candidates of known strength."""

import numpy as np
import pytest

from modelsat.records.splits import split_of
from modelsat.records.table import OutcomeTable
from modelsat.types import Instruction

WORDS = {"law": "court statute defendant", "physics": "velocity electron magnet"}


def make_instructions(category: str, count: int) -> list[Instruction]:
    """Distinct instructions of one subject that all fall into the tuning split."""
    made: list[Instruction] = []
    number = 0
    while len(made) < count:
        number += 1
        text = f"{category} question {number}: {WORDS.get(category, category)}?"
        if split_of(text) == "tuning":
            options = ("yes", "no")
            made.append(
                Instruction(
                    id=f"{category}/{number}",
                    text=f"{text}\nA. yes\nB. no",
                    dataset="toy",
                    category=category,
                    task=f"college_{category}",
                    choices=options,
                )
            )
    return made


@pytest.fixture
def table(rng: np.random.Generator) -> OutcomeTable:
    """Two subjects of 30 and 24 instructions; half of each tells six candidates apart, the rest all solve."""
    instructions = [*make_instructions("law", 30), *make_instructions("physics", 24)]
    skill = {
        "law": np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.1]),
        "physics": np.array([0.1, 0.8, 0.3, 0.7, 0.2, 0.9]),
    }
    telling = np.array([*(at < 15 for at in range(30)), *(at < 12 for at in range(24))])
    scores = np.ones((54, 6), np.float32)
    for row, instruction in enumerate(instructions):
        if telling[row]:
            scores[row] = rng.random(6) < skill[instruction.category]
    return OutcomeTable(
        instructions=tuple(instructions),
        candidates=tuple("abcdef"),
        scores=scores,
        output_tokens=np.array([10, 20, 30, 40, 50, np.nan], np.float32),
    )
