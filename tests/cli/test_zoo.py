import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.capability.card import read_card, write_card
from modelsat.capability.zoo import ModelZoo
from modelsat.cli.zoo import app
from modelsat.types import CapabilityProfile, TaskResult

runner = CliRunner()


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "ours.json"
    result = TaskResult(task="law", keywords=("Law",), accuracy=0.75, shots=4)
    write_card(path, CapabilityProfile(candidate="ours", exam="toy", exam_hash="", results=(result,)))
    return path


def test_the_shipped_zoo_is_listed_strongest_first_and_filtered_by_tag() -> None:
    rows = json.loads(runner.invoke(app, ["list", "--json"]).stdout)
    assert len(rows) == len(ModelZoo.shipped())
    assert [row["level"] for row in rows] == sorted((row["level"] for row in rows), reverse=True)
    tagged = json.loads(
        runner.invoke(app, ["list", "--json", "--tag", "open-weights", "--tag", "70B"]).stdout
    )
    assert 0 < len(tagged) < len(rows)
    assert "gemma-7b" in runner.invoke(app, ["list"], env={"COLUMNS": "200"}).stdout


def test_a_tag_that_nobody_has_is_refused_with_the_list() -> None:
    refused = runner.invoke(app, ["list", "--tag", "open-weight"])
    assert refused.exit_code == 1
    assert "no candidate has the tag 'open-weight'; they have 110B," in refused.stderr
    assert "open-weights" in refused.stderr


def test_one_candidate_is_shown_with_its_results() -> None:
    shown = json.loads(runner.invoke(app, ["show", "gemma-7b", "--json"]).stdout)
    assert len(shown["profile"]["tasks"]) == 50
    text = runner.invoke(app, ["show", "gemma-7b"], env={"COLUMNS": "200"}).stdout
    assert "law: professional law" in text
    missing = runner.invoke(app, ["show", "nobody"])
    assert missing.exit_code == 1
    assert "no candidate 'nobody'" in missing.stderr


def test_a_candidate_is_added_replaced_and_removed(card: Path, tmp_path: Path) -> None:
    zoo = tmp_path / "zoo.toml"
    add = ["add", "ours", "--card", str(card), "--zoo", str(zoo)]
    first = runner.invoke(
        app, [*add, "--output-price", "0.4", "--tag", "eu-only", "--notes", "Dutch.", "--json"]
    )
    assert json.loads(first.stdout) == {"zoo": str(zoo), "candidates": ["ours"]}
    candidate = ModelZoo.load(zoo)["ours"]
    assert (candidate.output_price, candidate.tags, candidate.notes) == (0.4, ("eu-only",), "Dutch.")

    assert "use --replace" in runner.invoke(app, add).stderr
    assert runner.invoke(app, [*add, "--replace"]).exit_code == 0
    assert ModelZoo.load(zoo)["ours"].output_price is None

    assert runner.invoke(app, ["remove", "ours", "--zoo", str(zoo)]).exit_code == 0
    assert len(ModelZoo.load(zoo)) == 0
    assert card.exists()


def test_an_answers_length_and_modalities_are_given_and_checked(card: Path, tmp_path: Path) -> None:
    zoo = tmp_path / "zoo.toml"
    add = ["add", "ours", "--card", str(card), "--zoo", str(zoo)]
    refused = runner.invoke(app, [*add, "--modality", "images"])
    assert refused.exit_code == 1
    assert "'images'" in refused.stderr
    assert "'text', 'image', 'audio', 'video' or 'file'" in refused.stderr
    assert not zoo.exists()
    given = runner.invoke(app, [*add, "--output-tokens", "350", "--modality", "text", "--modality", "image"])
    assert given.exit_code == 0
    loaded = ModelZoo.load(zoo)
    assert (loaded["ours"].output_tokens, loaded["ours"].modalities) == (350.0, ("text", "image"))
    assert loaded.profile("ours").mean_output_tokens == 350.0


def test_a_new_zoo_may_begin_with_the_shipped_candidates(card: Path, tmp_path: Path) -> None:
    zoo = tmp_path / "mine" / "zoo.toml"
    add = ["add", "ours", "--card", str(card), "--zoo", str(zoo), "--with-shipped"]
    assert runner.invoke(app, add).exit_code == 0
    assert len(ModelZoo.load(zoo)) == len(ModelZoo.shipped()) + 1
    assert "exists already" in runner.invoke(app, add).stderr


def test_a_bad_card_or_price_leaves_no_file(card: Path, tmp_path: Path) -> None:
    zoo = tmp_path / "zoo.toml"
    card.write_text("{}")
    bad_card = runner.invoke(app, ["add", "ours", "--card", str(card), "--zoo", str(zoo), "--with-shipped"])
    assert "field 'format' is missing" in bad_card.stderr
    bad_price = runner.invoke(
        app, ["add", "ours", "--card", str(card), "--zoo", str(zoo), "--input-price", "-1"]
    )
    assert "'input_price' is -1.0" in bad_price.stderr
    assert not zoo.exists()


def test_a_card_of_another_candidate_is_refused_unless_it_is_said_to_be_the_same_model(
    card: Path, tmp_path: Path
) -> None:
    zoo = tmp_path / "zoo.toml"
    add = ["add", "mirror", "--card", str(card), "--zoo", str(zoo)]
    refused = runner.invoke(app, [*add, "--with-shipped"])
    assert refused.exit_code == 1
    assert "is the card of 'ours', not of 'mirror'" in refused.stderr
    assert not zoo.exists()
    assert runner.invoke(app, [*add, "--as", "ours"]).exit_code == 0
    assert 'card_candidate = "ours"' in zoo.read_text()
    assert runner.invoke(app, ["show", "mirror", "--zoo", str(zoo)]).exit_code == 0
    before = zoo.read_text()
    change = ["set", "mirror", "card_candidate=", "--zoo", str(zoo)]
    assert "is the card of 'ours', not of 'mirror'" in runner.invoke(app, change).stderr
    write_card(tmp_path / "third.json", replace(read_card(card), candidate="third"))
    change[2] = f"card={tmp_path / 'third.json'}"
    assert "is the card of 'third', not of 'mirror'" in runner.invoke(app, change).stderr
    assert zoo.read_text() == before
    assert runner.invoke(app, [*change, "card_candidate=third"]).exit_code == 0


def test_a_candidate_is_added_with_cards_of_two_exams(card: Path, tmp_path: Path) -> None:
    zoo, other = tmp_path / "zoo.toml", tmp_path / "other.json"
    write_card(other, replace(read_card(card), exam="sql"))
    arguments = ["add", "ours", "--zoo", str(zoo), "--card", str(card)]
    assert runner.invoke(app, [*arguments, "--card", str(other)]).exit_code == 0
    shown = runner.invoke(app, ["show", "ours", "--zoo", str(zoo)])
    assert "of exam sql" in shown.stdout
    report = json.loads(runner.invoke(app, ["show", "ours", "--zoo", str(zoo), "--json"]).stdout)
    assert [sat["exam"] for sat in report["other_exams"]] == ["sql"]
    twice = runner.invoke(app, [*arguments, "--replace", "--card", str(card)])
    assert twice.exit_code == 1
    assert "two cards of the exam" in twice.stderr


def test_fields_are_set_and_refused_by_name(card: Path, tmp_path: Path) -> None:
    zoo = tmp_path / "zoo.toml"
    assert runner.invoke(app, ["add", "ours", "--card", str(card), "--zoo", str(zoo)]).exit_code == 0
    before = zoo.read_text()
    for change, fault in {
        "output_price": "expected FIELD=VALUE",
        "output_price=cheap": "'output_price' is 'cheap'",
        "modalities=images": "'text', 'image', 'audio', 'video' or 'file'",
        "price=1": "those are endpoint, model,",
        "name=theirs": "'name' is not a field that can be set",
    }.items():
        refused = runner.invoke(app, ["set", "ours", "input_price=9", change, "--zoo", str(zoo)])
        assert refused.exit_code == 1
        assert fault in refused.stderr
        assert zoo.read_text() == before
    assert (
        "no candidate 'nobody'" in runner.invoke(app, ["set", "nobody", "model=x", "--zoo", str(zoo)]).stderr
    )
    changes = ["output_price=0.4", "tags=eu-only, chat", "tools=true", "context_window=8192", "notes=A = B"]
    done = runner.invoke(app, ["set", "ours", *changes, "--zoo", str(zoo), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["set"]["output_price"] == "0.4"
    ours = ModelZoo.load(zoo)["ours"]
    assert (ours.output_price, ours.tags, ours.tools, ours.context_window, ours.notes) == (
        0.4,
        ("eu-only", "chat"),
        True,
        8192,
        "A = B",
    )


def test_a_check_lists_what_it_found_and_exits_with_1_on_faults(card: Path, tmp_path: Path) -> None:
    zoo = tmp_path / "zoo.toml"
    runner.invoke(app, ["add", "ours", "--card", str(card), "--zoo", str(zoo), "--input-price", "1"])
    found = runner.invoke(app, ["check", "--zoo", str(zoo)])
    assert found.exit_code == 1
    assert "output_price is missing" in found.stdout
    assert "1 fault(s) and 4 warning(s) in 1 candidate(s)" in found.stderr
    report = json.loads(runner.invoke(app, ["check", "--zoo", str(zoo), "--json"]).stdout)
    assert (report["candidates"], report["faults"], report["warnings"]) == (1, 1, 4)
    assert {one["subject"] for one in report["findings"]} == {
        "endpoint",
        "prices",
        "length",
        "window",
        "card",
    }

    runner.invoke(app, ["set", "ours", "output_price=1", "--zoo", str(zoo)])
    assert runner.invoke(app, ["check", "--zoo", str(zoo)]).exit_code == 0
    assert runner.invoke(app, ["check", "--zoo", str(zoo), "--strict"]).exit_code == 1


def test_the_shipped_zoo_is_sound() -> None:
    checked = runner.invoke(app, ["check", "--stale-after", "100000"])
    assert checked.exit_code == 0
    assert "and 21 more" in checked.stdout


def test_a_field_is_set_once(tmp_path: Path) -> None:
    twice = ["input_price=1", "input_price=2"]
    result = runner.invoke(app, ["set", "x", *twice, "--zoo", str(tmp_path / "zoo.toml")])
    assert result.exit_code == 1
    assert "input_price is given twice" in result.stderr
