"""`modelsat distil`: a run through the command line, and the student that it leaves."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.cli.main import app
from modelsat.scoring.checkpoint import load_checkpoint

from ..tuning.conftest import SPLITS, Small, small

__all__ = ["small"]

runner = CliRunner()


@pytest.fixture
def teacher(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A router tuned for a moment."""
    monkeypatch.setenv("MODELSAT_CACHE", str(tmp_path / "cache"))
    options = {
        "--outcomes": small.directory.path,
        "--output": tmp_path / "tuned",
        "--exam": small.exam_file,
        "--backbone": small.backbone,
        "--text-encoder": small.encoder,
        "--layers": 1,
        "--frozen-layers": 0,
        "--tokens": 24,
        "--lora-rank": 0,
        "--limit": 24,
        "--stage1-epochs": 1,
    }
    result = runner.invoke(app, ["tune", *(str(part) for pair in options.items() for part in pair)])
    assert result.exit_code == 0, result.output
    return tmp_path / "tuned" / "checkpoint"


def test_a_run_writes_a_student_and_a_log(small: Small, teacher: Path, tmp_path: Path) -> None:
    splits = tmp_path / "splits.json"
    candidates = {"unseen_validation": SPLITS.unseen_validation, "unseen_test": SPLITS.unseen_test}
    splits.write_text(
        json.dumps({"candidates": candidates, "zoos": {"two": ["all-round", "jurist"]}}), "utf-8"
    )
    options = {
        "--outcomes": small.directory.path,
        "--output": tmp_path / "run",
        "--splits": splits,
        "--exam": small.exam_file,
        "--teacher": teacher,
        "--unlabelled": "toy",
        "--layers": 1,
        "--tokens": 24,
        "--lora-rank": 2,
        "--limit": 24,
        "--epochs": 1,
    }
    arguments = ["distil", *(str(part) for pair in options.items() for part in pair)]
    result = runner.invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    checkpoint = load_checkpoint(Path(json.loads(result.stdout)["checkpoint"]))
    assert checkpoint.config.is_student
    assert len(checkpoint.tuning["recipe"]["teachers"]) == 1
    assert "24 tuning instructions x 4 candidates, 24 more without outcomes" in result.stderr
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text("utf-8").splitlines()]
    assert any("imitation_loss" in record for record in log)
    again = runner.invoke(app, [*arguments, "--epochs", "2"])
    assert again.exit_code != 0
    assert "holds a run with another stage2_epochs" in again.output
