"""`modelsat bench speed` and `modelsat bench engine`: what they print, write and refuse."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.bench import speed
from modelsat.bench.measure import Measure
from modelsat.cli.main import app

runner = CliRunner()


@pytest.fixture(autouse=True)
def nothing_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(part: str) -> list[Measure]:
        return [Measure(name=f"time of {part}", value=1.5, unit="s", bar=2.0, note="made up")]

    for part in ("processes", "engine", "route"):
        monkeypatch.setattr(speed, f"measure_{part}", lambda repeats, part=part: measured(part))
    monkeypatch.setattr(
        speed,
        "measure_rivals",
        lambda repeats, litellm: measured(f"rivals and {litellm.name}" if litellm else "rivals"),
    )
    monkeypatch.setattr(speed, "_measure_layouts", lambda repeats: measured("layouts"))


def names(arguments: Sequence[str]) -> list[str]:
    result = runner.invoke(app, ["bench", "speed", "--json", *arguments])
    assert result.exit_code == 0, result.output
    return [measure["name"] for measure in json.loads(result.stdout)["measures"]]


def test_all_parts_are_measured_or_those_asked_for() -> None:
    assert names([]) == [f"time of {part}" for part in speed.PARTS]
    assert names(["--part", "rivals", "--part", "engine"]) == ["time of engine", "time of rivals"]


def test_an_interpreter_with_litellm_is_a_rival_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "python").touch()
    assert names(["--part", "rivals", "--litellm", str(tmp_path / "python")]) == ["time of rivals and python"]


def test_an_interpreter_that_is_not_there_is_told_before_anything_is_timed(tmp_path: Path) -> None:
    result = runner.invoke(app, ["bench", "speed", "--litellm", str(tmp_path / "python")])
    assert result.exit_code == 1
    assert "which is no file; give a Python that has LiteLLM" in " ".join(result.output.split())


def test_the_table_says_whether_bars_are_met_and_the_file_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "results" / "speed.json"
    result = runner.invoke(app, ["bench", "speed", "--part", "engine", "-o", str(path)])
    assert result.exit_code == 0, result.output
    assert "<= 2" in result.stdout
    assert "met" in result.stdout
    saved = json.loads(path.read_text("utf-8"))
    assert saved["measures"][0]["met"] is True
    assert saved["machine"]["threads"]


def test_an_unknown_part_is_one_sentence() -> None:
    result = runner.invoke(app, ["bench", "speed", "--part", "luck"])
    assert result.exit_code == 1
    assert "error: --part is 'luck'; expected processes, layouts, engine, route, rivals." in result.output


def test_a_router_that_the_engine_cannot_run_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelsat.onnx.load.can_load", lambda folder: False)
    result = runner.invoke(app, ["bench", "engine", "--outcomes", str(tmp_path)])
    assert result.exit_code == 1
    assert "error: the engine without torch cannot run this router here" in result.output
