import asyncio
import json
import random
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import aiohttp
import pytest

from modelsat.testing import FAULTS, Answer, FakeEndpoint, FakeRequest, random_faults

CHAT = {"model": "m", "messages": [{"role": "user", "content": "2 + 2?"}]}
WORDS = ["It ", "depends ", "on ", "the ", "question."]


@asynccontextmanager
async def client(*args: Any, **options: Any) -> AsyncIterator[tuple[FakeEndpoint, aiohttp.ClientSession]]:
    """An endpoint on a Unix socket, and a session that is connected to it."""
    async with FakeEndpoint(*args, unix_socket=True, **options) as endpoint:
        connector = aiohttp.UnixConnector(unquote(urlsplit(endpoint.url).netloc))
        async with aiohttp.ClientSession("http://fake/v1/", connector=connector) as session:
            yield endpoint, session


async def events(session: aiohttp.ClientSession, **fields: Any) -> list[Any]:
    async with session.post("chat/completions", json={**CHAT, "stream": True, **fields}) as response:
        assert response.content_type == "text/event-stream"
        lines = (await response.read()).decode().split("\n\n")
    assert lines.pop() == "" and lines.pop() == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


async def whole(session: aiohttp.ClientSession, path: str = "chat/completions", body: Any = CHAT) -> Any:
    async with session.post(path, json=body) as response:
        return await response.json()


def test_completions_are_whole_streamed_and_counted() -> None:
    async def ask() -> None:
        async with client() as (endpoint, session):
            answer = await whole(session)
            assert answer["choices"][0]["message"]["content"] == "".join(WORDS)
            assert answer["usage"]["completion_tokens"] == len(WORDS)
            text = await whole(session, "completions", {"prompt": "2 + 2 ="})
            assert text["choices"][0]["text"] == "".join(WORDS)
            plain = await events(session)
            assert [event["choices"][0]["delta"].get("content") for event in plain] == [*WORDS, None]
            counted = await events(session, stream_options={"include_usage": True})
            assert counted[-1]["usage"] == answer["usage"] and counted[-1]["choices"] == []
            assert (endpoint.asked, endpoint.connections, endpoint.under_way) == (4, 1, 0)
            assert [request.prompt for request in endpoint.requests][:2] == ["2 + 2?", "2 + 2 ="]
            async with session.get("models") as models:
                assert [model["id"] for model in (await models.json())["data"]] == ["fake"]
            async with session.post("responses", json={}) as other:
                assert other.status == 404
            async with session.post("chat/completions", data=b"{") as malformed:
                assert malformed.status == 400

    asyncio.run(ask())


def test_a_persona_sees_the_request_and_decides_everything() -> None:
    async def persona(request: FakeRequest) -> Answer | str:
        await asyncio.sleep(0)
        if request.model == "busy":
            return Answer("slow down", status=429, headers={"retry-after": "3"})
        return f"{request.number}: {request.prompt} {request.headers['authorization']}"

    async def ask() -> None:
        async with client(persona) as (_, session):
            session.headers["Authorization"] = "Bearer k"
            assert (await whole(session))["choices"][0]["message"]["content"] == "0: 2 + 2? Bearer k"
            async with session.post("chat/completions", json={**CHAT, "model": "busy"}) as busy:
                assert (busy.status, busy.headers["retry-after"]) == (429, "3")
                assert (await busy.json())["error"]["message"] == "slow down"

    asyncio.run(ask())


def test_a_body_can_be_sent_piece_by_piece_when_the_test_says_so() -> None:
    async def ask() -> None:
        more = asyncio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            yield b"first"
            await more.wait()
            yield b"second"

        async with (
            client(lambda request: Answer(body=pieces())) as (_, session),
            session.post("chat/completions", json=CHAT) as response,
        ):
            assert await response.content.readany() == b"first"
            more.set()
            assert await response.read() == b"second"

    asyncio.run(ask())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_what_their_names_say(fault: str, stream: bool) -> None:
    async def ask() -> tuple[str, FakeEndpoint]:
        async with client(FAULTS[fault]) as (endpoint, session):
            try:
                timeout = aiohttp.ClientTimeout(total=0.4)
                body = {**CHAT, "stream": stream}
                async with session.post("chat/completions", json=body, timeout=timeout) as response:
                    if response.status != 200:
                        return str(response.status), endpoint
                    return (await response.read()).decode(), endpoint
            except (aiohttp.ClientError, TimeoutError) as error:
                return type(error).__name__, endpoint

    got, endpoint = asyncio.run(ask())
    lost = {
        "hang": "TimeoutError",
        "reset": "ServerDisconnectedError",
        "reset-in-answer": "ClientPayloadError",
        "garbage": "ClientResponseError",
        "429": "429",
        "500": "500",
    }
    if fault in lost:
        assert got == lost[fault]
    else:
        assert "choices" in got and (got.count("data: ") == len(WORDS) + 2) == stream
        assert ('data: {"id": "answer\n' in got) == (fault == "malformed" and stream)
    assert endpoint.under_way == 0


def test_a_client_that_leaves_is_counted() -> None:
    async def ask() -> int:
        async with client(Answer(pieces=1, then="repeat")) as (endpoint, session):
            async with session.post("chat/completions", json=CHAT) as response:
                await response.content.readany()
                response.close()
            while not endpoint.disconnects:
                await asyncio.sleep(0.01)
            return endpoint.disconnects

    assert asyncio.run(ask()) == 1


def test_what_a_persona_raises_reaches_the_test() -> None:
    def persona(request: FakeRequest) -> str:
        raise AssertionError("not this question")

    async def ask() -> None:
        async with client(persona) as (_, session):
            assert "not this question" in (await whole(session))["error"]["message"]

    with pytest.raises(AssertionError, match="not this question"):
        asyncio.run(ask())


def test_faults_come_as_often_as_asked_for() -> None:
    persona = random_faults(0.2, random.Random(0), otherwise="fine")
    request = FakeRequest(number=0, method="POST", path="", headers={}, body=b"")
    names = {id(answer): name for name, answer in FAULTS.items()}
    met = Counter(names.get(id(persona(request)), "fine") for _ in range(5000))
    assert 900 < 5000 - met["fine"] < 1100
    assert set(met) == {"fine", *FAULTS}


@pytest.mark.slow
@pytest.mark.enable_socket
def test_it_runs_in_a_thread_and_in_a_process_of_its_own() -> None:
    with FakeEndpoint("B") as endpoint, FakeEndpoint.process("--text", "C", "--delay", "0.01") as url:
        for base, text in ((endpoint.url, "B"), (url, "C")):
            request = urllib.request.Request(f"{base}/chat/completions", json.dumps(CHAT).encode())
            with urllib.request.urlopen(request, timeout=5) as response:
                assert json.load(response)["choices"][0]["message"]["content"] == text
        taken = endpoint.url.split(":")[2].removesuffix("/v1")
        command = [sys.executable, "-m", "modelsat.testing", "--port", taken]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (told.returncode, told.stderr.count("\n")) == (1, 1)
        assert f"--port {taken}" in told.stderr and "in use" in told.stderr
