"""`modelsat route` and what all commands share, with a real scorer that needs no weights."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.capability.zoo import ModelZoo
from modelsat.cli.main import app
from modelsat.progress import Progress
from modelsat.routing.policy import RoutingPolicy
from modelsat.routing.router import Router
from modelsat.routing.scorer import Level
from modelsat.types import Candidate
from tests.profiles import profile

runner = CliRunner()


@pytest.fixture(autouse=True)
def level_router(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(router: str, zoo: ModelZoo, policy: RoutingPolicy, progress: Progress) -> Router:
        return Router(scorer=Level(), zoo=zoo, policy=policy)

    monkeypatch.setattr(Router, "load", load)


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    path = tmp_path / "zoo.toml"
    ModelZoo(
        [
            (Candidate(name="dear", input_price=1.0, output_price=5.0), profile("dear", {"law": 0.9})),
            (Candidate(name="fair", input_price=0.1, output_price=0.1), profile("fair", {"law": 0.7})),
            (Candidate(name="[weak]", input_price=0.0, output_price=0.0), profile("[weak]", {"law": 0.2})),
        ]
    ).save(path)
    return path


def test_a_text_is_routed_and_explained(zoo: Path) -> None:
    result = runner.invoke(app, ["route", "Is this lawful?", "--zoo", str(zoo), "--explain"])
    assert result.exit_code == 0
    assert "dear" in result.stdout
    assert "[weak]" in result.stdout
    assert "Highest P(right): 0.90; next fair, 0.70." in result.stdout


def test_json_is_alone_on_stdout(zoo: Path) -> None:
    arguments = ["route", "x", "--zoo", str(zoo), "--json", "--top", "2", "--policy", "cheapest-above=0.6"]
    row = json.loads(runner.invoke(app, arguments).stdout)
    assert row["candidate"] == "fair"
    assert len(row["ranking"]) == 2
    assert row["ranking"][0]["expected_cost"] == pytest.approx(1.01e-5)


@pytest.mark.parametrize("argument", [["-"], []])
def test_stdin_takes_text_and_chats(zoo: Path, argument: list[str]) -> None:
    chat = json.dumps([{"role": "user", "content": "Is this lawful?"}])
    ids = {
        json.loads(runner.invoke(app, ["route", *argument, "--zoo", str(zoo), "--json"], input=text).stdout)[
            "id"
        ]
        for text in (chat, "Is this lawful?")
    }
    assert len(ids) == 1


def test_text_may_begin_with_a_bracket(zoo: Path) -> None:
    for text in ("[draft] hello", "[1, 2]"):
        assert runner.invoke(app, ["route", text, "--zoo", str(zoo)]).exit_code == 0


def test_candidates_narrow_the_zoo(zoo: Path) -> None:
    arguments = ["route", "x", "--zoo", str(zoo), "--json", "--candidates", "fair, [weak]"]
    row = json.loads(runner.invoke(app, arguments).stdout)
    assert [ranked["candidate"] for ranked in row["ranking"]] == ["fair", "[weak]"]


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["route", "  "], "the instruction is empty"),
        (["route", "x", "--policy", "finest"], "unknown policy 'finest'"),
        (["route", "x", "--candidates", "nobody"], "no candidate 'nobody'"),
        (["route", "x", "--candidates", " ,"], "--candidates names no candidate"),
        (["route", "x", "--zoo", "absent.toml"], "absent.toml"),
        (["route", "--input", "in.jsonl"], "--input and --output go together"),
        (["evaluate", "--outcomes", "absent"], "absent: no such folder"),
        (["evaluate", "--outcomes", "absent", "--part", "all"], "--part is 'all'"),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_exit_code_1(arguments: list[str], fault: str) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert fault in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch, zoo: Path) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Router, "route", interrupt)
    assert runner.invoke(app, ["route", "x", "--zoo", str(zoo)]).exit_code == 130


def test_a_file_is_routed_and_bad_lines_are_skipped_on_demand(zoo: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('"one"\nbad\n"two"\n', encoding="utf-8")
    arguments = ["route", "--zoo", str(zoo), "--input", str(source), "--output", str(target)]
    stopped = runner.invoke(app, arguments)
    assert stopped.exit_code == 1
    assert "line 2: not JSON" in stopped.stderr
    done = runner.invoke(app, [*arguments, "--skip-bad"])
    assert done.exit_code == 0
    assert "skipped 1 malformed line(s): 2" in done.stderr
    assert [json.loads(line)["line"] for line in target.read_text(encoding="utf-8").splitlines()] == [1, 3]


def test_stale_decisions_are_refused_and_redone_on_demand(zoo: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('"one"\n"two"\n', encoding="utf-8")
    arguments = ["route", "--zoo", str(zoo), "--input", str(source), "--output", str(target)]
    assert runner.invoke(app, arguments).exit_code == 0
    source.write_text('"one"\n"2"\n', encoding="utf-8")
    stopped = runner.invoke(app, arguments)
    assert stopped.exit_code == 1
    assert stopped.stderr.splitlines()[-1] == (
        f"error: {target}: belongs to another run: 1 line (2) of another text or other images; redo them "
        "with --redo-changed, or name another output."
    )
    done = runner.invoke(app, [*arguments, "--redo-changed"])
    assert done.exit_code == 0
    assert "2 decisions (1 routed by an earlier run)" in done.stderr


def test_help_lists_every_command_without_torch_or_numpy() -> None:
    code = (
        "import sys\nfrom modelsat.cli.main import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'numpy', 'sklearn', 'pyarrow'} & set(sys.modules), 'heavy import'"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for command in ("route", "demo", "zoo", "exam", "import", "evaluate"):
        assert command in shown.stdout


def test_public_names_are_fetched_when_used() -> None:
    code = (
        "import sys, modelsat\n"
        "assert 'numpy' not in sys.modules\n"
        "[getattr(modelsat, name) for name in modelsat.__all__]\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_options_of_0_3_still_work_with_a_warning(zoo: Path) -> None:
    for old in (["--engine", "fast"], ["--engine=fast"], ["--checkpoint", "fast"]):
        result = runner.invoke(app, ["route", "x", "--zoo", str(zoo), "--json", *old])
        assert result.exit_code == 0
        assert f"{old[0].partition('=')[0]} is now --router" in result.stderr
        json.loads(result.stdout)


def test_the_demos_picture_shows_what_is_printed_and_fetches_nothing(zoo: Path, tmp_path: Path) -> None:
    result = runner.invoke(app, ["demo", "--zoo", str(zoo), "--svg", str(tmp_path / "demo.svg")])
    assert result.exit_code == 0, result.output
    drawn = (tmp_path / "demo.svg").read_text("utf-8")
    assert "dear" in drawn
    assert not re.search(r"url\(.?https?:|href=|<script|<image", drawn)
