import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.cli.imports import app
from modelsat.records.store import OutcomeDirectory

runner = CliRunner()
CSV = "llm,question,ok\na,What?,1\nb,What?,0\na,What?,1\nb,Why?,9\n"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.csv"
    path.write_text(CSV)
    return path


def _arguments(results: Path, output: Path) -> list[str]:
    maps = ["candidate=llm", "text=question", "score=ok"]
    return ["csv", str(results), "-o", str(output), *(part for pair in maps for part in ("--map", pair))]


def test_bad_rows_stop_the_import_and_are_named(results: Path, tmp_path: Path) -> None:
    result = runner.invoke(app, _arguments(results, tmp_path / "out"))
    assert result.exit_code == 1
    assert "results.csv:5: " in result.stderr
    assert "1 of 4 rows cannot be read; nothing was written" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_the_rest_is_imported_on_request_with_counts(results: Path, tmp_path: Path, ending: str) -> None:
    output = tmp_path / "out"
    result = runner.invoke(app, [*_arguments(results, output), "--skip-bad", "--json", "--format", ending])
    report = json.loads(result.stdout)
    assert (report["rows"], report["instructions"], report["outcomes"], report["duplicates"]) == (4, 1, 2, 1)
    assert report["rejected"][0]["line"] == 5
    assert report["candidates"]["a"] == {"outcomes": 1, "mean_score": 1.0}
    assert len(OutcomeDirectory.load(output).outcomes) == 2
    table = runner.invoke(app, [*_arguments(results, output), "--skip-bad", "--format", ending])
    assert "mean score" in table.stdout


def test_jsonl_is_imported_with_one_candidate_for_all(tmp_path: Path) -> None:
    path = tmp_path / "evals.jsonl"
    path.write_text('{"prompt": "What?", "metrics": {"acc": 0.5}}\n')
    arguments = [
        "jsonl",
        str(path),
        "-o",
        str(tmp_path / "out"),
        "--map",
        "text=prompt",
        "--map",
        "score=metrics.acc",
    ]
    assert runner.invoke(app, [*arguments, "--set", "candidate=ours"]).exit_code == 0
    (outcome,) = OutcomeDirectory.load(tmp_path / "out").outcomes
    assert (outcome.candidate, outcome.score) == ("ours", 0.5)


def test_many_bad_rows_are_summed_up(tmp_path: Path) -> None:
    path = tmp_path / "evals.jsonl"
    path.write_text("x\n" * 30)
    result = runner.invoke(app, ["jsonl", str(path), "-o", str(tmp_path / "out")])
    assert "and 20 more lines" in result.stderr
    assert (
        "no outcome was found"
        in runner.invoke(app, ["jsonl", str(path), "-o", str(tmp_path / "out"), "--skip-bad"]).stderr
    )


@pytest.mark.parametrize(
    ("option", "fault"),
    [
        (["--map", "score"], "expected FIELD=COLUMN"),
        (["--set", "=x"], "expected FIELD=VALUE"),
        (["--map", "score=again"], "names the field 'score' twice"),
        (["--map", "grade=ok"], "unknown field 'grade'"),
        (["--format", "xml"], "expected parquet or jsonl"),
        (["--delimiter", "ab"], "expected one character"),
    ],
)
def test_malformed_options_are_explained(
    results: Path, tmp_path: Path, option: list[str], fault: str
) -> None:
    result = runner.invoke(app, [*_arguments(results, tmp_path / "out"), *option])
    assert result.exit_code == 1
    assert fault in result.stderr
