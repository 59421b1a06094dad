"""The exam over real sockets: killed at random, cut off, and against endpoints that misbehave."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from modelsat.capability.aptitude import AptitudeTest
from modelsat.exam.endpoint import Endpoint, RetryPolicy
from modelsat.exam.questions import Question
from modelsat.exam.session import ExamResult, run_session
from modelsat.exam.settings import ExamSettings, Participant
from modelsat.records.store import write_instructions
from modelsat.testing import Answer, FakeEndpoint, FakeRequest
from modelsat.types import Candidate
from tests.exam.conftest import FAULTS, SHOTS, TASKS, exam_of, instructions, knows

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("socket_enabled")]

ALL = TASKS * SHOTS
SETTINGS = ExamSettings(
    retries=RetryPolicy(
        timeout_s=1.0, attempts=3, first_wait_s=0.01, longest_wait_s=1.0, largest_answer=2**18
    ),
    concurrency=4,
)


async def sit(
    url: str, exam: AptitudeTest, questions: list[Question], folder: Path, *, resume: bool = False
) -> ExamResult:
    participant = Participant(candidate=Candidate(name="ours"), endpoint=Endpoint(base_url=url, model="ours"))
    (result,) = await run_session([participant], exam, questions, SETTINGS, folder=folder, resume=resume)
    return result


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_question_that_goes_wrong_once_is_not_lost(
    fault: str, exam: AptitudeTest, questions: list[Question], folder: Path
) -> None:
    good, asked = knows(lambda task: task < 2), Counter[str]()

    def errs_once(request: FakeRequest) -> Answer:
        asked[request.prompt] += 1
        return FAULTS[fault] if asked[request.prompt] == 1 and len(asked) % 5 == 0 else good(request)

    async def session() -> ExamResult:
        async with FakeEndpoint(errs_once) as endpoint:
            return await sit(endpoint.url, exam, questions, folder)

    result = asyncio.run(session())
    assert result.profile is not None, result.error
    assert [task.accuracy for task in result.profile.results] == [1.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"too many"}))
def test_an_endpoint_that_only_errs_ends_with_one_sentence(
    fault: str, exam: AptitudeTest, questions: list[Question], folder: Path
) -> None:
    async def session() -> ExamResult:
        async with FakeEndpoint(FAULTS[fault]) as endpoint:
            return await sit(endpoint.url, exam, questions, folder)

    started = time.monotonic()
    result = asyncio.run(session())
    assert "questions in a row got no answer" in result.error
    assert "\n" not in result.error
    assert time.monotonic() - started < 60


def test_a_network_that_goes_and_comes_back_loses_nothing(
    exam: AptitudeTest, questions: list[Question], folder: Path
) -> None:
    good, asked = knows(lambda task: True), Counter[str]()

    def counted(request: FakeRequest) -> Answer:
        asked[request.prompt] += 1
        return good(request)

    async def session() -> tuple[ExamResult, ExamResult]:
        async with FakeEndpoint(counted) as endpoint:
            # Half of the exam, and then nobody listens any more.
            await sit(endpoint.url, exam, questions[: ALL // 2], folder)
        gone = await sit(endpoint.url, exam, questions, folder, resume=True)
        async with FakeEndpoint(counted) as endpoint:
            return gone, await sit(endpoint.url, exam, questions, folder, resume=True)

    gone, back = asyncio.run(session())
    assert "no connection (Connection refused)" in gone.error
    assert back.profile is not None and back.resumed == ALL // 2
    assert back.profile.level == 1.0
    assert set(asked.values()) == {1} and len(asked) == ALL


def test_killed_at_random_moments_it_loses_nothing_and_asks_nothing_twice(tmp_path: Path) -> None:
    texts = instructions(10, 20)
    exam_of(texts).save(tmp_path / "exam.json")
    write_instructions(tmp_path / "texts.jsonl", texts)
    rng, kept = random.Random(7), 0
    journal = tmp_path / "cards" / "ours.journal.jsonl"
    with FakeEndpoint.process("--text", "A", "--delay", "0.05") as url:
        run = [
            *(sys.executable, "-m", "modelsat", "exam", "run", "--candidate", "ours", "--base-url", url),
            *("--blueprint", str(tmp_path / "exam.json"), "--source", str(tmp_path / "texts.jsonl")),
            *("-o", str(tmp_path / "cards"), "--set", "concurrency=4", "--resume", "--json"),
        ]
        kills = 0
        for _ in range(8):
            with subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                while process.poll() is None and _lines(journal) <= kept:
                    time.sleep(0.01)
                time.sleep(rng.uniform(0.0, 0.4))
                if process.poll() is None:
                    os.kill(process.pid, signal.SIGKILL)
                    kills += 1
                else:
                    output, errors = process.communicate()
                    assert process.returncode == 0, errors
                    break
            assert _lines(journal) >= kept
            kept = _lines(journal)
        else:
            # It was killed every time: let it come to its end.
            output = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert kills >= 3
    rows = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    items = [row["item"] for row in rows]
    assert len(items) == len(set(items)) == len(texts)
    (told,) = json.loads(output)
    assert told["shots"] == len(texts) and told["lost"] == 0


def test_ctrl_c_keeps_what_is_under_way(tmp_path: Path) -> None:
    texts = instructions(20, 25)
    exam_of(texts).save(tmp_path / "exam.json")
    write_instructions(tmp_path / "texts.jsonl", texts)
    journal = tmp_path / "cards" / "ours.journal.jsonl"
    with FakeEndpoint.process("--text", "A", "--delay", "0.1") as url:
        run = [
            *(sys.executable, "-m", "modelsat", "exam", "run", "--candidate", "ours", "--base-url", url),
            *("--blueprint", str(tmp_path / "exam.json"), "--source", str(tmp_path / "texts.jsonl")),
            *(
                "-o",
                str(tmp_path / "cards"),
                "--set",
                "concurrency=4",
                "--register",
                str(tmp_path / "zoo.toml"),
            ),
        ]
        with subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            while _lines(journal) < 10 and process.poll() is None:
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGINT)
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "waiting for answers under way" in errors
    assert "Pass --resume to continue" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "zoo.toml").exists()
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0
