import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.cli.main import app

runner = CliRunner()


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "gateway.db"
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{path}")
    return path


def keys(*arguments: str) -> str:
    result = runner.invoke(app, ["keys", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_a_key_is_shown_once_listed_without_its_secret_and_revoked(store: Path) -> None:
    secret = keys("create", "chat [app]", "--rpm", "60", "--budget", "20", "--candidate", "gemma-7b").strip()
    assert secret.startswith("msat-")
    listed = json.loads(keys("list", "--json"))
    assert [(key["name"], key["requests_per_minute"], key["candidates"]) for key in listed] == [
        ("chat [app]", 60, ["gemma-7b"])
    ]
    assert listed[0]["spent_this_month"] == 0
    assert "chat [app]" in keys("list")
    for shown in (keys("list"), keys("list", "--json")):
        assert secret[-43:] not in shown
    assert json.loads(keys("revoke", secret, "--json"))["revoked_at"] is not None
    assert secret[-43:].encode() not in store.read_bytes()


def test_a_key_for_metrics_is_listed_as_one() -> None:
    keys("create", "prometheus", "--metrics")
    assert "metrics only" in keys("list")


def test_json_holds_the_new_key() -> None:
    made = json.loads(keys("create", "app", "--json"))
    assert made["key"].startswith(f"msat-{made['id']}-")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "app", "--rpm", "0"], "requests per minute is 0"),
        (["create", "app", "--budget", "nan"], "monthly budget is nan"),
        (["create", "app", "--metrics", "--rpm", "5"], "asks no candidate"),
        (["create", "app", "--candidate", "nobody", "--zoo", "ZOO"], "no candidate 'nobody'"),
        (["revoke", "nobody"], "no key 'nobody'"),
        (["list", "--store", "mysql://h/d"], "use sqlite or postgresql"),
        (["list", "--store", "/proc/nowhere/x.db"], "cannot be made"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], message: str, tmp_path: Path) -> None:
    zoo = tmp_path / "zoo.toml"
    zoo.write_text('format = "modelsat-zoo/1"\n')
    result = runner.invoke(app, ["keys", *[str(zoo) if word == "ZOO" else word for word in arguments]])
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
