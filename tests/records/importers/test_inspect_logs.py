"""Recorded logs through Inspect's own reader; it takes seconds to import, so that tests which need it are slow."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from modelsat.errors import DataError, MissingExtraError
from modelsat.records.importers import gather
from modelsat.records.importers.inspect_logs import inspect_rows


@pytest.fixture
def logs(fixtures: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return shutil.copytree(fixtures / "inspect", tmp_path / "inspect")


def spoil(logs: Path, **fields: object) -> Path:
    """Change fields of the first sample of the log of multiple choice; gives the log."""
    (path,) = logs.glob("*harbour-mc*.json")
    log = json.loads(path.read_text())
    log["samples"][0].update(fields)
    path.write_text(json.dumps(log))
    return path


@pytest.mark.slow
def test_logs_of_both_kinds_are_read(logs: Path) -> None:
    result = gather(inspect_rows(logs))
    assert result.rejected == ()
    scores = {(row.candidate, row.instruction_id): row.score for row in result.outcomes}
    assert scores[("mockllm/captain", "harbour_mc/bow")] == 1.0
    assert scores[("mockllm/mate", "harbour_mc/bow")] == 0.0
    assert len(scores) == 10
    bow = next(row for row in result.instructions if row.id == "harbour_mc/bow")
    assert bow.text == ("Which rope holds a moored boat at its bow?\nA. Bow line\nB. Stern line\nC. Halyard")
    assert (bow.answer, bow.kind, bow.choices) == (
        "A",
        "multiple_choice",
        ("Bow line", "Stern line", "Halyard"),
    )
    mate = {row.instruction_id: row for row in result.outcomes if row.candidate == "mockllm/mate"}
    # "no idea" holds no letter.
    assert not mate["harbour_mc/tide"].parsed
    assert mate["harbour_mc/bow"].parsed
    assert mate["harbour_mc/bow"].output_tokens == 3.0
    assert (mate["harbour_mc/bow"].latency_s or 0) > 0
    assert mate["harbour_mc/bow"].source == "inspect choice"


@pytest.mark.slow
def test_epochs_are_averaged(logs: Path) -> None:
    result = gather(inspect_rows(logs))
    sums = {row.instruction_id: row.score for row in result.outcomes if row.candidate == "mockllm/captain"}
    assert sums["harbour_sums/1"] == 0.5
    assert sums["harbour_sums/2"] == 0.0


@pytest.mark.slow
def test_another_scorer_may_be_chosen(logs: Path) -> None:
    (path,) = logs.glob("*harbour-sums*.eval")
    assert {row.source for row in gather(inspect_rows(path)).outcomes} == {"inspect match"}
    assert {row.source for row in gather(inspect_rows(path, metric="includes")).outcomes} == {
        "inspect includes"
    }
    reasons = {bad.reason for bad in gather(inspect_rows(path, metric="f1")).rejected}
    assert "sample 1: no score 'f1'; its scorers are match, includes" in reasons


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"error": {"message": "timed out\nat 3", "traceback": "", "traceback_ansi": ""}},
            "ended in an error (timed out)",
        ),
        ({"scores": {}}, "it has no score"),
        ({"scores": {"choice": {"value": "great"}}}, "gives 'great'; expected C, I, P, N"),
        ({"scores": {"choice": {"value": 3}}}, "gives '3'"),
        ({"scores": {"choice": {"value": {"a": 1, "b": 0}}}}, "choose one with --metric choice/VALUE"),
    ],
)
def test_a_sample_without_a_score_is_rejected_by_its_number(
    logs: Path, fields: dict[str, object], reason: str
) -> None:
    result = gather(inspect_rows(spoil(logs, **fields)))
    assert [(bad.line, reason in bad.reason) for bad in result.rejected] == [(1, True)]
    assert len(result.outcomes) == 2


@pytest.mark.slow
def test_one_of_several_values_is_chosen_by_name(logs: Path) -> None:
    path = spoil(logs, scores={"choice": {"value": {"a": 1, "b": 0}}})
    result = gather(inspect_rows(path, metric="choice/a"))
    assert [(row.instruction_id, row.score, row.source) for row in result.outcomes] == [
        ("harbour_mc/bow", 1.0, "inspect choice/a"),
        ("harbour_mc/starboard", 1.0, "inspect choice/a"),
        ("harbour_mc/tide", 0.0, "inspect choice/a"),
    ]


@pytest.mark.slow
def test_a_chat_is_read_as_what_the_user_says(logs: Path) -> None:
    chat = [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "What is this?"}, {"type": "image", "image": "boat.png"}],
        },
    ]
    result = gather(inspect_rows(spoil(logs, input=chat, choices=None)))
    asked = next(row for row in result.instructions if row.id == "harbour_mc/bow")
    assert (asked.text, asked.images) == ("What is this?", ("boat.png",))


@pytest.mark.slow
def test_a_damaged_log_among_several_costs_that_log_only(logs: Path) -> None:
    (path,) = logs.glob("*harbour-mc*.eval")
    path.write_bytes(path.read_bytes()[:2000])
    (logs / "notes.json").write_text("{}")
    result = gather(inspect_rows(logs))
    (bad,) = result.rejected
    assert (bad.file, bad.line) == (path, 0)
    assert "not a readable Inspect log" in bad.reason
    assert len(result.outcomes) == 7
    with pytest.raises(DataError, match="not a readable Inspect log"):
        list(inspect_rows(path))


def test_what_is_no_log_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such path"):
        list(inspect_rows(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"no \.eval or \.json log"):
        list(inspect_rows(tmp_path))


def test_without_inspect_the_extra_is_named(logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    with pytest.raises(MissingExtraError, match="modelsat\\[inspect\\]"):
        list(inspect_rows(logs))
