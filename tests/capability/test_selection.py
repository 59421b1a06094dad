from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.selection import discrimination, select_items, task_name, tuning_table
from modelsat.errors import DataError
from modelsat.records.splits import Splits, read_splits, split_of
from modelsat.records.store import OutcomeDirectory
from modelsat.records.table import OutcomeTable
from modelsat.types import Instruction


@given(arrays(np.float32, (8, 5), elements=st.sampled_from([0.0, 1.0, float("nan")])))
def test_discrimination_is_a_fraction_whatever_is_missing(scores: np.ndarray) -> None:
    weights = discrimination(scores, ["a"] * 4 + ["b"] * 4)
    assert ((weights >= 0) & (weights <= 1)).all()


def test_items_that_all_solve_or_fail_tell_nothing() -> None:
    scores = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0]], np.float32)
    scores = np.concatenate([scores, 1 - scores[2:4]])
    weights = discrimination(scores, ["a"] * 4 + ["a", "b", "b"])
    assert weights[0] == weights[1] == 0
    assert weights[2] > weights[4]


def test_telling_items_are_chosen_from_the_largest_subjects(
    table: OutcomeTable, rng: np.random.Generator
) -> None:
    exam = select_items(table, tasks=2, shots=8, rng=rng, name="toy", dataset="toy")
    assert [task.name for task in exam.tasks] == ["law: college law", "physics: college physics"]
    assert [task.category for task in exam.tasks] == ["law", "physics"]
    assert exam.shots == 8
    position = {row.id: at for at, row in enumerate(table.instructions)}
    spread = [table.scores[position[item.id]].std() for item in exam.items]
    assert np.mean([value > 0 for value in spread]) == 1


def test_selection_repeats_with_its_seed(table: OutcomeTable) -> None:
    first, again, other = (
        select_items(table, tasks=1, shots=8, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first.hash != other.hash


def test_too_few_items_is_one_clear_error(table: OutcomeTable, rng: np.random.Generator) -> None:
    with pytest.raises(DataError, match="only 1 subjects have 25 items or more"):
        select_items(table, tasks=2, shots=25, rng=rng)


def test_a_question_collected_twice_is_one_item(table: OutcomeTable, rng: np.random.Generator) -> None:
    copies = tuple(replace(row, id=f"copy/{row.id}") for row in table.instructions)
    doubled = OutcomeTable(
        instructions=table.instructions + copies,
        candidates=table.candidates,
        scores=np.concatenate([table.scores, table.scores]),
        output_tokens=table.output_tokens,
    )
    exam = select_items(doubled, tasks=1, shots=30, rng=rng)
    assert len({item.stem_hash for item in exam.items}) == 30


def test_unseen_candidates_and_other_splits_are_not_looked_at(table: OutcomeTable) -> None:
    texts = (f"Question number {number}?" for number in range(100))
    held_out = next(text for text in texts if split_of(text) == "test")
    with_test = OutcomeTable(
        instructions=(Instruction(id="t", text=held_out), *table.instructions),
        candidates=table.candidates,
        scores=np.concatenate([np.ones((1, 6), np.float32), table.scores]),
        output_tokens=table.output_tokens,
    )
    seen = tuning_table(with_test, Splits(unseen_test=("a",), unseen_validation=("c",)))
    assert seen.candidates == ("b", "d", "e", "f")
    assert seen.instructions == table.instructions


@pytest.mark.parametrize(
    ("category", "task", "name"),
    [
        ("law", "professional_law", "law: professional law"),
        ("philosophy", "philosophy", "philosophy"),
        ("", "global_facts", "global facts"),
        ("engineering", "engineering:stemez-HeatTransfer", "engineering: heat transfer (stemez)"),
        ("physics", "physics:theoremQA-Physics", "physics (theoremQA)"),
        ("computer science", "computer science:theoremQA-EECS", "computer science: EECS (theoremQA)"),
    ],
)
def test_task_names_are_readable(category: str, task: str, name: str) -> None:
    assert task_name(Instruction(id="1", text="x", category=category, task=task)) == name


@pytest.mark.slow
def test_the_shipped_exam_is_what_the_recipe_builds(outcome_data: Path) -> None:
    directory = OutcomeDirectory.load(outcome_data)
    table = OutcomeTable.from_records(directory.instructions, directory.outcomes, dataset="mmlu_pro")
    built = select_items(
        tuning_table(table, read_splits(outcome_data / "splits.json")), rng=np.random.default_rng(0)
    )
    shipped = AptitudeTest.shipped()
    assert built.hash == shipped.hash
    # No exam question is left where tuning or testing would meet it.
    overlap = shipped.overlaps(directory.instructions)
    assert overlap.sum() >= 1000
    splits = {split_of(row.text) for row, out in zip(directory.instructions, overlap, strict=True) if out}
    assert splits == {"tuning"}
