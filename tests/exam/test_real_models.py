"""Real language models sit the exam behind a real server."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelsat.capability.card import read_sat_card
from modelsat.exam.journal import FORMAT
from tests.exam.model_server import gemma_weights, model_server, smollm_weights

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

SHOTS, AT_ONCE = 5, 2
# Ten tasks with short questions: a small model on one processor reads a page in half a minute.
NAMES = (
    *("global facts", "miscellaneous", "EECS", "elementary mathematics", "high school mathematics"),
    *("high school chemistry", "conceptual physics", "math (theoremQA)", "nutrition", "anatomy"),
)
TASKS = len(NAMES)
SELECTED = [text for name in NAMES for text in ("--set", f"only={name}")]


def modelsat(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "modelsat", *arguments]


@pytest.fixture(scope="module")
def smollm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    # The module's servers start before a test's own fixtures are at hand.
    from pytest_socket import disable_socket, enable_socket

    enable_socket()
    with model_server(smollm_weights(), tmp_path_factory.mktemp("smollm") / "log") as url:
        yield url
    disable_socket(allow_unix_socket=True)


def answered(journal: Path) -> list[str]:
    """Items with an answer in a journal, in order; a line that is being written is left out."""
    if not journal.exists():
        return []
    whole = journal.read_bytes().split(b"\n")[:-1]
    rows = [json.loads(line) for line in whole]
    assert not rows or rows[0]["format"] == FORMAT
    return [row["item"] for row in rows if "item" in row]


def test_a_real_model_sits_is_killed_goes_on_is_registered_and_routed(
    smollm: str, outcome_data: Path, tmp_path: Path
) -> None:
    cards, zoo = tmp_path / "cards", tmp_path / "zoo.toml"
    run = modelsat(
        *("exam", "run", "--candidate", "smollm", "--base-url", smollm, "--model", "SmolLM2-135M-Instruct"),
        *("--source", str(outcome_data), *SELECTED, "--set", f"shots={SHOTS}"),
        *(
            "--set",
            f"concurrency={AT_ONCE}",
            "--set",
            "max_tokens=12",
            "-o",
            str(cards),
            *("--set", "retries.timeout_s=300"),
        ),
    )
    journal = cards / "smollm.journal.jsonl"
    with subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as first:
        until = time.monotonic() + 900
        while len(answered(journal)) < TASKS * SHOTS // 2:
            assert first.poll() is None, first.stderr and first.stderr.read()
            assert time.monotonic() < until, "the model is too slow"
            time.sleep(0.1)
        os.kill(first.pid, signal.SIGKILL)
    before = answered(journal)
    assert TASKS * SHOTS // 2 <= len(before) < TASKS * SHOTS

    second = subprocess.run(
        [*run, "--resume", "--register", str(zoo), "--json"], capture_output=True, text=True, check=False
    )
    assert second.returncode == 0, second.stderr
    after = answered(journal)
    assert after[: len(before)] == before
    assert len(after) == len(set(after)) == TASKS * SHOTS
    (row,) = json.loads(second.stdout)
    assert (row["resumed"], row["asked"]) == (len(before), TASKS * SHOTS - len(before))

    card, how = read_sat_card(row["card"])
    assert [result.shots for result in card.results] == [SHOTS] * TASKS
    assert how is not None and how.latency_s is not None and how.output_tokens is not None
    assert (how.answers, how.lost, how.tokens_estimated) == (TASKS * SHOTS, 0, False)
    assert 0 < how.latency_s.p50 <= how.latency_s.p95
    assert 0 < how.output_tokens.mean <= 12
    # A small model guesses; one that always knows, or never, would be a fault of the reading.
    assert card.level < 0.6
    assert how.unreadable < TASKS * SHOTS

    routed = subprocess.run(
        modelsat("route", "Which vitamin does sunlight give?", "--zoo", str(zoo), "--json"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert routed.returncode == 0, routed.stderr
    assert "smollm" in routed.stdout


def test_a_base_model_sits_by_completion(outcome_data: Path, tmp_path: Path) -> None:
    cards = tmp_path / "cards"
    with model_server(gemma_weights(), tmp_path / "log") as url:
        done = subprocess.run(
            modelsat(
                *("exam", "run", "--candidate", "gemma", "--base-url", url, "--set", "api=completions"),
                *("--source", str(outcome_data), *SELECTED[:6], "--set", "shots=2", "--set", "concurrency=2"),
                *("--set", "max_tokens=8", "-o", str(cards), "--set", "retries.timeout_s=300", "--json"),
            ),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert (row["shots"], row["lost"]) == (6, 0)
    how = read_sat_card(row["card"])[1]
    assert how is not None and how.api == "completions"
    assert how.unreadable < 6
