import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.card import read_card, write_card
from modelsat.cli.exam import app
from modelsat.records.store import OutcomeDirectory, read_instructions
from modelsat.types import Instruction, Outcome

runner = CliRunner()


@pytest.fixture
def outcomes(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    instructions = [
        Instruction(id=f"{task}/{at}", text=f"{task} puzzle {at}?", dataset="toy", task=task)
        for task in ("law", "physics")
        for at in range(30)
    ]
    results = [
        Outcome(candidate=name, instruction_id=row.id, score=float(rng.random() < skill), output_tokens=9.0)
        for row in instructions
        for name, skill in (("strong", 0.8), ("middle", 0.5), ("weak/one", 0.2))
    ]
    folder = tmp_path / "outcomes"
    OutcomeDirectory.save(folder, instructions, results)
    return folder


@pytest.fixture
def exam_file(outcomes: Path, tmp_path: Path) -> Path:
    path = tmp_path / "exam.json"
    result = runner.invoke(
        app, ["build", "--outcomes", str(outcomes), "--tasks", "2", "--shots", "5", "-o", str(path), "--json"]
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["hash"] == AptitudeTest.load(path).hash
    assert sorted(task["task"] for task in report["tasks"]) == ["law", "physics"]
    return path


def test_an_exam_is_built_graded_and_shown(outcomes: Path, exam_file: Path, tmp_path: Path) -> None:
    cards = tmp_path / "cards"
    arguments = ["grade", "--outcomes", str(outcomes), "--exam", str(exam_file), "-o", str(cards)]
    result = runner.invoke(app, [*arguments, "--date", "2025-01-31", "--note", "our runs"])
    assert result.exit_code == 0, result.output
    card = read_card(cards / "strong.json")
    assert (card.date, card.source, card.mean_output_tokens, len(card.results)) == (
        "2025-01-31",
        "our runs",
        9.0,
        2,
    )

    report = json.loads(runner.invoke(app, [*arguments, "--json"]).stdout)
    assert {row["candidate"] for row in report} == {"strong", "middle", "weak/one"}
    assert all(Path(row["card"]).exists() and row["shots"] == 10 for row in report)

    path = str(cards / "strong.json")
    assert "10 items of exam exam" in runner.invoke(app, ["show", path]).stdout
    assert json.loads(runner.invoke(app, ["show", path, "--json"]).stdout)["candidate"] == "strong"
    assert runner.invoke(app, ["show", path, "--text"]).stdout.startswith("The model achieves accuracy ")


def test_building_twice_gives_the_same_exam(outcomes: Path, exam_file: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.json"
    arguments = ["build", "--outcomes", str(outcomes), "--tasks", "2", "--shots", "5", "-o", str(again)]
    result = runner.invoke(app, [*arguments, "--name", "exam"])
    assert result.exit_code == 0, result.output
    assert "law" in result.stdout
    assert again.read_text() == exam_file.read_text()


def test_what_was_edited_by_hand_is_overwritten_on_demand_only(
    outcomes: Path, exam_file: Path, tmp_path: Path
) -> None:
    arguments = ["build", "--outcomes", str(outcomes), "--tasks", "2", "--shots", "5", "-o", str(exam_file)]
    # The same exam again loses nothing.
    assert runner.invoke(app, arguments).exit_code == 0
    built = AptitudeTest.load(exam_file)
    edited = built.with_keywords({"law": ["Contracts", "Torts"]})
    edited.save(exam_file)
    result = runner.invoke(app, arguments)
    assert result.exit_code == 1
    assert "keywords, examples or categories of 1 tasks were edited, those of 'law' for one" in result.stderr
    assert "--force" in result.stderr
    assert AptitudeTest.load(exam_file) == edited
    result = runner.invoke(app, [*arguments, "--seed", "1"])
    assert (result.exit_code, "holds another exam (exam, hash" in result.stderr) == (1, True)
    assert AptitudeTest.load(exam_file) == edited
    assert runner.invoke(app, [*arguments, "--force"]).exit_code == 0
    assert AptitudeTest.load(exam_file) == built
    exam_file.write_text("my notes", encoding="utf-8")
    result = runner.invoke(app, arguments)
    assert (result.exit_code, "is no blueprint" in result.stderr) == (1, True)
    assert exam_file.read_text(encoding="utf-8") == "my notes"


def test_an_own_exam_is_not_built_over_an_edited_one(tmp_path: Path) -> None:
    items, exam = tmp_path / "items.csv", tmp_path / "exam.json"
    items.write_text("task;text;answer\nlaw;Is a promise a contract?;no\n", encoding="utf-8")
    arguments = ["build", "--from", str(items), "-o", str(exam)]
    result = runner.invoke(app, arguments)
    assert (result.exit_code, "--delimiter ';'" in result.stderr) == (1, True)
    assert runner.invoke(app, [*arguments, "--delimiter", ";"]).exit_code == 0
    AptitudeTest.load(exam).with_keywords({"law": ["Contracts"]}).save(exam)
    texts = (tmp_path / "exam.texts.jsonl").read_bytes()
    items.write_text("task;text;answer\nlaw;Is a promise a debt?;no\n", encoding="utf-8")
    result = runner.invoke(app, [*arguments, "--delimiter", ";"])
    assert (result.exit_code, "holds another exam" in result.stderr) == (1, True)
    assert (tmp_path / "exam.texts.jsonl").read_bytes() == texts


def test_expert_notes_in_a_card_survive_a_new_grade(outcomes: Path, exam_file: Path, tmp_path: Path) -> None:
    cards = tmp_path / "cards"
    arguments = ["grade", "--outcomes", str(outcomes), "--exam", str(exam_file), "-o", str(cards)]
    assert runner.invoke(app, arguments).exit_code == 0
    card = cards / "strong.json"
    write_card(card, replace(read_card(card), notes="Answers in French."))
    assert runner.invoke(app, arguments).exit_code == 0
    assert read_card(card).notes == "Answers in French."
    write_card(card, replace(read_card(card), candidate="other"))
    result = runner.invoke(app, arguments)
    assert (result.exit_code, "is the card of other, not of strong" in result.stderr) == (1, True)


def test_mistakes_are_one_sentence(outcomes: Path, tmp_path: Path) -> None:
    for arguments, fault in [
        (
            ["build", "--outcomes", str(outcomes), "-o", str(tmp_path / "e.json")],
            "subjects have 20 items or more",
        ),
        (
            ["grade", "--outcomes", str(outcomes), "-o", str(tmp_path / "c")],
            "no outcome on any of its 1000 items",
        ),
        (
            ["grade", "--outcomes", str(outcomes), "-o", str(tmp_path / "c"), "--date", "soon"],
            "--date is 'soon'",
        ),
        (["grade", "--outcomes", str(outcomes), "-o", str(tmp_path / "c"), "--exam", "x"], "no exam 'x'"),
        (["show", str(tmp_path / "nowhere.json")], "no such file"),
    ]:
        result = runner.invoke(app, arguments)
        assert result.exit_code == 1
        assert result.stderr.startswith("error: ")
        assert fault in result.stderr
        assert not (tmp_path / "e.json").exists()


def test_an_exam_of_own_items_is_built_and_graded_by_outcomes(tmp_path: Path) -> None:
    items = tmp_path / "items.jsonl"
    items.write_text(
        '{"task": "knots", "text": "Which knot slips?", "choices": ["Reef", "Noose"], "answer": "Noose"}\n'
        '{"task": "knots", "text": "Which knot joins two ropes?", "choices": ["Reef", "Noose"], "answer": "A"}\n'
        '{"task": "letters", "text": "Write to the harbour master."}\n'
    )
    blueprint = tmp_path / "harbour.json"
    result = runner.invoke(app, ["build", "--from", str(items), "-o", str(blueprint), "--json"])
    assert result.exit_code == 0, result.output
    assert [(task["task"], task["items"]) for task in json.loads(result.stdout)["tasks"]] == [
        ("knots", 2),
        ("letters", 1),
    ]
    assert "1 items have no answer" in result.stderr
    texts = read_instructions(tmp_path / "harbour.texts.jsonl")
    assert [text.answer for text in texts] == ["B", "A", None]
    assert AptitudeTest.load(blueprint).name == "harbour"

    # Outcomes under ids of another log are found by their content.
    log = [replace(text, id=f"log/{at}", dataset="log") for at, text in enumerate(texts)]
    outcomes = [Outcome(candidate="m", instruction_id=text.id, score=1.0) for text in log[:2]]
    OutcomeDirectory.save(tmp_path / "outcomes", log, outcomes)
    arguments = ["grade", "--outcomes", str(tmp_path / "outcomes"), "--exam", str(blueprint)]
    assert runner.invoke(app, [*arguments, "-o", str(tmp_path / "cards")]).exit_code == 0
    card = read_card(tmp_path / "cards" / "m.json")
    assert [(row.task, row.accuracy, row.items) for row in card.results] == [("knots", 1.0, (1.0, 1.0))]


def test_an_exam_is_built_of_outcomes_or_of_items(outcomes: Path, tmp_path: Path) -> None:
    output = ["-o", str(tmp_path / "e.json")]
    for arguments in (["build", *output], ["build", *output, "--outcomes", str(outcomes), "--from", "x"]):
        result = runner.invoke(app, arguments)
        assert result.exit_code == 1
        assert "give either --outcomes" in result.stderr
    items = tmp_path / "items.jsonl"
    items.write_text("[]\n")
    result = runner.invoke(app, ["build", "--from", str(items), *output])
    assert "items.jsonl:1: holds a list" in result.stderr
    assert not (tmp_path / "e.json").exists()
