"""An endpoint on loopback that answers like OpenAI's API, at once or with the faults it is told to have.

For measuring a gateway and for testing what it does when endpoints misbehave. Written on bare streams, so that it costs
little beside what is measured.
"""

import asyncio
import gzip
import json
import random
import sys
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Fault = Literal["hang", "reset", "reset-in-answer", "429", "500", "drip", "malformed", "gzip", "garbage"]
FAULTS: tuple[Fault, ...] = get_args(Fault)
WORDS = ("It ", "depends ", "on ", "the ", "question.")
HANG_S = 3600.0
DRIP_S = 0.02
_HEAD_BYTES = 65_536


def no_fault(body: Mapping[str, Any]) -> Fault | None:
    """Answer everything as it should be."""
    return None


def random_faults(rate: float, rng: random.Random, faults: tuple[Fault, ...] = FAULTS) -> "Script":
    """A script in which a share of the requests meets one of some faults.

    Args:
        rate: Share of the requests, from 0 to 1.
        rng: Draws them.
        faults: Which, all as often.
    """
    return lambda body: rng.choice(faults) if rng.random() < rate else None


Script = Callable[[Mapping[str, Any]], Fault | None]


@dataclass(kw_only=True)
class ScriptedUpstream:
    """One endpoint.

    Attributes:
        script: Which fault a request meets, by its body.
        words: Pieces of its answers, a streamed event each.
        event_s: Seconds between two events.
        retry_after_s: What it says with 429; None for nothing.
        hang_s: How long it hangs where it does.
        asked: Requests it was sent.
        met: How many met which fault.
        left: Requests whose client left before the answer's end.
        last_headers: Of the last request, names in lower case.
        last_body: Of the last request.
    """

    script: Script = no_fault
    words: tuple[str, ...] = WORDS
    event_s: float = 0.0
    retry_after_s: int | None = None
    hang_s: float = HANG_S
    asked: int = 0
    met: Counter[str] = field(default_factory=Counter)
    left: int = 0
    last_headers: dict[str, str] = field(default_factory=dict)
    last_body: bytes = b""

    @asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator[str]:
        """Listen on loopback; gives the base URL."""
        connections: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections.add(task)
            try:
                await self._serve(reader, writer)
            except asyncio.CancelledError:
                # The endpoint is being shut; on Python 3.11 a cancelled handler would be told as a fault.
                return
            finally:
                connections.discard(task)

        server = await asyncio.start_server(connected, "127.0.0.1", port, limit=_HEAD_BYTES)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        finally:
            server.close()
            for task in list(connections):
                task.cancel()
            await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")[1:-2]
                headers = dict(line.split(": ", 1) for line in lines)
                self.last_headers = {name.lower(): value for name, value in headers.items()}
                self.last_body = await reader.readexactly(int(self.last_headers.get("content-length", "0")))
                if self.last_body:
                    self.asked += 1
                    await self._answer_or_note(reader, writer)
                else:
                    # Somebody who looks for other APIs.
                    _write(writer, {"error": {"message": "not served"}}, status=404)
                if self.last_headers.get("connection") == "close":
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer_or_note(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering = asyncio.ensure_future(self._answer(json.loads(self.last_body), writer))
        gone = asyncio.ensure_future(_until_gone(reader))
        try:
            await asyncio.wait((answering, gone), return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                self.left += 1
                raise ConnectionResetError
            answering.result()
        finally:
            gone.cancel()
            answering.cancel()
            await asyncio.gather(gone, answering, return_exceptions=True)

    async def _answer(self, body: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
        fault = self.script(body)
        if fault is not None:
            self.met[fault] += 1
        if fault == "hang":
            await asyncio.sleep(self.hang_s)
        if fault in ("hang", "reset"):
            _reset(writer)
        elif fault == "garbage":
            writer.write(b"this is no HTTP\r\n\r\n")
            raise ConnectionResetError
        elif fault in ("429", "500"):
            self._refuse(int(fault), writer)
        elif body.get("stream"):
            await self._stream(body, fault, writer)
        else:
            await self._whole(body, fault, writer)
        await writer.drain()

    def _refuse(self, status: int, writer: asyncio.StreamWriter) -> None:
        wait = {} if status != 429 or self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}
        _write(writer, {"error": {"message": "scripted", "type": "scripted"}}, status=status, headers=wait)

    async def _whole(
        self, body: Mapping[str, Any], fault: Fault | None, writer: asyncio.StreamWriter
    ) -> None:
        answer = completion(body, self.words)
        if fault == "gzip":
            _write(writer, answer, headers={"content-encoding": "gzip"})
        elif fault == "reset-in-answer":
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{"
            )
            await writer.drain()
            _reset(writer)
        elif fault == "drip":
            content = json.dumps(answer).encode()
            writer.write(_head(200, {"content-length": str(len(content))}))
            for start in range(0, len(content), 64):
                writer.write(content[start : start + 64])
                await writer.drain()
                await asyncio.sleep(DRIP_S)
        else:
            _write(writer, answer)

    async def _stream(
        self, body: Mapping[str, Any], fault: Fault | None, writer: asyncio.StreamWriter
    ) -> None:
        events = [json.dumps(event) for event in chunks(body, self.words)] + ["[DONE]"]
        headers = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
        packer = None
        if fault == "gzip":
            headers["content-encoding"] = "gzip"
            packer = zlib.compressobj(wbits=31)
        writer.write(_head(200, headers))
        for number, event in enumerate(events):
            if fault == "reset-in-answer" and number == 2:
                _reset(writer)
                return
            if fault == "malformed" and number == 1:
                event = '{"choices": [{'
            piece = f"data: {event}\n\n".encode()
            if packer is not None:
                # Flushed after each event, as servers do, so that it can be read as it arrives.
                piece = packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
            await asyncio.sleep(DRIP_S if fault == "drip" else self.event_s)
        writer.write(b"0\r\n\r\n")


def serve_forever(fault_rate: float = 0.0) -> None:
    """Be an endpoint until the process ends; writes its base URL to stdout.

    Args:
        fault_rate: Share of its requests that meet a fault.
    """
    script = random_faults(fault_rate, random.Random(0)) if fault_rate else no_fault

    async def serve() -> None:
        async with ScriptedUpstream(script=script).running() as url:
            sys.stdout.write(url + "\n")
            sys.stdout.flush()
            await asyncio.Event().wait()

    asyncio.run(serve())


def completion(body: Mapping[str, Any], words: tuple[str, ...]) -> dict[str, Any]:
    """A whole answer; calls the first tool it is offered."""
    message: dict[str, Any] = {"role": "assistant", "content": "".join(words)}
    if body.get("tools"):
        name = body["tools"][0]["function"]["name"]
        call = {"id": "call-1", "type": "function", "function": {"name": name, "arguments": "{}"}}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "text": "".join(words), "finish_reason": "stop"}
    return {
        "id": "answer-1",
        "object": "chat.completion" if "messages" in body else "text_completion",
        "created": 1,
        "model": body.get("model"),
        "choices": [choice],
        "usage": _usage(body, words),
    }


def chunks(body: Mapping[str, Any], words: tuple[str, ...]) -> list[dict[str, Any]]:
    """The events of a streamed answer, with usage at its end where the client asked for it."""
    common = {"id": "answer-1", "object": "chat.completion.chunk", "created": 1, "model": body.get("model")}
    events: list[dict[str, Any]] = [
        {**common, "choices": [{"index": 0, "delta": {"role": "assistant", "content": word}, "text": word}]}
        for word in words
    ]
    events.append({**common, "choices": [{"index": 0, "delta": {}, "text": "", "finish_reason": "stop"}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        events.append({**common, "choices": [], "usage": _usage(body, words)})
    return events


def _usage(body: Mapping[str, Any], words: tuple[str, ...]) -> dict[str, int]:
    asked = len(json.dumps(body.get("messages") or body.get("prompt"))) // 4
    return {"prompt_tokens": asked, "completion_tokens": len(words), "total_tokens": asked + len(words)}


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(
        f"{name}: {value}\r\n" for name, value in {"content-type": "application/json", **headers}.items()
    )
    return f"HTTP/1.1 {status} Scripted\r\n{lines}\r\n".encode()


def _write(
    writer: asyncio.StreamWriter,
    value: object,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> None:
    content = json.dumps(value).encode()
    if headers and headers.get("content-encoding") == "gzip":
        content = gzip.compress(content)
    writer.write(_head(status, {"content-length": str(len(content)), **(headers or {})}) + content)


def _reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    raise ConnectionResetError


async def _until_gone(reader: asyncio.StreamReader) -> None:
    """Wait for the client to close its side; what it sends meanwhile belongs to the next request."""
    while not reader.at_eof():
        await asyncio.sleep(0.05)
