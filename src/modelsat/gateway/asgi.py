"""The client's side of a request: reading its body, noticing that it left, writing its answer."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, TypeVar

from modelsat.gateway.errors import GatewayError
from modelsat.gateway.headers import Headers, first

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Result = TypeVar("Result")

JSON = b"application/json"
# Who sends slower than the largest body in this time holds memory for nothing.
BODY_TIMEOUT_S = 120.0


class ClientLeft(Exception):  # noqa: N818 - an event, not a fault
    """The client closed its connection before the answer's end."""


async def receive_json(scope: Scope, receive: Receive, *, limit: int) -> bytes:
    """A request's body.

    Args:
        scope: Of the request.
        receive: Its messages.
        limit: Most bytes.

    Raises:
        GatewayError: 400 where its end is ambiguous, 408 where it is too slow, 413 above the limit, 415 for
                anything but plain JSON.
        ClientLeft: The client went away.
    """
    headers: Headers = scope["headers"]
    kind = (first(headers, b"content-type") or "").partition(";")[0].strip().lower()
    # A page in a browser can send other types without asking first: this keeps foreign pages out.
    if kind != JSON.decode() and not kind.endswith("+json"):
        raise GatewayError(
            "Content-Type must be application/json.", status=415, code="unsupported_media_type"
        )
    if (first(headers, b"content-encoding") or "identity").strip().lower() != "identity":
        raise GatewayError(
            "Send the body without Content-Encoding.", status=415, code="unsupported_media_type"
        )
    length = first(headers, b"content-length")
    if length is not None and first(headers, b"transfer-encoding") is not None:
        # Two ways to find the body's end: whoever relays to the gateway may have found another one.
        raise GatewayError(
            "Send Content-Length or Transfer-Encoding, not both.", status=400, code="ambiguous_length"
        )
    if length is not None and length.isdigit() and int(length[:20]) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await _whole_body(receive, limit)
    except TimeoutError:
        raise GatewayError(
            f"The request's body did not arrive within {BODY_TIMEOUT_S:g} s.",
            status=408,
            code="request_timeout",
        ) from None


async def _whole_body(receive: Receive, limit: int) -> bytes:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        more = message.get("more_body", False)
    return bytes(body)


async def while_connected(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """Do some work, and stop it when the client leaves.

    Args:
        receive: The request's messages, after its body.
        work: What to do.

    Raises:
        ClientLeft: The client went away before the work was done.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_until_gone(receive))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientLeft
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
            # What the work closes on its way out is closed before the request ends; how it ends is of no interest.
            await asyncio.gather(task, return_exceptions=True)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Reply:
    """Writes one answer, and knows whether it has begun.

    Args:
        send: Where its messages go.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None
        self._events = False

    async def start(self, status: int, headers: Headers) -> None:
        """Write the head."""
        self.status = status
        kind = first(headers, b"content-type") or ""
        self._events = kind.startswith("text/event-stream") and first(headers, b"content-encoding") is None
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def piece(self, body: bytes) -> None:
        """Write a piece of the body."""
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def broken(self, error: GatewayError) -> None:
        """Say in a stream of events why it ends here; the connection is then cut by writing no end."""
        if self._events:
            # The empty line ends whatever event was begun.
            await self.piece(b"\n\ndata: " + json.dumps(error.body()).encode() + b"\n\n")

    async def end(self, body: bytes = b"") -> None:
        """Write the end."""
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def json(self, value: object, *, status: int = 200, headers: Headers | None = None) -> None:
        """Write a whole answer."""
        body = json.dumps(value, ensure_ascii=False).encode(errors="replace")
        head = [(b"content-type", JSON), (b"content-length", str(len(body)).encode())]
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": head + (headers or [])})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def error(self, error: GatewayError, headers: Headers | None = None) -> None:
        """Write an error in OpenAI's format."""
        own = [(name.encode(), value.encode()) for name, value in error.headers().items()]
        await self.json(error.body(), status=error.status, headers=own + (headers or []))


def _too_large(limit: int) -> GatewayError:
    return GatewayError(
        f"The request's body is larger than {limit:,} bytes; send less.",
        status=413,
        code="request_too_large",
    )
