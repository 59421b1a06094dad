import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelsat.capability.aptitude import AptitudeTest, ExamItem, ExamTask
from modelsat.errors import DataError
from modelsat.types import Instruction

QUESTION = Instruction(id="d/1", text="Which?\nA. x\nB. y", choices=("x", "y"))
OTHER = Instruction(id="d/2", text="Why?", choices=("x", "y"))


@pytest.fixture
def exam() -> AptitudeTest:
    tasks = [
        ExamTask(name=name, keywords=("One", "Two"), items=(ExamItem.of(instruction),))
        for name, instruction in (("law", QUESTION), ("physics", OTHER))
    ]
    return AptitudeTest(name="toy", dataset="d", tasks=tuple(tasks))


def test_a_blueprint_is_read_as_it_was_written(exam: AptitudeTest, tmp_path: Path) -> None:
    path = tmp_path / "exam.json"
    exam.save(path)
    assert AptitudeTest.load(path) == exam
    assert AptitudeTest.find(str(path)) == exam
    assert "Which?" not in path.read_text()


def test_editing_keywords_keeps_the_hash_and_changing_items_does_not(exam: AptitudeTest) -> None:
    assert exam.with_keywords({"law": ["Court"]}).hash == exam.hash
    assert exam.with_keywords({"law": ["Court"]}).tasks[0].keywords == ("Court",)
    changed = replace(exam.tasks[0], items=(ExamItem.of(replace(QUESTION, choices=("x", "z"))),))
    assert replace(exam, tasks=(changed, exam.tasks[1])).hash != exam.hash


def test_the_same_question_in_another_dataset_overlaps(exam: AptitudeTest) -> None:
    same_stem = Instruction(id="other/9", text="WHICH?\nA. p\nB. q\nC. r", choices=("p", "q", "r"))
    unrelated = Instruction(id="other/10", text="Who?")
    assert exam.overlaps([same_stem, unrelated]).tolist() == [True, False]


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (lambda file: file.update(format="modelsat-exam/9"), "field 'format'"),
        (lambda file: file.update(colour="red"), "unknown field 'colour'"),
        (lambda file: file.update(tasks=[]), "field 'tasks'"),
        (lambda file: file.pop("name"), "field 'name' is missing"),
        (lambda file: file["tasks"][1].update(keywords=[]), r"field 'tasks\[1\].keywords'"),
        (lambda file: file["tasks"][0]["items"][0].update(content="xyz"), r"tasks\[0\].items\[0\].content"),
        (lambda file: file["tasks"].pop(), "field 'hash'"),
        (lambda file: file["tasks"].append(file["tasks"][0]), "'law' appears twice"),
    ],
)
def test_a_malformed_blueprint_names_file_and_field(
    exam: AptitudeTest, tmp_path: Path, edit: Callable[[dict[str, Any]], object], fault: str
) -> None:
    path = tmp_path / "exam.json"
    exam.save(path)
    file = json.loads(path.read_text())
    edit(file)
    path.write_text(json.dumps(file))
    with pytest.raises(DataError, match=rf"exam\.json: .*{fault}"):
        AptitudeTest.load(path)


def test_an_unknown_exam_is_an_error_that_lists_the_shipped_ones() -> None:
    with pytest.raises(DataError, match="a name: core"):
        AptitudeTest.find("nowhere.json")
    with pytest.raises(DataError, match="no such file"):
        AptitudeTest.shipped("nowhere")


def test_the_shipped_exam_has_fifty_tasks_of_twenty_shots_and_five_keywords() -> None:
    exam = AptitudeTest.shipped()
    assert len(exam.tasks) == 50
    assert {len(task.items) for task in exam.tasks} == {20}
    assert {len(task.keywords) for task in exam.tasks} == {5}
    assert len({task.keywords for task in exam.tasks}) == 50
