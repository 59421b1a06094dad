"""Endpoints that misbehave, as data: served in process through httpx, or as bytes on loopback.

An endpoint is a function from the number of a request (from 0) and its body to a `Response`. A response may be wrong in
any way that HTTP lets a server be wrong.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

FOREVER = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What a server sends, and how.

    Attributes:
        status: Status code.
        headers: Beside the framing.
        chunks: Parts of the body.
        endless: Send the last chunk again and again.
        delay_s: Silence before anything.
        breaks: Drop the connection after the chunks, in the middle of the body.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})
    chunks: tuple[bytes, ...] = ()
    endless: bool = False
    delay_s: float = 0.0
    breaks: bool = False


Behaviour = Callable[[int, dict[str, Any]], Response]


def completion(
    text: str | None, *, input_tokens: int | None = 20, output_tokens: int | None = 3, finish: str = "stop"
) -> bytes:
    """The body of a proper answer."""
    value: dict[str, Any] = {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
    }
    if input_tokens is not None:
        value["usage"] = {"prompt_tokens": input_tokens, "completion_tokens": output_tokens}
    return json.dumps(value).encode()


def answer(text: str | None, **usage: Any) -> Response:
    """A proper answer."""
    return Response(chunks=(completion(text, **usage),))


def prompt_of(body: Mapping[str, Any]) -> str:
    """The words that were asked."""
    if "prompt" in body:
        return str(body["prompt"])
    return str(body["messages"][0]["content"])


FAULTS: dict[str, Response] = {
    "too many": Response(
        status=429, headers={"retry-after": "0"}, chunks=(b'{"error": {"message": "slow"}}',)
    ),
    "server error": Response(status=500, chunks=(b"oops",)),
    "bad gateway page": Response(
        status=502, headers={"content-type": "text/html"}, chunks=(b"<h1>502</h1>",)
    ),
    "silence": Response(delay_s=FOREVER),
    "truncated": Response(chunks=(completion("A")[:40],)),
    "web page": Response(headers={"content-type": "text/html"}, chunks=(b"<html>Welcome</html>",)),
    "ten megabytes": Response(chunks=tuple(b"x" * 2**16 for _ in range(160))),
    "not UTF-8": Response(chunks=(b'{"choices": [{"message": {"content": "\xff\xfe\x80"}}]}',)),
    "endless": Response(
        headers={"content-type": "text/event-stream"}, chunks=(b'data: {"choices": []}\n\n',), endless=True
    ),
    "broken off": Response(chunks=(b'{"choices": [',), breaks=True),
    "no choices": Response(chunks=(b'{"choices": []}',)),
    "error as answer": Response(chunks=(b'{"error": {"message": "overloaded"}}',)),
    "a list": Response(chunks=(b"[1, 2]",)),
    "very deep": Response(chunks=(b"[" * 200_000,)),
    "an image": Response(chunks=(b'{"choices": [{"message": {"content": 7}}]}',)),
    "nothing": Response(),
}


class InProcess(httpx.AsyncBaseTransport):
    """Serves an endpoint inside the process; keeps what it was asked."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.asked: list[dict[str, Any]] = []
        self.headers: list[httpx.Headers] = []
        self.under_way = 0
        self.most_under_way = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        number = len(self.asked)
        self.asked.append(body)
        self.headers.append(request.headers)
        response = self.behaviour(number, body)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(response.delay_s)
        finally:
            self.under_way -= 1
        return httpx.Response(response.status, headers=dict(response.headers), stream=_Stream(response))


class _Stream(httpx.AsyncByteStream):
    def __init__(self, response: Response) -> None:
        self.response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in _all_chunks(self.response):
            # Other questions get their turn between the chunks of an endless answer.
            await asyncio.sleep(0)
            yield chunk
        if self.response.breaks:
            raise httpx.ReadError("connection reset")


def _all_chunks(response: Response) -> Iterable[bytes]:
    yield from response.chunks
    while response.endless:
        yield response.chunks[-1] * 64


@asynccontextmanager
async def on_loopback(behaviour: Behaviour) -> AsyncIterator[str]:
    """Serve an endpoint on a free port of 127.0.0.1.

    Yields:
        Its base URL.
    """
    count = 0
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.split("content-length:")[1].split("\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                count += 1
                if not await _send(writer, behaviour(count - 1, body)):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # The client has gone, or the test is over.
            pass
        finally:
            writer.transport.abort()
            serving.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        waiting = list(serving)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        # Connections are closed by the loop's next turn.
        await asyncio.sleep(0)


async def _send(writer: asyncio.StreamWriter, response: Response) -> bool:
    """Send a response; False where the connection must not be used again."""
    await asyncio.sleep(response.delay_s)
    head = f"HTTP/1.1 {response.status} x\r\n" + "".join(f"{k}: {v}\r\n" for k, v in response.headers.items())
    if not (response.endless or response.breaks):
        body = b"".join(response.chunks)
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        return True
    writer.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
    for chunk in _all_chunks(response):
        writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0)
    return False
