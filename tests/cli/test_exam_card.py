import json
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from modelsat.capability.card import is_stale, read_card, read_sat_card, write_card
from modelsat.capability.run import ExamRun, Spread, accuracy_interval
from modelsat.capability.zoo import ModelZoo
from modelsat.capability.zoo_file import add_entry
from modelsat.cli.exam import app
from modelsat.cli.exam_card import bar
from modelsat.cli.zoo import app as zoo_app
from modelsat.exam.compare import compare
from modelsat.statistics import wilson_interval
from modelsat.types import Candidate, CapabilityProfile, TaskResult

runner = CliRunner()
WIDE = {"COLUMNS": "200"}

RUN = ExamRun(
    endpoint="http://test/v1",
    model="ours-8b",
    max_tokens=64,
    answers=20,
    unreadable=3,
    latency_s=Spread(p50=0.5, p95=1.5, mean=0.7),
    output_tokens=Spread(p50=3.0, p95=9.0, mean=4.2),
    tokens_per_second=12.5,
    cost=0.25,
    intervals={"law": (0.4, 0.9)},
)


def card(name: str, right: int, *, estimated: bool = False, exam_hash: str = "f" * 16) -> CapabilityProfile:
    items = tuple(float(at < right) for at in range(10))
    law = TaskResult(
        task="law",
        keywords=("Law", "<b>Court</b>"),
        accuracy=0.65 if estimated else right / 10,
        shots=10,
        items=items,
        estimated=estimated,
    )
    physics = TaskResult(task="physics", keywords=("Physics",), accuracy=0.5, shots=10, items=(1.0, 0.0) * 5)
    return CapabilityProfile(
        candidate=name, exam="toy", exam_hash=exam_hash, results=(law, physics), date="2026-01-31"
    )


def test_a_card_keeps_how_its_exam_was_sat(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    profile = card("ours", 6, estimated=True)
    write_card(path, profile, RUN)
    assert read_card(path) == profile
    # Every task's interval stands with the task; those of the run alone come back with it.
    assert read_sat_card(path)[1] == RUN
    law, physics = json.loads(path.read_text())["tasks"]
    assert (law["interval"], law["estimated"]) == ([0.4, 0.9], True)
    assert physics["interval"] == [round(end, 4) for end in wilson_interval(0.5, 10)]
    plain = tmp_path / "plain.json"
    write_card(plain, card("ours", 6))
    assert read_sat_card(plain)[1] is None


def test_a_misspelt_setting_of_the_run_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    write_card(path, card("ours", 6), RUN)
    path.write_text(path.read_text().replace('"unreadable"', '"unreadble"'))
    result = runner.invoke(app, ["show", str(path)])
    assert result.exit_code == 1
    assert "unreadble" in result.stderr


def test_a_card_is_shown_as_bars_best_task_first(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    write_card(path, card("ours [8B]", 9), RUN)
    shown = runner.invoke(app, ["show", str(path)], env=WIDE)
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert "ours [8B]: 70.0% on 20 items of exam toy, 2026-01-31" in lines[0]
    law = next(line for line in lines if line.strip().startswith("law"))
    physics = next(line for line in lines if line.strip().startswith("physics"))
    assert lines.index(law) < lines.index(physics)
    assert law.count("█") > physics.count("█") > 0
    assert "40%-90%" in law
    assert "12.5" in shown.stdout and "0.25" in shown.stdout


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999, 1.0])
def test_a_bar_is_as_long_as_its_share(share: float) -> None:
    assert len(bar(share, 24)) == pytest.approx(24 * share, abs=1)


def test_a_page_is_well_formed_and_shows_what_authors_write_as_text(tmp_path: Path) -> None:
    path, page = tmp_path / "card.json", tmp_path / "out" / "card.html"
    write_card(path, replace(card("<script>alert(1)</script>", 9), notes="a & b"), RUN)
    assert runner.invoke(app, ["show", str(path), "--html", str(page)]).exit_code == 0
    text = page.read_text()
    assert "<script" not in text and "<b>" not in text
    assert "a &amp; b" in text

    class Balanced(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "br"):
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    parser = Balanced()
    parser.feed(text)
    assert parser.open == []


def test_two_cards_are_compared_item_by_item(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    write_card(first, card("old", 4), RUN)
    write_card(second, card("new", 8))
    told = json.loads(runner.invoke(app, ["compare", str(first), str(second), "--json"]).stdout)
    assert told["paired"] is True
    assert told["difference"] == pytest.approx(0.2)
    low, high = told["interval"]
    assert 0.0 < low < 0.2 < high
    assert [row["task"] for row in told["tasks"]] == ["law", "physics"]
    shown = runner.invoke(app, ["compare", str(first), str(second)], env=WIDE)
    assert shown.exit_code == 0, shown.output
    assert "new is +20.0 points from old" in shown.stdout
    same = runner.invoke(app, ["compare", str(first), str(first), "--json"])
    assert json.loads(same.stdout)["interval"] == [0.0, 0.0]


def test_cards_without_common_items_are_compared_unpaired() -> None:
    rng = np.random.default_rng(0)
    unpaired = compare(card("old", 4), card("new", 8, exam_hash="e" * 16), rng=rng)
    assert not unpaired.paired
    assert unpaired.interval[0] < unpaired.difference < unpaired.interval[1]
    assert unpaired.interval[1] - unpaired.interval[0] > 0.3
    assert not compare(card("old", 4), card("new", 8, estimated=True), rng=rng).paired


def test_cards_without_a_common_task_do_not_compare(tmp_path: Path) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    poems = TaskResult(task="poems", keywords=("Poem",), accuracy=0.5, shots=4)
    write_card(first, card("old", 4))
    write_card(second, CapabilityProfile(candidate="poet", exam="verse", exam_hash="", results=(poems,)))
    result = runner.invoke(app, ["compare", str(first), str(second)])
    assert result.exit_code == 1
    assert "have no task in common" in result.stderr


def test_the_runs_interval_goes_before_that_of_the_shots() -> None:
    law, physics = card("ours", 6).results
    assert accuracy_interval(law, RUN) == (0.4, 0.9)
    assert accuracy_interval(physics, RUN) == wilson_interval(0.5, 10)


def test_stale_cards_are_marked_in_the_zoo(tmp_path: Path) -> None:
    assert is_stale("", 10)
    assert is_stale("2026-01-01", 30, date(2026, 2, 1))
    assert not is_stale("2026-01-01", 31, date(2026, 2, 1))
    for name, sat in (("fresh", date.today().isoformat()), ("old", "2020-01-01")):
        write_card(tmp_path / f"{name}.json", replace(card(name, 5), date=sat))
        add_entry(tmp_path / "zoo.toml", Candidate(name=name), tmp_path / f"{name}.json")
    zoo = str(tmp_path / "zoo.toml")
    rows = json.loads(runner.invoke(zoo_app, ["list", "--zoo", zoo, "--json"]).stdout)
    assert {row["name"]: row["stale"] for row in rows} == {"fresh": False, "old": True}
    listed = runner.invoke(zoo_app, ["list", "--zoo", zoo], env=WIDE)
    assert "2020-01-01 stale" in listed.stdout
    assert "1 stale" in listed.stderr
    assert len(ModelZoo.load(zoo)) == 2
