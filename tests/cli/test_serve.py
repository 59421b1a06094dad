"""What `modelsat serve` says before it serves; what it does then is tested on sockets."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.capability.zoo import ModelZoo
from modelsat.cli.main import app
from tests.gateway.parts import candidate, zoo
from tests.profiles import profile

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


def test_what_a_policy_lacks_is_warned_of_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelsat.gateway.serving.run", lambda gateway, load_scorer: None)
    members = [candidate("strong"), candidate("unpriced", output_price=None), candidate("unmeasured")]
    lengths = (100.0, 100.0, None)
    ModelZoo(
        (member, profile(member.name, {"law": 0.5}, tokens=tokens))
        for member, tokens in zip(members, lengths, strict=True)
    ).save(tmp_path / "zoo.toml")
    arguments = ["serve", "--zoo", str(tmp_path / "zoo.toml"), "--store", str(tmp_path / "gateway.db")]
    served = runner.invoke(app, [*arguments, "--policy", "cheapest-above=0.6"])
    assert served.exit_code == 0, served.output
    assert "warning: policy cheapest-above=0.6 never chooses unpriced" in served.stderr
    assert "warning: the length of answers is unknown for unmeasured" in served.stderr
    assert "never chooses" not in runner.invoke(app, arguments).stderr


def test_a_policy_without_any_price_is_not_served(tmp_path: Path) -> None:
    zoo(candidate("a", input_price=None)).save(tmp_path / "zoo.toml")
    arguments = ["serve", "--zoo", str(tmp_path / "zoo.toml"), "--policy", "value=0.01"]
    refused = runner.invoke(app, arguments)
    assert refused.exit_code == 1
    assert "policy value=0.01 needs prices, and no candidate with an endpoint has them" in refused.stderr


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


@pytest.mark.parametrize(
    "command", [["serve"], ["keys", "list"], ["report"], ["store", "prune", "--before", "90d"]]
)
def test_an_absent_extra_is_named(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("modelsat.gateway")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = runner.invoke(app, command)
    assert result.exit_code == 1
    assert "pip install 'modelsat[serve]'" in result.stderr
