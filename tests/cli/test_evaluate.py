"""`modelsat evaluate` on real outcomes and real embeddings: two subjects, so that it stays quick."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.cli.main import app
from modelsat.records.store import OutcomeDirectory

SUBJECTS = ("history", "law")


@pytest.mark.slow
def test_baselines_learn_from_real_outcomes(outcome_data: Path, tmp_path: Path) -> None:
    everything = OutcomeDirectory.load(outcome_data)
    instructions = [
        row for row in everything.instructions if row.dataset == "mmlu_pro" and row.category in SUBJECTS
    ]
    wanted = {row.id for row in instructions}
    outcomes = [outcome for outcome in everything.outcomes if outcome.instruction_id in wanted]
    OutcomeDirectory.save(tmp_path / "two", instructions, outcomes)
    report_file = tmp_path / "report.json"
    splits = str(outcome_data / "splits.json")
    arguments = ["evaluate", "--outcomes", str(tmp_path / "two"), "--splits", splits, "--limit", "100"]
    result = CliRunner().invoke(app, [*arguments, "--no-router", "--baselines", "-o", str(report_file)])
    assert result.exit_code == 0, result.output
    report = json.loads(report_file.read_text(encoding="utf-8"))
    assert set(report["instructions"]) == {"test", "out_of_domain", "pooled"}
    auc = {
        router["name"]: row["auc"]
        for router in report["routers"]
        for row in router["quality"]
        if (row["part"], row["group"]) == ("test", "seen")
    }
    assert auc["kNN 50"] > 0.6
    assert auc["logistic regression"] > 0.6
    for router in report["routers"]:
        for gain in router["mean_gains"]:
            assert gain["gain"]["low"] <= gain["gain"]["mean"] <= gain["gain"]["high"]
