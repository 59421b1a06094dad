"""A load generator over kept connections, open loop or closed."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self, TypeVar

import aiohttp

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """The reply to one request.

    Attributes:
        status: HTTP status; 0 if nothing came.
        headers: Names in lower case.
        body: As far as it came.
        complete: Whether the body came to its end.
        seconds: From when the request was due to the end of its reply.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool
    seconds: float


class HttpClient:
    """Sends requests to one server, over as many connections as are in use at once.

    Args:
        url: Base URL.
        timeout_s: For one request.
    """

    def __init__(self, url: str, *, timeout_s: float = 120.0) -> None:
        self._url = url.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=self._timeout,
            auto_decompress=False,
            skip_auto_headers=("Accept-Encoding", "User-Agent"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def post(self, path: str, body: bytes, *, due: float | None = None) -> HttpReply:
        """Send JSON and read the whole reply; a failure becomes a reply that is not complete.

        Args:
            path: After the base.
            body: The JSON.
            due: When it should have been sent (`time.perf_counter`); now by default.
        """
        return await self._request("POST", path, body, time.perf_counter() if due is None else due)

    async def get(self, path: str) -> HttpReply:
        """Request a path; see `post`."""
        return await self._request("GET", path, None, time.perf_counter())

    async def _request(self, method: str, path: str, body: bytes | None, due: float) -> HttpReply:
        status, headers, received, complete = 0, dict[str, str](), bytearray(), False
        kind = {"content-type": "application/json"} if body is not None else {}
        with suppress(aiohttp.ClientError, OSError, TimeoutError, ValueError):
            async with self._session.request(method, self._url + path, data=body, headers=kind) as response:
                status = response.status
                headers = {name.lower(): value for name, value in response.headers.items()}
                async for piece in response.content.iter_any():
                    received += piece
                complete = True
        return HttpReply(
            status=status,
            headers=headers,
            body=bytes(received),
            complete=complete,
            seconds=time.perf_counter() - due,
        )


async def open_loop(
    send: Callable[[int, float], Awaitable[Result]], *, rate: float, seconds: float
) -> list[Result]:
    """Send at a fixed rate, however long replies take.

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
    """Keep a fixed number of requests in flight.

    Args:
        send: Sends the n-th request.
        concurrency: How many at once.
        requests: How many in total.
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
