"""A scripted OpenAI-compatible endpoint: chat and text completions, streaming, usage, models, delays and faults.

It listens on a real socket (TCP on 127.0.0.1, or a Unix socket), so that clients are exercised down to the bytes on the
wire. A *persona*, a function from request to answer, decides on its answers:

    async with FakeEndpoint("B") as endpoint:                              # in the running event loop
        ...                                                                # requests go to endpoint.url

    with FakeEndpoint(lambda request: Answer("B", delay_s=0.2)) as endpoint:    # in a thread of its own
        ...

    with FakeEndpoint.process("--text", "B") as url:                       # in a process of its own, for measurements
        ...

Needs nothing but the standard library and costs little beside the client that it measures.
"""

import asyncio
import gzip
import inspect
import json
import random
import re
import ssl
import subprocess
import sys
import threading
import zlib
from collections import deque
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from tempfile import TemporaryDirectory
from typing import Any, Literal, Self, cast
from urllib.parse import quote

_HEAD_END = b"\r\n\r\n"
_PIECE_BYTES = 64
_KEPT_REQUESTS = 100_000


@dataclass(frozen=True, kw_only=True)
class FakeRequest:
    """A request that a fake endpoint received.

    Attributes:
        number: Its position among all requests, from 0.
        method: HTTP method.
        path: Path and query.
        headers: Headers, names in lower case.
        body: Raw body.
    """

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty if it is none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def model(self) -> str:
        """Name of the requested model."""
        return str(self.json.get("model", ""))

    @property
    def prompt(self) -> str:
        """Text of the last message, or the prompt to complete."""
        messages = self.json.get("messages")
        return str(messages[-1]["content"] if messages else self.json.get("prompt", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of a fake endpoint, and how it is sent.

    Attributes:
        text: Text of the completion, streamed word by word on request; the error message if the status is 400 or more.
        status: HTTP status.
        headers: Further headers.
        body: Sent in place of a completion: all of it, or piece by piece as an async iterator yields it.
        usage: Whether token counts are reported.
        input_tokens: Reported input tokens; by default one per four bytes of the request's messages.
        output_tokens: Reported output tokens; by default the number of words.
        finish_reason: Why the completion ends, e.g. `length`.
        delay_s: Seconds of silence before anything is sent.
        event_s: Seconds after each streamed event; a body sent at once is then split into pieces of 64 bytes.
        gzip: Compress the body.
        malformed: The second streamed event is not JSON.
        pieces: Events, or pieces of 64 bytes, after which `then` happens; with 0, not even the headers are sent.
        then: What happens after `pieces`: the connection is reset, nothing more is sent, or the last piece is repeated
            without end.
        raw: Bytes sent in place of an HTTP response, before the connection is closed.
    """

    text: str | None = field(default="It depends on the question.", kw_only=False)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterable[bytes] | None = None
    usage: bool = True
    input_tokens: int | None = None
    output_tokens: int | None = None
    finish_reason: str = "stop"
    delay_s: float = 0.0
    event_s: float = 0.0
    gzip: bool = False
    malformed: bool = False
    pieces: int | None = None
    then: Literal["reset", "stall", "repeat"] = "reset"
    raw: bytes | None = None

    @property
    def words(self) -> list[str]:
        """The text in the pieces that are streamed."""
        return re.findall(r"\s*\S+\s*", self.text or "")


Persona = Callable[[FakeRequest], Answer | str | Awaitable[Answer | str]]
DEFAULT = Answer()

# Faults that a client of any endpoint must survive.
FAULTS: dict[str, Answer] = {
    "hang": Answer(pieces=0, then="stall"),
    "reset": Answer(pieces=0),
    "reset-in-answer": Answer(pieces=2),
    "429": Answer("scripted", status=429),
    "500": Answer("scripted", status=500),
    "drip": Answer(event_s=0.02),
    "malformed": Answer(malformed=True),
    "gzip": Answer(gzip=True),
    "garbage": Answer(raw=b"this is not HTTP\r\n\r\n"),
}


def random_faults(
    rate: float,
    rng: random.Random,
    *,
    otherwise: Answer | str | Persona = DEFAULT,
    faults: Sequence[Answer] = tuple(FAULTS.values()),
) -> Persona:
    """A persona of which a share of the answers is faulty.

    Args:
        rate: Share of faulty answers, from 0 to 1.
        rng: Draws them.
        otherwise: Gives the other answers.
        faults: Faulty answers, all equally likely.
    """
    usual = _function(otherwise)
    return lambda request: rng.choice(faults) if rng.random() < rate else usual(request)


class FakeEndpoint:
    """One scripted endpoint; see the module's description for its three ways to run.

    An exception in a persona is answered with status 500 and raised again when the endpoint closes.

    Attributes:
        url: Base URL, set while it runs: `http://127.0.0.1:40123/v1`, or `http+unix://...` for a Unix socket.
        requests: Received requests, latest last (at most 100,000).
        asked: Number of requests received.
        under_way: Requests being answered now.
        most_under_way: Most requests that were being answered at the same time.
        disconnects: Clients that left before their answer was complete.
        connections: Connections accepted.
    """

    def __init__(
        self,
        persona: Answer | str | Persona = DEFAULT,
        *,
        models: Sequence[str] = ("fake",),
        other: Persona = lambda request: Answer("not served", status=404),
        port: int = 0,
        unix_socket: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Describe an endpoint.

        Args:
            persona: Answers completion requests: a function, or one answer for all of them.
            models: Names listed at `/v1/models`.
            other: Answers requests for any other path.
            port: Port on 127.0.0.1; any free one by default.
            unix_socket: Listen on a Unix socket in a temporary folder instead.
            tls: Serve HTTPS with this certificate.
        """
        self.url = ""
        self.requests: deque[FakeRequest] = deque(maxlen=_KEPT_REQUESTS)
        self.asked = self.under_way = self.most_under_way = self.disconnects = self.connections = 0
        self._persona, self._other, self._models = _function(persona), other, models
        self._port, self._unix_socket, self._tls = port, unix_socket, tls
        self._open: set[_Connection] = set()
        self._failures: list[Exception] = []
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        connect = partial(_Connection, self._respond, self._open, self)
        if self._unix_socket:
            folder = self._exit.enter_context(TemporaryDirectory(prefix="modelsat-"))
            server = await loop.create_unix_server(connect, f"{folder}/socket")
            self.url = f"http+unix://{quote(f'{folder}/socket', safe='')}/v1"
        else:
            server = await loop.create_server(connect, "127.0.0.1", self._port, ssl=self._tls)
            scheme = "http" if self._tls is None else "https"
            self.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        self._exit.callback(server.close)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        tasks = [task for connection in list(self._open) if (task := connection.close())]
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._exit.aclose()
        # The loop closes the connections in its next turn.
        await asyncio.sleep(0)
        if self._failures and kind is None:
            raise self._failures[0]

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return asyncio.run_coroutine_threadsafe(self.__aenter__(), self._loop).result()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            asyncio.run_coroutine_threadsafe(self.__aexit__(kind), self._loop).result()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    @staticmethod
    @contextmanager
    def process(*options: str) -> Iterator[str]:
        """Run an endpoint in a process of its own.

        Args:
            options: Of `python -m modelsat.testing`, e.g. `--text`, `B`.

        Yields:
            Its base URL.

        Raises:
            OSError: It did not start.
        """
        command = [sys.executable, "-m", "modelsat.testing", *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                url = process.stdout.readline().strip()
                if not url:
                    raise OSError(f"the fake endpoint did not start: {' '.join(command)}")
                yield url
            finally:
                process.terminate()

    async def _respond(self, request: FakeRequest) -> Answer:
        path = request.path.partition("?")[0]
        try:
            if request.method == "POST" and path.endswith("/completions"):
                if not request.json:
                    return Answer("the body is not a JSON object", status=400)
                answer = self._persona(request)
            elif request.method == "GET" and path.endswith("/models"):
                listed = [{"id": name, "object": "model", "owned_by": "scripted"} for name in self._models]
                return Answer(body=json.dumps({"object": "list", "data": listed}).encode())
            else:
                answer = self._other(request)
            if inspect.isawaitable(answer):
                answer = await answer
        except Exception as error:
            self._failures.append(error)
            return Answer(f"the persona raised {error!r}", status=500)
        return Answer(answer) if isinstance(answer, str) else answer


class _Connection(asyncio.Protocol):
    """One connection; its requests are answered one after the other."""

    def __init__(
        self,
        respond: Callable[[FakeRequest], Awaitable[Answer]],
        others: "set[_Connection]",
        counts: FakeEndpoint,
    ) -> None:
        self._respond, self._others, self._counts = respond, others, counts
        self._received = b""
        self._writable = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._writable.set()
        self._counts.connections += 1
        self._others.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._others.discard(self)
        if self._task is not None:
            self._counts.disconnects += 1
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._next()

    def close(self) -> "asyncio.Task[None] | None":
        """Close at once; returns the cancelled task of a request that was being answered."""
        task, self._task = self._task, None
        self._transport.abort()
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        return task

    def _next(self) -> None:
        """Begin to answer the next request once all of it has arrived."""
        if self._task is not None or (end := self._received.find(_HEAD_END)) < 0:
            return
        first, *lines = self._received[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        begin = end + len(_HEAD_END)
        stop = begin + int(headers.get("content-length", 0))
        if len(self._received) < stop:
            return
        method, path, _ = first.split(" ")
        body, self._received = self._received[begin:stop], self._received[stop:]
        request = FakeRequest(number=self._counts.asked, method=method, path=path, headers=headers, body=body)
        self._counts.asked += 1
        self._counts.requests.append(request)
        self._task = asyncio.get_running_loop().create_task(self._answer(request))

    async def _answer(self, request: FakeRequest) -> None:
        counts = self._counts
        counts.under_way += 1
        counts.most_under_way = max(counts.most_under_way, counts.under_way)
        try:
            answer = await self._respond(request)
            if answer.delay_s:
                await asyncio.sleep(answer.delay_s)
            await self._send(request, answer)
        except ConnectionResetError:
            self.close()
            return
        finally:
            counts.under_way -= 1
        self._task = None
        if answer.raw is not None or request.headers.get("connection") == "close":
            self._transport.close()
        self._next()

    async def _send(self, request: FakeRequest, answer: Answer) -> None:
        """Send an answer.

        Raises:
            ConnectionResetError: The connection is to be reset now.
        """
        if answer.raw is not None:
            await self._write(answer.raw)
            return
        headers, pieces = _content(request, answer)
        chunked = "transfer-encoding" in headers
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**headers, **answer.headers}.items())
        head = f"HTTP/1.1 {answer.status} Scripted\r\n{lines}\r\n".encode()
        number, data = 0, b""
        async for piece in pieces:
            if number == answer.pieces:
                await self._interrupt(answer, data)
            data = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
            await self._write(data if number else head + data)
            if chunked or answer.event_s:
                await asyncio.sleep(answer.event_s)
            number += 1
        if not number:
            await self._write(head)
        if chunked:
            await self._write(b"0\r\n\r\n")

    async def _interrupt(self, answer: Answer, last: bytes) -> None:
        while answer.then == "repeat":
            await self._write(64 * last)
            await asyncio.sleep(0)
        if answer.then == "stall":
            await asyncio.Event().wait()
        raise ConnectionResetError

    async def _write(self, data: bytes) -> None:
        self._transport.write(data)
        await self._writable.wait()


def completion(request: FakeRequest, answer: Answer = DEFAULT) -> dict[str, Any]:
    """The completion object of an answer; it calls the first tool that the request offers."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text}
    if tools := request.json.get("tools"):
        call = {"name": tools[0]["function"]["name"], "arguments": "{}"}
        calls = [{"id": "call-1", "type": "function", "function": call}]
        message = {"role": "assistant", "content": None, "tool_calls": calls}
    chat = "messages" in request.json
    text = {"message": message} if chat else {"text": answer.text}
    return {
        **_common(request, "chat.completion" if chat else "text_completion"),
        "choices": [{"index": 0, **text, "finish_reason": answer.finish_reason}],
        **_usage(request, answer),
    }


def _content(request: FakeRequest, answer: Answer) -> tuple[dict[str, str], AsyncIterable[bytes]]:
    """Headers and body, in pieces."""
    headers = {"content-type": "application/json"} | ({"content-encoding": "gzip"} if answer.gzip else {})
    if answer.body is None and answer.status < 400 and request.json.get("stream"):
        pieces: AsyncIterable[bytes] = _each(_events(request, answer))
    elif isinstance(answer.body, AsyncIterable):
        pieces = answer.body
    else:
        body = answer.body
        if body is None:
            error = {"error": {"message": answer.text, "type": "scripted"}}
            body = json.dumps(error if answer.status >= 400 else completion(request, answer)).encode()
        body = gzip.compress(body) if answer.gzip else body
        size = _PIECE_BYTES if answer.event_s or answer.pieces is not None else max(1, len(body))
        split = () if request.method == "HEAD" else range(0, len(body), size)
        pieces = _each(body[start : start + size] for start in split)
        if answer.then != "repeat":
            return headers | {"content-length": str(len(body))}, pieces
        return headers | {"transfer-encoding": "chunked"}, pieces
    headers |= {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
    return headers, _compressed(pieces) if answer.gzip else pieces


def _events(request: FakeRequest, answer: Answer) -> Iterator[bytes]:
    """A completion as server-sent events, with usage if the request asks for it."""
    common = _common(request, "chat.completion.chunk")
    choices = [{"delta": {"role": "assistant", "content": word}, "text": word} for word in answer.words]
    choices.append({"delta": {}, "text": "", "finish_reason": answer.finish_reason})
    for number, choice in enumerate(choices):
        event = json.dumps({**common, "choices": [{"index": 0, **choice}]})
        yield f"data: {event[:14] if answer.malformed and number == 1 else event}\n\n".encode()
    if (request.json.get("stream_options") or {}).get("include_usage"):
        yield f"data: {json.dumps({**common, 'choices': [], **_usage(request, answer)})}\n\n".encode()
    yield b"data: [DONE]\n\n"


def _common(request: FakeRequest, kind: str) -> dict[str, Any]:
    return {"id": "answer-1", "object": kind, "created": 1, "model": request.json.get("model")}


def _usage(request: FakeRequest, answer: Answer) -> dict[str, Any]:
    if not answer.usage:
        return {}
    asked, written = answer.input_tokens, answer.output_tokens
    if asked is None:
        asked = len(json.dumps(request.json.get("messages") or request.json.get("prompt"))) // 4
    written = len(answer.words) if written is None else written
    return {"usage": {"prompt_tokens": asked, "completion_tokens": written, "total_tokens": asked + written}}


async def _each(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _compressed(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(wbits=31)
    async for piece in pieces:
        # Flushed after each event, as servers do, so that it can be read when it arrives.
        yield packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)


def _function(persona: Answer | str | Persona) -> Persona:
    return persona if callable(persona) else lambda request: persona
