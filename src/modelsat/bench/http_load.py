"""A load generator that costs little itself: bare HTTP on kept connections, open loop or closed."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")
_HEAD_BYTES = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """What came back for one request.

    Attributes:
        status: HTTP status; 0 where nothing came.
        headers: Names in lower case.
        body: As far as it came.
        whole: Whether it came to its end.
        seconds: From when the request was due to the end of its answer.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool
    seconds: float


class HttpClient:
    """Sends requests to one server, over as many connections as are in use at once.

    Args:
        url: Where; anything after the port goes before each path.
        timeout_s: For one request.
    """

    def __init__(self, url: str, *, timeout_s: float = 120.0) -> None:
        address, _, base = url.removeprefix("http://").partition("/")
        self._host, _, port = address.partition(":")
        self._port = int(port)
        self._base = f"/{base}".rstrip("/")
        self._timeout_s = timeout_s
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(
        self, path: str, body: bytes, *, due: float | None = None, key: str | None = None
    ) -> HttpReply:
        """Send JSON and read the whole answer; whatever goes wrong becomes a reply that is not whole.

        Args:
            path: After the base.
            body: The JSON.
            due: When it should have been sent (`time.perf_counter`); now by default.
            key: API key, if one is needed.
        """
        due = time.perf_counter() if due is None else due
        head = [f"content-type: application/json\r\ncontent-length: {len(body)}"]
        if key is not None:
            head.append(f"authorization: Bearer {key}")
        return await self._request("POST", path, head, body, due)

    async def get(self, path: str) -> HttpReply:
        """Ask for a path."""
        return await self._request("GET", path, [], b"", time.perf_counter())

    async def close(self) -> None:
        """Close what is open."""
        for _, writer in self._idle:
            await _drop(writer)
        self._idle.clear()

    async def _request(
        self, method: str, path: str, headers: list[str], body: bytes, due: float
    ) -> HttpReply:
        lines = [f"{method} {self._base}{path} HTTP/1.1", f"host: {self._host}:{self._port}", *headers]
        partial = _Partial()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._exchange("\r\n".join(lines).encode() + b"\r\n\r\n" + body, partial)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            partial.whole = False
        return HttpReply(
            status=partial.status,
            headers=partial.headers,
            body=bytes(partial.body),
            whole=partial.whole,
            seconds=time.perf_counter() - due,
        )

    async def _exchange(self, raw: bytes, partial: "_Partial") -> None:
        reader, writer = await self._connection()
        kept = False
        try:
            writer.write(raw)
            await _read(reader, partial)
            partial.whole = True
            kept = partial.headers.get("connection") != "close"
        finally:
            if kept:
                self._idle.append((reader, writer))
            else:
                await _drop(writer)

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            await _drop(writer)
        return await asyncio.open_connection(self._host, self._port, limit=_HEAD_BYTES)


async def _drop(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


class _Partial:
    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.whole = False


async def _read(reader: asyncio.StreamReader, partial: _Partial) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    partial.status = int(head[0].split(" ")[1])
    for line in head[1:-2]:
        name, _, value = line.partition(":")
        partial.headers[name.strip().lower()] = value.strip()
    if partial.headers.get("transfer-encoding") == "chunked":
        while size := int((await reader.readline()).strip() or b"x", 16):
            partial.body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
        return
    left = int(partial.headers.get("content-length", "0"))
    while left:
        piece = await reader.read(left)
        if not piece:
            raise asyncio.IncompleteReadError(b"", left)
        partial.body += piece
        left -= len(piece)


async def open_loop(
    send: Callable[[int, float], Awaitable[Result]], *, rate: float, seconds: float
) -> list[Result]:
    """Send at a fixed rate, however long answers take.

    Args:
        send: Sends the n-th request, which is due at the given time.
        rate: Requests a second.
        seconds: For how long.
    """
    begin = time.perf_counter() + 0.1
    tasks = []
    for number in range(round(rate * seconds)):
        due = begin + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.ensure_future(send(number, due)))
    return list(await asyncio.gather(*tasks))


async def closed_loop(
    send: Callable[[int], Awaitable[Result]], *, concurrency: int, requests: int
) -> list[Result]:
    """Keep a fixed number of requests under way.

    Args:
        send: Sends the n-th request.
        concurrency: How many at once.
        requests: How many in all.
    """
    numbers = iter(range(requests))
    results: list[Result] = []

    async def work() -> None:
        for number in numbers:
            results.append(await send(number))

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return results


def quantile(values: list[float], share: float) -> float:
    """The value below which a share of the values lies; NaN of none."""
    if not values:
        return float("nan")
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
