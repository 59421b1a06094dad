"""`modelsat evaluate`: the short form of the benchmark."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.bench.results import BenchmarkResult
from modelsat.cli.main import app
from modelsat.records.store import OutcomeDirectory

SUBJECTS = ("history", "law")


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--part", "tuning"], "--part is 'tuning'; expected test or validation."),
        ([], "--outcomes is missing"),
        (["--outcomes", "nowhere"], "nowhere"),
        (["--no-router", "--also", "x=fast"], "drop --also"),
    ],
)
def test_a_wrong_word_is_one_sentence(
    arguments: list[str], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODELSAT_OUTCOMES", raising=False)
    result = CliRunner().invoke(app, ["evaluate", *arguments])
    assert result.exit_code == 1
    assert fault in result.output
    assert "Traceback" not in result.output


@pytest.fixture(scope="module")
def two_subjects(outcome_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real outcomes of two subjects, so that it stays quick."""
    folder = tmp_path_factory.mktemp("two")
    everything = OutcomeDirectory.load(outcome_data)
    instructions = [
        row for row in everything.instructions if row.dataset == "mmlu_pro" and row.category in SUBJECTS
    ]
    wanted = {row.id for row in instructions}
    outcomes = [outcome for outcome in everything.outcomes if outcome.instruction_id in wanted]
    OutcomeDirectory.save(folder, instructions, outcomes)
    (folder / "splits.json").write_bytes((outcome_data / "splits.json").read_bytes())
    return folder


@pytest.mark.slow
def test_baselines_learn_from_real_outcomes(two_subjects: Path, tmp_path: Path) -> None:
    report_file = tmp_path / "report.json"
    arguments = ["evaluate", "--outcomes", str(two_subjects), "--limit", "100", "--no-router", "--baselines"]
    result = CliRunner().invoke(app, [*arguments, "-o", str(report_file)])
    assert result.exit_code == 0, result.output
    assert "warning: --no-router goes with 0.5" in result.stderr
    report = BenchmarkResult.load(report_file)
    assert {row["part"] for row in report.records("zoos")} == {"test", "ood_subjects", "pooled"}
    auc = {
        row["method"]: row["auc"]
        for row in report.records("ranking")
        if (row["part"], row["candidates"]) == ("test", "seen")
    }
    assert auc["kNN"] > 0.6  # type: ignore[operator]
    assert auc["logistic regression"] > 0.6  # type: ignore[operator]
    assert "Model-SAT" not in auc


@pytest.mark.slow
def test_routers_are_compared_on_the_same_instructions(two_subjects: Path) -> None:
    arguments = ["evaluate", "--outcomes", str(two_subjects), "--limit", "20", "--router", "fast", "--json"]
    result = CliRunner().invoke(app, [*arguments, "--also", "smaller=fastest", "--part", "validation"])
    assert result.exit_code == 0, result.output
    tables = json.loads(result.stdout)["tables"]
    methods = {row["method"] for row in tables["zoos"] if row["zoo"] == "mean"}
    assert {"Model-SAT", "Model-SAT, smaller", "kNN", "best single", "random", "oracle"} <= methods
    assert "MLP" not in methods
