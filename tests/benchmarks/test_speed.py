"""`python -m benchmarks.speed`: options, output and bars. How fast things are is for the run itself to say."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from benchmarks import speed
from benchmarks.measure import Measure, MeasureReport, run, stopwatch
from modelsat.errors import DataError

app = Typer()
app.command()(speed.main)


@pytest.fixture
def nothing_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(part: str) -> list[Measure]:
        return [Measure(name=f"time of {part}", value=1.5, unit="s", bar=2.0, note="made up")]

    for part in ("processes", "engine", "route", "layouts"):
        monkeypatch.setattr(speed, f"measure_{part}", lambda repeats, part=part: measured(part))
    monkeypatch.setattr(
        speed,
        "measure_baselines",
        lambda repeats, litellm: measured(f"baselines and {litellm.name}" if litellm else "baselines"),
    )


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def names(arguments: Sequence[str]) -> list[str]:
    result = invoke("--json", *arguments)
    assert result.exit_code == 0, result.output
    return [measure["name"] for measure in json.loads(result.stdout)["measures"]]


@pytest.mark.usefixtures("nothing_is_timed")
def test_all_parts_are_measured_or_those_asked_for(tmp_path: Path) -> None:
    assert names([]) == [f"time of {part}" for part in speed.PARTS]
    assert names(["--part", "baselines", "--part", "engine"]) == ["time of engine", "time of baselines"]
    (tmp_path / "python").touch()
    litellm = ["--part", "baselines", "--litellm", str(tmp_path / "python")]
    assert names(litellm) == ["time of baselines and python"]


@pytest.mark.usefixtures("nothing_is_timed")
def test_the_table_and_the_file_agree_on_whether_bars_are_met(tmp_path: Path) -> None:
    path = tmp_path / "results" / "speed.json"
    result = invoke("--part", "engine", "-o", str(path))
    assert result.exit_code == 0, result.output
    assert "<= 2" in result.stdout
    assert "met" in result.stdout
    saved = json.loads(path.read_text("utf-8"))
    assert saved["measures"][0]["met"] is True
    assert saved["machine"]["threads"]


def test_mistakes_are_reported_before_anything_is_timed(tmp_path: Path) -> None:
    for arguments, message in (
        (["--litellm", str(tmp_path / "python")], "is not a file; give a Python that has LiteLLM"),
        (["--part", "luck"], "--part is 'luck'; expected processes, layouts, engine, route, baselines."),
    ):
        error = invoke(*arguments).exception
        assert isinstance(error, DataError)
        assert message in str(error)


def test_an_error_is_one_sentence_and_exit_code_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise DataError("no data here.")

    monkeypatch.setattr(sys, "argv", ["speed"])
    with pytest.raises(SystemExit) as stopped:
        run(refuse)
    assert stopped.value.code == "error: no data here."


@pytest.mark.parametrize(
    ("value", "bar", "better", "met"),
    [
        (1.0, 1.2, "lower", True),
        (1.3, 1.2, "lower", False),
        (13.0, 12.0, "higher", True),
        (1.0, None, "lower", None),
    ],
)
def test_a_bar_is_met_from_its_own_side(
    value: float, bar: float | None, better: str, met: bool | None
) -> None:
    measure = Measure(
        name="x", value=value, unit="x", bar=bar, better="lower" if better == "lower" else "higher"
    )
    assert measure.met is met
    report = MeasureReport(machine={}, versions={}, measures=(measure,))
    assert report.to_json()["measures"][0]["met"] is met


class Sleeper:
    def sleep(self, seconds: float) -> str:
        time.sleep(seconds)
        return "awake"


def test_a_stopwatch_times_one_objects_calls_and_leaves_it_as_it_was() -> None:
    sleeper = Sleeper()
    with stopwatch(sleeper, "sleep") as seconds:
        assert sleeper.sleep(0.01) == "awake"
        sleeper.sleep(0.0)
        Sleeper().sleep(0.0)
    sleeper.sleep(0.0)
    assert len(seconds) == 2
    assert seconds[0] >= 0.01
