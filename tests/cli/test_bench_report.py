"""`modelsat bench report`: a result that was computed before."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.cli.main import app
from tests.bench.reporting.synthetic import benchmark


@pytest.fixture
def result_file(tmp_path: Path) -> Path:
    path = tmp_path / "result.json"
    benchmark(only=["zoos", "ranking", "overhead"]).save(path)
    return path


def test_it_says_what_won_and_shows_every_method(result_file: Path) -> None:
    shown = CliRunner().invoke(app, ["bench", "report", str(result_file)])
    assert shown.exit_code == 0, shown.output
    assert "Where a baseline wins" in shown.stdout
    assert "In larger_mixed, kNN 200 beats Model-SAT by" in shown.stdout
    assert "matrix factorisation" in shown.stdout
    assert "Not run:" in shown.stdout


def test_it_prints_json(result_file: Path) -> None:
    shown = CliRunner().invoke(app, ["bench", "report", str(result_file), "--json"])
    value = json.loads(shown.stdout)
    assert value["split"] == "test"
    assert {row["method"] for row in value["tables"]["ranking"]} >= {"Model-SAT", "kNN 200"}
    assert value["findings"]["What won"]


def test_it_writes_a_report_without_plots(result_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    shown = CliRunner().invoke(app, ["bench", "report", str(result_file), "-o", str(folder), "--no-plots"])
    assert shown.exit_code == 0, shown.output
    assert (folder / "index.html").exists()
    assert (folder / "result.json").read_bytes() == result_file.read_bytes()


def test_a_file_that_is_no_result_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text("{}", encoding="utf-8")
    shown = CliRunner().invoke(app, ["bench", "report", str(path)])
    assert shown.exit_code == 1
    assert "other.json" in shown.output
    assert "Traceback" not in shown.output
