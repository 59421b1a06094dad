import numpy as np
import pytest

from modelsat.errors import DataError
from modelsat.records.table import OutcomeTable
from modelsat.types import Instruction, Outcome

INSTRUCTIONS = [Instruction(id=str(at), text=f"q{at}", dataset="x" if at < 3 else "y") for at in range(4)]


def _outcome(
    candidate: str, instruction: int, score: float, source: str = "s", tokens: float | None = None
) -> Outcome:
    return Outcome(
        candidate=candidate, instruction_id=str(instruction), score=score, source=source, output_tokens=tokens
    )


OUTCOMES = [
    _outcome("b", 0, 1.0, tokens=10),
    _outcome("a", 0, 0.0),
    _outcome("b", 2, 0.5, tokens=20),
    _outcome("b", 3, 1.0, source="other"),
]


def test_outcomes_are_arranged_and_gaps_are_nan() -> None:
    table = OutcomeTable.from_records(INSTRUCTIONS, OUTCOMES)
    assert table.candidates == ("a", "b")
    assert [row.id for row in table.instructions] == ["0", "2", "3"]
    np.testing.assert_array_equal(table.scores, [[0, 1], [np.nan, 0.5], [np.nan, 1]])
    np.testing.assert_array_equal(table.output_tokens, [np.nan, 15])
    assert table.scores.dtype == np.float32


def test_dataset_source_and_candidates_narrow_the_table() -> None:
    assert len(OutcomeTable.from_records(INSTRUCTIONS, OUTCOMES, dataset="x")) == 2
    assert len(OutcomeTable.from_records(INSTRUCTIONS, OUTCOMES, dataset=["x", "y"], source="other")) == 1
    assert OutcomeTable.from_records(INSTRUCTIONS, OUTCOMES, candidates=["b"]).candidates == ("b",)
    with pytest.raises(DataError, match="unknown name"):
        OutcomeTable.from_records(INSTRUCTIONS, OUTCOMES, candidates=["c"])
    with pytest.raises(DataError, match="no outcomes are left"):
        OutcomeTable.from_records(INSTRUCTIONS, OUTCOMES, dataset="z")
    with pytest.raises(DataError, match="no outcomes are left"):
        OutcomeTable.from_records(INSTRUCTIONS, [])


def test_a_complete_table_has_no_gaps() -> None:
    table = OutcomeTable.from_records(INSTRUCTIONS, OUTCOMES, complete=True)
    assert [row.id for row in table.instructions] == ["0"]


def test_repeated_runs_are_averaged() -> None:
    table = OutcomeTable.from_records(INSTRUCTIONS, [_outcome("a", 0, 1.0), _outcome("a", 0, 0.0)])
    assert table.scores[0, 0] == 0.5


def test_rows_and_columns_are_selected_together_with_their_names() -> None:
    table = OutcomeTable.from_records(INSTRUCTIONS, OUTCOMES)
    by_mask = table.select(np.array([False, True, True]))
    by_position = table.select(np.array([1, 2]))
    assert by_mask.instructions == by_position.instructions
    swapped = table.columns(["b", "a"])
    assert swapped.candidates == ("b", "a")
    np.testing.assert_array_equal(swapped.scores[0], [1, 0])
    np.testing.assert_array_equal(swapped.output_tokens, [15, np.nan])


def test_shapes_are_checked() -> None:
    with pytest.raises(DataError, match="expected"):
        OutcomeTable(
            instructions=(),
            candidates=("a",),
            scores=np.zeros((1, 1), np.float32),
            output_tokens=np.zeros(1, np.float32),
        )
