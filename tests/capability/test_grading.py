from dataclasses import replace

import numpy as np
import pytest

from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.grading import exam_table, grade
from modelsat.capability.selection import select_items
from modelsat.errors import DataError
from modelsat.records.table import OutcomeTable
from modelsat.types import Outcome


@pytest.fixture
def exam(table: OutcomeTable, rng: np.random.Generator) -> AptitudeTest:
    return select_items(table, tasks=2, shots=8, rng=rng, name="toy", dataset="toy")


def test_accuracy_is_the_mean_over_the_items_sat(table: OutcomeTable, exam: AptitudeTest) -> None:
    profiles = grade(table, exam, date="2025-01-31", source="here")
    assert [profile.candidate for profile in profiles] == list("abcdef")
    position = {row.id: at for at, row in enumerate(table.instructions)}
    rows = [position[item.id] for item in exam.tasks[0].items]
    result = profiles[2].results[0]
    assert result.items == tuple(table.scores[rows, 2].tolist())
    assert result.accuracy == pytest.approx(table.scores[rows, 2].mean())
    assert profiles[0].mean_output_tokens == 10
    assert profiles[5].mean_output_tokens is None
    assert (profiles[0].exam_hash, profiles[0].date, profiles[0].source) == (exam.hash, "2025-01-31", "here")


def test_a_part_of_the_exam_is_graded_as_that_part(table: OutcomeTable, exam: AptitudeTest) -> None:
    scores = table.scores.copy()
    position = {row.id: at for at, row in enumerate(table.instructions)}
    scores[[position[item.id] for item in exam.tasks[0].items], 0] = np.nan
    scores[position[exam.tasks[1].items[0].id], 0] = np.nan
    scores[:, 1] = np.nan
    profiles = grade(replace(table, scores=scores), exam)
    assert [profile.candidate for profile in profiles] == list("acdef")
    (result,) = profiles[0].results
    assert (result.task, result.shots, result.items[0]) == (exam.tasks[1].name, 7, None)


def test_another_text_under_an_items_id_is_refused(table: OutcomeTable, exam: AptitudeTest) -> None:
    wanted = exam.items[0].id
    instructions = tuple(
        replace(row, text="Something else?") if row.id == wanted else row for row in table.instructions
    )
    with pytest.raises(DataError, match=f"{wanted!r} is another question"):
        grade(replace(table, instructions=instructions), exam)


def test_a_card_knows_of_the_exams_items_only(table: OutcomeTable, exam: AptitudeTest) -> None:
    items = {item.id for item in exam.items}
    outcomes = [
        Outcome(
            candidate="a", instruction_id=row.id, score=1.0, output_tokens=5.0 if row.id in items else 500.0
        )
        for row in table.instructions
    ]
    sat = exam_table(table.instructions, outcomes, exam)
    assert {row.id for row in sat.instructions} == items
    assert grade(sat, exam)[0].mean_output_tokens == 5.0


def test_outcomes_on_other_instructions_are_explained(table: OutcomeTable, exam: AptitudeTest) -> None:
    with pytest.raises(DataError, match="no outcome on any of its 16 items"):
        exam_table([], [], exam)
    others = np.array([row.id not in {item.id for item in exam.items} for row in table.instructions])
    with pytest.raises(DataError, match="no candidate has an outcome"):
        grade(table.select(others), exam)


def test_a_log_with_ids_of_its_own_is_graded_by_content(table: OutcomeTable, exam: AptitudeTest) -> None:
    # Another log writes the question without its options, and spaces and cases in its own way.
    renamed = [
        replace(row, id=f"log/{at}", text=row.text.split("\nA. ")[0].upper() + " ")
        for at, row in enumerate(table.instructions)
    ]
    outcomes = [Outcome(candidate="a", instruction_id=row.id, score=at % 2) for at, row in enumerate(renamed)]
    (profile,) = grade(exam_table(renamed, outcomes, exam), exam)
    position = {row.id: at for at, row in enumerate(table.instructions)}
    for task, result in zip(exam.tasks, profile.results, strict=True):
        assert result.items == tuple(position[item.id] % 2 for item in task.items)


def test_an_instruction_with_the_items_id_goes_before_one_of_its_content(
    table: OutcomeTable, exam: AptitudeTest
) -> None:
    item = next(row for row in table.instructions if row.id == exam.items[0].id)
    twin = replace(item, id="elsewhere", dataset="elsewhere")
    outcomes = [
        Outcome(candidate="a", instruction_id=item.id, score=1.0),
        Outcome(candidate="b", instruction_id=twin.id, score=0.0),
    ]
    assert exam_table([twin, item], outcomes, exam).candidates == ("a",)
    assert exam_table([twin], outcomes[1:], exam).candidates == ("b",)
