import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.cli.main import app
from modelsat.cli.report import moment
from modelsat.errors import DataError
from modelsat.gateway.keys import create_key
from modelsat.gateway.store.database import store_url, using_store, writing
from modelsat.gateway.store.rows import save_records
from tests.gateway.store.samples import decision, feedback, usage

runner = CliRunner()


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "gateway.db"
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{path}")
    now = time.time()
    with using_store(store_url()) as engine:
        made, _ = create_key(engine, name="app", now=now)
        with writing(engine) as connection:
            save_records(
                connection,
                [
                    decision("a", at=now - 60, candidate="fair", key_id=made.id),
                    usage("a", candidate="fair", cost=0.001),
                    feedback("a", 1.0),
                    decision("b", at=now - 60),
                    usage("b", cost=None),
                    decision("old", at=now - 30 * 86_400),
                ],
            )
    return path


def test_a_report_tells_cost_quality_and_shares() -> None:
    result = runner.invoke(app, ["report"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "2 decisions" in result.stdout
    assert "95.0% less than always asking the strongest" in result.stdout
    assert "1.00 times" not in result.stdout
    assert "always the strongest: dear" in result.stdout
    assert "1 answers of unknown cost" in result.stdout
    assert "Quality by feedback" in result.stdout


def test_json_is_alone_on_stdout_and_a_page_is_written_beside_it(tmp_path: Path) -> None:
    page = tmp_path / "new" / "report.html"
    result = runner.invoke(app, ["report", "--since", "8w", "--json", "--html", str(page)])
    assert json.loads(result.stdout)["decisions"] == 3
    assert "<svg" in page.read_text()


def test_one_keys_traffic_is_reported_alone() -> None:
    report = json.loads(runner.invoke(app, ["report", "--key", "app", "--json"]).stdout)
    assert (report["decisions"], report["candidates"][0]["candidate"]) == (1, "fair")
    assert "no key 'nobody'" in runner.invoke(app, ["report", "--key", "nobody"]).stderr


def test_an_empty_period_says_so() -> None:
    result = runner.invoke(app, ["report", "--since", "2001-01-01", "--until", "2001-02-01"])
    assert (result.exit_code, result.stdout.startswith("No decisions from 2001-01-01")) == (0, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30min", 1e9 - 1_800),
        ("1minute", 1e9 - 60),
        ("24hours", 1e9 - 86_400),
        ("7d", 1e9 - 604_800),
        ("2weeks", 1e9 - 1_209_600),
        # 1e9 is 2001-09-09T01:46:40Z.
        ("1month", datetime(2001, 8, 9, 1, 46, 40, tzinfo=UTC).timestamp()),
        ("9months", datetime(2000, 12, 9, 1, 46, 40, tzinfo=UTC).timestamp()),
        ("1year", datetime(2000, 9, 9, 1, 46, 40, tzinfo=UTC).timestamp()),
        ("2001-09-09", 999_993_600),
        ("2001-09-09T01:46:40", 1e9),
        ("2001-09-09T03:46:40+02:00", 1e9),
    ],
)
def test_moments_are_ages_or_dates(text: str, expected: float) -> None:
    assert moment(text, 1e9) == expected


@pytest.mark.parametrize(
    "text", ["", "yesterday", "7", "-7d", "7 d", "99999w", "2026-13-01", "7fortnights", "9999years"]
)
def test_other_moments_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="is no time"):
        moment(text, 1e9)


def test_a_month_before_its_last_days_is_the_last_day_of_a_shorter_month() -> None:
    march = datetime(2024, 3, 31, 12, tzinfo=UTC).timestamp()
    assert moment("1month", march) == datetime(2024, 2, 29, 12, tzinfo=UTC).timestamp()
    assert moment("13months", march) == datetime(2023, 2, 28, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("command", [["store", "prune", "--yes", "--before"], ["report", "--since"]])
def test_minutes_and_months_are_spelled(command: list[str]) -> None:
    result = runner.invoke(app, [*command, "1m"])
    assert result.exit_code == 1
    assert result.stderr == "error: '1m' may mean minutes or months; write 1min or 1month.\n"


@pytest.mark.parametrize("command", [["store", "prune", "--yes", "--before", "7d"], ["report"]])
def test_a_store_that_is_not_there_is_not_made(command: list[str], tmp_path: Path) -> None:
    absent = tmp_path / "mistyped" / "gateway.db"
    result = runner.invoke(app, [*command, "--store", str(absent)])
    assert result.exit_code == 1
    assert "there is no such store" in result.stderr
    assert not absent.parent.exists()


def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    result = runner.invoke(app, ["report", "--since", "1h", "--until", "2h"])
    assert result.exit_code == 1
    assert "is not before" in result.stderr


def decisions() -> int:
    report = json.loads(runner.invoke(app, ["report", "--since", "8w", "--json"]).stdout)
    return int(report["decisions"])


def test_what_is_old_is_pruned_on_demand() -> None:
    assert decisions() == 3
    pruned = json.loads(runner.invoke(app, ["store", "prune", "--before", "7d", "--json", "--yes"]).stdout)
    assert pruned["deleted"] == {"decisions": 1, "usage": 2, "feedback": 1}
    assert decisions() == 2


def test_nothing_is_pruned_where_nobody_is_there_to_confirm_it() -> None:
    result = runner.invoke(app, ["store", "prune", "--before", "7d"])
    assert result.exit_code == 1
    assert "deletes 1 decisions, 2 usage, 1 feedback from before" in result.stderr
    assert "Pass --yes if that is meant; nothing was deleted." in result.stderr
    assert decisions() == 3


@pytest.mark.parametrize(("answer", "left"), [("y", 2), ("n", 3)])
def test_a_person_is_asked_before_anything_is_pruned(answer: str, left: int) -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "modelsat", "store", "prune", "--before", "7d"]
    with subprocess.Popen(command, stdin=theirs, stderr=subprocess.PIPE) as asking:
        os.write(ours, f"{answer}\n".encode())
        told = asking.communicate(timeout=60)[1].decode()
    assert "Go on? [y/N]" in told
    assert ("nothing was deleted" in told) == (answer == "n")
    assert (asking.returncode, decisions()) == (int(answer == "n"), left)
