import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.card import read_card, write_card
from modelsat.capability.grading import exam_table, grade
from modelsat.capability.own_exam import own_exam, read_items
from modelsat.errors import DataError
from modelsat.records.splits import content_hash
from modelsat.types import Outcome


def write(path: Path, *items: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return path


ITEM: dict[str, object] = {
    "task": "knots",
    "text": "Which knot slips?",
    "choices": ["Reef", "Noose"],
    "answer": "Noose",
}


def test_items_become_instructions_with_lettered_options(tmp_path: Path) -> None:
    path = write(
        tmp_path / "items.jsonl",
        ITEM,
        {**ITEM, "id": "mine", "text": "Which one joins?", "answer": "A", "category": "rope"},
        {"task": "sums", "text": "2 + 2?", "answer": 4},
    )
    first, second, third = read_items(path, exam="harbour")
    assert first.text == "Which knot slips?\nA. Reef\nB. Noose"
    assert (first.answer, first.kind, first.dataset, first.task) == (
        "B",
        "multiple_choice",
        "harbour",
        "knots",
    )
    assert first.id.startswith("harbour/")
    assert (second.id, second.answer, second.category) == ("mine", "A", "rope")
    assert (third.answer, third.kind, third.choices) == ("4", "numeric", ())


def test_one_question_may_be_asked_with_several_sets_of_options(tmp_path: Path) -> None:
    path = write(tmp_path / "items.jsonl", ITEM, {**ITEM, "choices": ["Bowline", "Noose"]})
    first, second = read_items(path, exam="harbour")
    assert first.id != second.id


def test_a_csv_serves_too(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("task,text,choices,answer\nknots,Which knot slips?,Reef | Noose,Noose\n")
    (item,) = read_items(path, exam="harbour")
    assert (item.choices, item.answer) == (("Reef", "Noose"), "B")


def test_an_exam_holds_all_items_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = write(
        tmp_path / "items.jsonl",
        ITEM,
        {"task": "sums", "text": "How many boats are 2 and 2 boats?", "answer": 4},
        {**ITEM, "text": "Which knot joins two ropes?", "answer": "Reef"},
    )
    items = read_items(path, exam="harbour")
    exam = own_exam(items, name="harbour")
    assert [(task.name, len(task.items)) for task in exam.tasks] == [("knots", 2), ("sums", 1)]
    assert "Knots" in exam.tasks[0].keywords
    assert exam.items[1].content_hash == content_hash("Which knot joins two ropes?", ["Reef", "Noose"])


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"task": ""}, "task is missing"),
        ({"text": " "}, "text is missing"),
        ({"answer": "Bowline"}, "answer is 'Bowline'; expected one of the options"),
        ({"choices": "Reef"}, "answer is 'Noose'; expected one of the options"),
        ({"text": "half \ud800"}, "text holds a broken character"),
        ({"kind": "essay"}, "kind is 'essay'"),
        ({}, "line 1 has this question or this id already"),
        ({"id": "one", "text": "Other?"}, "line 1 has this question or this id already"),
    ],
)
def test_a_faulty_item_is_named_by_its_line(tmp_path: Path, fields: dict[str, object], fault: str) -> None:
    path = write(tmp_path / "items.jsonl", {**ITEM, "id": "one"}, {**ITEM, **fields})
    with pytest.raises(DataError, match=f"items.jsonl:2: .*{fault}"):
        read_items(path, exam="harbour")


def test_a_file_without_items_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no items"):
        read_items(write(tmp_path / "items.jsonl"), exam="harbour")
    (tmp_path / "items.jsonl").write_text("{\n")
    with pytest.raises(DataError, match=r"items\.jsonl:1: not JSON"):
        read_items(tmp_path / "items.jsonl", exam="harbour")


simple = st.none() | st.booleans() | st.integers() | st.text(alphabet="aé \ud800", max_size=4)


@settings(max_examples=50)
@given(
    st.dictionaries(
        st.sampled_from(["task", "text", "choices", "answer", "id"]), simple | st.lists(simple, max_size=3)
    )
)
def test_whatever_an_item_holds_it_is_read_or_explained(content: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "items.jsonl", content)
        _check(path)


def _check(path: Path) -> None:
    try:
        (item,) = read_items(path, exam="harbour")
    except DataError as error:
        assert "items.jsonl:1: " in str(error)
    else:
        assert own_exam([item], name="harbour").items[0].id == item.id


def test_examples_travel_from_the_blueprint_to_the_card(tmp_path: Path) -> None:
    asked = [{**ITEM, "text": f"Which knot is number {at}?"} for at in range(7)]
    items = read_items(write(tmp_path / "items.jsonl", *asked), exam="harbour")
    exam = own_exam(items, name="harbour")
    assert exam.tasks[0].examples == tuple(f"Which knot is number {at}?" for at in range(5))
    exam.save(tmp_path / "exam.json")
    assert AptitudeTest.load(tmp_path / "exam.json") == exam
    # They are no part of the hash: whoever edits them keeps the cards.
    bare = replace(exam, tasks=tuple(replace(task, examples=()) for task in exam.tasks))
    assert bare.hash == exam.hash
    outcomes = [Outcome(candidate="m", instruction_id=item.id, score=1.0) for item in items]
    (card,) = grade(exam_table(items, outcomes, exam), exam)
    write_card(tmp_path / "card.json", card)
    assert read_card(tmp_path / "card.json").results[0].examples == exam.tasks[0].examples
