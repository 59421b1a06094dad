"""`modelsat serve` as users run it: a process with real weights, before real small models and scripted endpoints."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import openai
import pytest

from modelsat.capability.zoo import ModelZoo
from modelsat.testing import Answer, FakeEndpoint
from tests.exam.model_server import model_server, smollm_weights

pytestmark = [pytest.mark.slow, pytest.mark.enable_socket]

START_S = 180.0
CANDIDATES = ("gemini-1.5-flash-002", "Phi-3-mini-4k-instruct")
QUESTION = [{"role": "user", "content": "Name one colour of the rainbow."}]


@dataclass
class Served:
    """A running gateway."""

    url: str
    folder: Path
    process: "subprocess.Popen[bytes]"

    @property
    def log(self) -> list[dict[str, Any]]:
        """What it logged, line by line."""
        lines = (self.folder / "log").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def stored(self, query: str) -> list[Any]:
        """What is in its store."""
        connection = sqlite3.connect(self.folder / "gateway.db")
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def stop(self) -> int:
        """End it as an init system does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def write_zoo(folder: Path, endpoint: str, **fields: Any) -> Path:
    """Two shipped candidates at one endpoint."""
    shipped = ModelZoo.shipped()
    path = folder / "zoo.toml"
    ModelZoo(
        (replace(shipped[name], endpoint=endpoint, **fields), shipped.profile(name)) for name in CANDIDATES
    ).save(path)
    return path


@contextmanager
def serving(folder: Path, *options: str, **environment: str) -> Iterator[Served]:
    """`modelsat serve` on the zoo of a folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "modelsat", "serve", "--zoo", str(folder / "zoo.toml")]
    command += ["--store", str(folder / "gateway.db"), "--port", str(port), *options]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stderr=log, env={**os.environ, **environment}) as process,
    ):
        served = Served(f"http://127.0.0.1:{port}/v1", folder, process)
        try:
            _wait_until_ready(served)
            yield served
        finally:
            process.kill()


def _wait_until_ready(served: Served) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        assert served.process.poll() is None, (served.folder / "log").read_text()[-2000:]
        try:
            with urllib.request.urlopen(served.url.removesuffix("v1") + "readyz", timeout=5):
                return
        except (urllib.error.HTTPError, OSError):
            time.sleep(0.1)
    raise AssertionError("the gateway did not become ready")


def client(served: Served, key: str = "none") -> Any:
    return openai.OpenAI(base_url=served.url, api_key=key, max_retries=0, timeout=120)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modelsat", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_real_models_answer_through_the_real_router(tmp_path: Path) -> None:
    with model_server(smollm_weights(), tmp_path / "endpoint.log") as endpoint:
        write_zoo(tmp_path, endpoint)
        with serving(tmp_path, "--route-timeout-ms", "20000") as served, client(served) as sdk:
            raw = sdk.chat.completions.with_raw_response.create(
                model="auto", messages=QUESTION, max_tokens=12
            )
            answer = raw.parse()
            assert answer.choices[0].message.content.strip()
            assert raw.headers["x-modelsat-candidate"] in CANDIDATES
            assert 0 < float(raw.headers["x-modelsat-score"]) < 1
            events = sdk.chat.completions.create(model="auto", messages=QUESTION, max_tokens=12, stream=True)
            assert "".join(event.choices[0].delta.content or "" for event in events).strip()

            async def ask_all() -> list[Any]:
                asynchronous: Any = openai.AsyncOpenAI(base_url=served.url, api_key="none", max_retries=0)
                async with asynchronous:
                    calls = [
                        asynchronous.chat.completions.create(model=model, messages=QUESTION, max_tokens=4)
                        for model in ("auto", "auto:value=0.001", CANDIDATES[1])
                    ]
                    return list(await asyncio.gather(*calls))

            assert len(asyncio.run(ask_all())) == 3
            told = sdk.post(
                "/feedback",
                body={"decision_id": raw.headers["x-modelsat-decision-id"], "score": 1},
                cast_to=object,
            )
            assert told["score"] == 1
            assert served.stop() == 0
        report = json.loads(run("report", "--json", "--store", str(tmp_path / "gateway.db")).stdout)
    assert served.stored("SELECT count(*), sum(status) FROM usage") == [(5, 1000)]
    assert served.stored("SELECT count(*) FROM feedback") == [(1,)]
    assert json.dumps(report).count(CANDIDATES[0]) > 0
    answered = [line for line in served.log if line["event"] == "answered"]
    assert [line["origin"] for line in answered].count("router") == 4
    # Nothing of what users or models wrote.
    assert "rainbow" not in (tmp_path / "log").read_text()


def test_a_running_answer_comes_to_its_end_after_sigterm(tmp_path: Path) -> None:
    with FakeEndpoint(Answer(event_s=0.2)) as endpoint:
        write_zoo(tmp_path, endpoint.url)
        with serving(tmp_path) as served, client(served) as sdk:
            events = iter(sdk.chat.completions.create(model=CANDIDATES[0], messages=QUESTION, stream=True))
            begin = next(events).choices[0].delta.content
            served.process.send_signal(signal.SIGTERM)
            rest = "".join(event.choices[0].delta.content or "" for event in events)
            assert begin + rest == Answer().text
            assert served.process.wait(60) == 0
    assert served.stored("SELECT status FROM usage") == [(200,)]


def test_keys_decide_who_comes_in_and_are_never_shown(tmp_path: Path) -> None:
    store, secret = str(tmp_path / "gateway.db"), "sk-endpoint-93c1f7"
    made = run("keys", "create", "app", "--candidate", CANDIDATES[1], "--store", store, "--json")
    key = json.loads(made.stdout)["key"]
    with FakeEndpoint() as endpoint:
        write_zoo(tmp_path, endpoint.url, api_key_env="ENDPOINT_KEY")
        with serving(tmp_path, ENDPOINT_KEY=secret) as served:
            with client(served, "wrong") as sdk, pytest.raises(openai.AuthenticationError):
                sdk.models.list()
            with client(served, key) as sdk:
                assert [model.id for model in sdk.models.list()] == ["auto", CANDIDATES[1]]
                raw = sdk.chat.completions.with_raw_response.create(model="auto", messages=QUESTION)
                assert raw.headers["x-modelsat-candidate"] == CANDIDATES[1]
                with pytest.raises(openai.PermissionDeniedError, match="may not use"):
                    sdk.chat.completions.create(model=CANDIDATES[0], messages=QUESTION)
                assert endpoint.requests[-1].headers["authorization"] == f"Bearer {secret}"
                assert run("keys", "revoke", "app", "--store", store).returncode == 0
                time.sleep(1.5)
                with pytest.raises(openai.PermissionDeniedError, match="revoked"):
                    sdk.models.list()
            assert served.stop() == 0
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [content for content in files if key.encode() in content or secret.encode() in content]


def test_edits_of_the_zoo_are_served_and_bad_ones_refused(tmp_path: Path) -> None:
    with FakeEndpoint() as endpoint:
        path = write_zoo(tmp_path, endpoint.url)
        good = path.read_text()
        with serving(tmp_path) as served, client(served) as sdk:
            path.write_text(good.replace("input_price", "imput_price"))
            _wait_for(lambda: any("refused" in line["event"] for line in served.log))
            refusal = next(line for line in served.log if "refused" in line["event"])
            assert "zoo.toml:3" in refusal["error"]
            assert "unknown field 'imput_price'" in refusal["error"]
            assert sdk.chat.completions.create(model="auto", messages=QUESTION).choices
            name = f'name = "{CANDIDATES[1]}"'
            path.write_text(good.replace(name, f'name = "renamed"\ncard_candidate = "{CANDIDATES[1]}"'))
            _wait_for(lambda: "renamed" in [model.id for model in sdk.models.list()])
            assert sdk.chat.completions.create(model="renamed", messages=QUESTION).choices
            assert served.stop() == 0


def _wait_for(condition: Any) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_routing_resumes_after_the_process_was_stopped_for_a_moment(tmp_path: Path) -> None:
    """One request is caught by the stop and answered by level; those after it are routed as those before."""

    def ask(text: str) -> str:
        raw = sdk.chat.completions.with_raw_response.create(
            model="auto", messages=[{"role": "user", "content": text}]
        )
        return str(raw.headers["x-modelsat-origin"])

    with FakeEndpoint() as endpoint:
        write_zoo(tmp_path, endpoint.url)
        with serving(tmp_path) as served, client(served) as sdk, ThreadPoolExecutor() as pool:
            before = [ask(f"Which river flows through city number {number}?") for number in range(3)]
            caught = [
                pool.submit(ask, f"{number} " + "Who painted this picture? " * 40) for number in range(4)
            ]
            # By now the router is at work on them.
            time.sleep(0.1)
            served.process.send_signal(signal.SIGSTOP)
            time.sleep(8)
            served.process.send_signal(signal.SIGCONT)
            origins = {request.result() for request in caught}
            after = [ask(f"How long did war number {number} last?") for number in range(5)]
            with urllib.request.urlopen(served.url.removesuffix("v1") + "metrics", timeout=5) as reply:
                metrics = reply.read().decode()
    assert before == ["router"] * 3
    assert origins <= {"router", "level"}
    assert after == ["router"] * 5
    assert 'modelsat_router_failures_total{reason="busy"}' not in metrics
