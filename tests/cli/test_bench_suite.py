"""`modelsat bench --suite`: what a user may get wrong, and a release gate."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.bench.run import EFFORTS
from modelsat.cli.main import app


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--seed", "1"], "--suite is missing"),
        (["--suite", "huge"], "--suite is 'huge'; expected quick or full."),
        (["--suite", "quick"], "--outcomes is missing"),
        (["--suite", "quick", "--split", "train"], "--split is 'train'; expected development or test."),
        (["--suite", "quick", "--require", "gain"], "requirement 'gain': expected METRIC.ZOO>NUMBER"),
        (["--suite", "quick", "--outcomes", "nowhere"], "nowhere: "),
        (["--suite", "quick", "--outcomes", "nowhere", "--router", "cascade"], "give its two routers"),
        (["--suite", "quick", "--outcomes", "nowhere", "--also", "x=cascade"], "give its two routers"),
        (["--suite", "quick", "--outcomes", "nowhere", "--also", "x"], "--also is 'x'; expected NAME=ROUTER"),
    ],
)
def test_a_wrong_word_is_one_sentence(
    arguments: list[str], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODELSAT_OUTCOMES", raising=False)
    result = CliRunner().invoke(app, ["bench", *arguments])
    assert result.exit_code == 1
    assert fault in result.output
    assert "Traceback" not in result.output


def test_help_has_an_example() -> None:
    result = CliRunner().invoke(app, ["bench", "--help"])
    assert result.exit_code == 0
    assert "--suite quick" in result.output


@pytest.mark.slow
def test_a_section_on_real_outcomes_is_reported_and_gates_a_release(
    outcome_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELSAT_OUTCOMES", str(outcome_data))
    folder = tmp_path / "report"
    base = ["bench", "--suite", "quick", "--section", "coverage", "--no-plots"]
    result = CliRunner().invoke(app, [*base, "-o", str(folder)])
    assert result.exit_code == 0, result.output
    found = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert [table["name"] for table in found["tables"]] == ["leakage", "coverage"]
    assert (folder / "index.html").exists()
    gated = CliRunner().invoke(app, [*base, "--require", "gain.smaller_scale>0"])
    assert gated.exit_code == 1
    assert "the result has no 'smaller_scale'" in gated.output


@pytest.mark.slow
def test_a_requirement_that_fails_exits_with_two(
    outcome_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = replace(EFFORTS["quick"], routed=20, learned=60)
    monkeypatch.setitem(EFFORTS, "quick", few)
    arguments = ["bench", "--suite", "quick", "--section", "zoos", "--outcomes", str(outcome_data), "--json"]
    result = CliRunner().invoke(
        app, [*arguments, "--require", "accuracy.mean>=0", "--require", "gain.mean>0.9"]
    )
    assert result.exit_code == 2, result.output
    assert "requirement failed: gain.mean>0.9: it is" in result.stderr
    tables = json.loads(result.stdout)["tables"]
    assert {"leakage", "zoos", "ranking", "reliability", "choices"} == set(tables)
