"""What `modelsat serve` says before it serves; what it does then is tested on sockets."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.cli.main import app
from tests.gateway.parts import candidate, zoo

runner = CliRunner()


@pytest.fixture
def zoo_file(tmp_path: Path) -> Path:
    path = tmp_path / "zoo.toml"
    zoo().save(path)
    return path


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--policy", "finest"], "options: field 'policy' is 'finest': unknown policy"),
        (["--shadow", "nobody"], "shadow: 'nobody' is no candidate with an endpoint; choose of strong"),
        (["--host", "0.0.0.0"], "without API keys the gateway listens on this machine only"),
        (["--port", "99999"], "options: field 'port' is 99999"),
        (["--config", "absent.toml"], "absent.toml: no such file"),
    ],
)
def test_what_cannot_be_served_is_one_sentence(zoo_file: Path, options: list[str], fault: str) -> None:
    store = ["--store", str(zoo_file.parent / "gateway.db")]
    result = runner.invoke(app, ["serve", "--zoo", str(zoo_file), *store, *options])
    assert result.exit_code == 1
    assert fault in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.stderr


def test_the_shipped_zoo_has_nobody_to_call(tmp_path: Path) -> None:
    result = runner.invoke(app, ["serve", "--store", str(tmp_path / "gateway.db")])
    assert result.exit_code == 1
    assert "no candidate of the zoo has an endpoint" in result.stderr
    assert not (tmp_path / "gateway.db").exists()


def test_a_missing_key_of_an_endpoint_is_named_by_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ABSENT_KEY", raising=False)
    zoo(candidate("a", api_key_env="ABSENT_KEY")).save(tmp_path / "zoo.toml")
    result = runner.invoke(app, ["serve", "--zoo", str(tmp_path / "zoo.toml")])
    assert result.exit_code == 1
    assert "environment variable ABSENT_KEY is not set" in result.stderr


def test_an_absent_extra_is_named(zoo_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = runner.invoke(app, ["serve", "--zoo", str(zoo_file)])
    assert result.exit_code == 1
    assert "pip install 'modelsat[serve]'" in result.stderr
