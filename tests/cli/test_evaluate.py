"""`modelsat evaluate` on the real outcomes: the published reference numbers come out."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.cli.main import app


@pytest.mark.slow
def test_reference_baselines_are_reproduced(outcome_data: Path, tmp_path: Path) -> None:
    report_file = tmp_path / "report.json"
    arguments = ["evaluate", "--outcomes", str(outcome_data), "--splits", str(outcome_data / "splits.json")]
    result = CliRunner().invoke(app, [*arguments, "--no-router", "--baselines", "-o", str(report_file)])
    assert result.exit_code == 0, result.output
    report = json.loads(report_file.read_text(encoding="utf-8"))
    assert report["instructions"]["test"] == 1774
    auc = {
        (router["name"], row["group"]): row["auc"]
        for router in report["routers"]
        for row in router["quality"]
        if row["part"] == "pooled"
    }
    assert auc["kNN 200", "seen"] == pytest.approx(0.706, abs=0.005)
    assert auc["kNN 200", "unseen"] == pytest.approx(0.652, abs=0.005)
    assert auc["logistic regression", "seen"] == pytest.approx(0.708, abs=0.005)
