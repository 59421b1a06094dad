"""`modelsat tune`: a run through the command line, its help and its mistakes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.cli.main import app

from ..tuning.conftest import SPLITS, Small, small

__all__ = ["small"]

runner = CliRunner()


@pytest.fixture
def arguments(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A short run on small outcomes with tiny parts."""
    monkeypatch.setenv("MODELSAT_CACHE", str(tmp_path / "cache"))
    splits = tmp_path / "splits.json"
    candidates = {"unseen_validation": SPLITS.unseen_validation, "unseen_test": SPLITS.unseen_test}
    splits.write_text(json.dumps({"candidates": candidates}), "utf-8")
    options = {
        "--outcomes": small.directory.path,
        "--output": tmp_path / "run",
        "--splits": splits,
        "--exam": small.exam_file,
        "--backbone": small.backbone,
        "--text-encoder": small.encoder,
        "--layers": 2,
        "--frozen-layers": 1,
        "--tokens": 32,
        "--limit": 24,
        "--stage1-epochs": 1,
        "--stage2-epochs": 1,
    }
    return ["tune", *(str(part) for pair in options.items() for part in pair)]


def test_help_shows_examples() -> None:
    result = runner.invoke(app, ["tune", "--help"])
    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert "modelsat tune --outcomes data/" in result.stdout
    assert "goes on where it was" in result.stdout


def test_a_run_writes_a_checkpoint_and_a_log(arguments: list[str], tmp_path: Path) -> None:
    result = runner.invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    checkpoint = Path(json.loads(result.stdout)["checkpoint"])
    assert checkpoint == tmp_path / "run" / "checkpoint"
    assert (checkpoint / "config.json").exists()
    assert "24 tuning instructions x 4 candidates" in result.stderr
    assert "x 5 candidates" in result.stderr
    assert "validation after stage 2 epoch 1" in result.stderr
    lines = (tmp_path / "run" / "log.jsonl").read_text("utf-8").splitlines()
    assert {record.get("stage", record.get("validation")) for record in map(json.loads, lines)} == {1, 2}


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (["--loss", "hinge"], "loss is 'hinge'; expected 'listwise' or 'homogeneous'"),
        (["--layout", "sideways"], "layout is 'sideways'; expected one of"),
        (["--capability-encoder", "text"], "layout exam_attention cannot take capability_encoder 'text'"),
        (
            ["--layout", "shared_prefix", "--capability-encoder", "none"],
            "layout shared_prefix cannot take capability_encoder 'none'",
        ),
        (["--head", "yes_token"], "layout exam_attention cannot take the head 'yes_token'"),
        (["--tokens", "1"], "tokens is 1"),
        (["--layers", "9"], "has 4 layers; 9 were asked for"),
        (["--option-dropout", "2"], "option_dropout is 2.0"),
        (["--exam", "nowhere"], "no exam 'nowhere'"),
        (["--outcomes", "nowhere"], "no such folder"),
        (["--backbone", "./nowhere"], "backbone './nowhere' cannot be loaded"),
        (["--start", "nowhere"], "no router 'nowhere'"),
        (["--start", "accurate"], "the checkpoint to go on from has backbone 'smollm2-135m-instruct'"),
        (["--teacher", "nowhere"], "no router 'nowhere'"),
        (["--teacher", "fastest"], "was tuned with the exam 66364839d8362d7d; tuning is with toy"),
        (["--unlabelled", "toy"], "--unlabelled needs a --teacher"),
        (["--stage1-epochs", "0", "--stage2-epochs", "0"], "no stage is left to run"),
        (["--hard-label-weight", "2"], "hard_label_weight is 2.0"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], wrong: list[str], fault: str) -> None:
    result = runner.invoke(app, [*arguments, *wrong])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert fault in result.stderr
    assert "Traceback" not in result.stderr
