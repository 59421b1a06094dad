"""HTTP/1.1 to endpoints on bare asyncio: connections are kept, and a request is one packet.

An `httpx` transport, so that whoever calls endpoints need not know which one carries its requests; parsing is h11's.
Compared with httpx's own transport it does a third of the work per request. It follows no redirects, keeps no cookies,
decodes nothing and knows no proxies.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import cast

import h11
import httpx

# Idle connections are closed before most servers close them.
KEPT_S = 15.0
KEPT_PER_ORIGIN = 100
HEAD_BYTES = 100_000
# An endpoint that is faster than the client waits for it.
BUFFERED_BYTES = 262_144

Origin = tuple[str, str, int]


class Connection(asyncio.Protocol):
    """One connection; one request at a time.

    Attributes:
        heard: Whether anything came since the last request was sent.
        idle_since: When it was last put aside, by the loop's clock.
    """

    def __init__(self) -> None:
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        self._transport: asyncio.Transport | None = None
        self._wake: asyncio.Future[None] | None = None
        self._buffered = 0
        self._paused = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended = False
        self.heard = False
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self.heard = True
        self._parser.receive_data(data)
        self._buffered += len(data)
        if self._buffered > BUFFERED_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._call()

    def eof_received(self) -> bool:
        """Note that no more will come; the transport then closes."""
        self._end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that no more will come or go."""
        self._end()
        self._writable.set()

    def pause_writing(self) -> None:
        """The endpoint does not keep up with the request."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The endpoint has caught up."""
        self._writable.set()

    @property
    def usable(self) -> bool:
        """Whether another request can be sent: open, and nothing came that nobody asked for."""
        return not self._ended and not self._buffered and self._parser.our_state is h11.IDLE

    async def send(self, request: httpx.Request, *, timeout_s: float) -> None:
        """Write a request.

        Raises:
            httpx.TransportError: It cannot be written, or not in time.
        """
        assert self._transport is not None
        self.heard = False
        headers = [(name, value) for name, value in request.headers.raw]
        try:
            head = h11.Request(method=request.method, target=request.url.raw_path, headers=headers)
            pieces = [
                self._parser.send(event) for event in (head, h11.Data(request.content), h11.EndOfMessage())
            ]
        except h11.LocalProtocolError as error:
            raise httpx.LocalProtocolError(str(error)) from None
        self._transport.write(b"".join(piece for piece in pieces if piece))
        if not self._writable.is_set():
            try:
                async with asyncio.timeout(timeout_s):
                    await self._writable.wait()
            except TimeoutError:
                raise httpx.WriteTimeout("") from None

    async def response(self) -> h11.Response:
        """The head of the answer.

        Raises:
            httpx.TransportError: The connection was lost, or what came is no HTTP.
        """
        while True:
            event = await self._event()
            if isinstance(event, h11.Response):
                return event
            if not isinstance(event, h11.InformationalResponse):
                raise httpx.RemoteProtocolError("no answer")

    async def body(self) -> AsyncIterator[bytes]:
        """The answer's body as it comes.

        Raises:
            httpx.TransportError: As `response`.
        """
        while True:
            event = await self._event()
            if isinstance(event, h11.EndOfMessage):
                break
            if not isinstance(event, h11.Data):
                raise httpx.RemoteProtocolError("no proper end")
            yield bytes(event.data)
        if self._parser.our_state is h11.DONE and self._parser.their_state is h11.DONE:
            # What came beyond the answer makes the next one doubtful.
            self._buffered = len(self._parser.trailing_data[0])
            self._parser.start_next_cycle()

    def close(self) -> None:
        """Close at once."""
        self._ended = True
        if self._transport is not None:
            self._transport.abort()

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            try:
                event = self._parser.next_event()
            except h11.RemoteProtocolError as error:
                if not self.heard:
                    raise httpx.ReadError("") from None
                raise httpx.RemoteProtocolError(str(error)) from None
            if event is not h11.NEED_DATA:
                return cast("h11.Event | type[h11.PAUSED]", event)
            self._buffered = 0
            if self._ended:
                raise httpx.ReadError("")
            if self._paused and self._transport is not None:
                self._paused = False
                self._transport.resume_reading()
            self._wake = asyncio.get_running_loop().create_future()
            try:
                await self._wake
            finally:
                self._wake = None

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            with suppress(h11.RemoteProtocolError):
                self._parser.receive_data(b"")
        self._call()

    def _call(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class EndpointTransport(httpx.AsyncBaseTransport):
    """Carries requests to endpoints. How many at once is limited where requests come in, not here.

    Args:
        tls: Whose certificates are trusted; the public authorities' by default.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._idle: dict[Origin, deque[Connection]] = {}
        self._tls = tls

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read the head of its answer.

        Raises:
            httpx.TransportError: No connection, or no answer.
        """
        timeouts = request.extensions.get("timeout", {})
        url = request.url
        origin = url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)
        connection = self._kept(origin)
        if connection is not None:
            try:
                return await self._ask(connection, origin, request, timeouts)
            except httpx.ReadError:
                # The endpoint closed an idle connection just as it was used again: that says nothing about it.
                if connection.heard:
                    raise
        connection = await self._connect(origin, timeouts.get("connect"))
        return await self._ask(connection, origin, request, timeouts)

    async def aclose(self) -> None:
        """Close the connections that are kept."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    def keep(self, origin: Origin, connection: Connection) -> None:
        """Take back a connection whose answer was read to its end."""
        kept = self._idle.setdefault(origin, deque())
        if not connection.usable or len(kept) >= KEPT_PER_ORIGIN:
            connection.close()
            return
        connection.idle_since = asyncio.get_running_loop().time()
        kept.append(connection)

    def _kept(self, origin: Origin) -> Connection | None:
        kept = self._idle.get(origin)
        oldest = asyncio.get_running_loop().time() - KEPT_S
        while kept and kept[0].idle_since < oldest:
            kept.popleft().close()
        while kept:
            # The one that was used last is the least likely to be closed by the other side.
            connection = kept.pop()
            if connection.usable:
                return connection
            connection.close()
        return None

    async def _connect(self, origin: Origin, timeout_s: float | None) -> Connection:
        scheme, host, port = origin
        if scheme == "https" and self._tls is None:
            # SSL_CERT_FILE and SSL_CERT_DIR name authorities of one's own.
            self._tls = httpx.create_ssl_context(trust_env=True)
        try:
            async with asyncio.timeout(timeout_s):
                _, connection = await asyncio.get_running_loop().create_connection(
                    Connection, host, port, ssl=self._tls if scheme == "https" else None
                )
        except TimeoutError:
            raise httpx.ConnectTimeout("") from None
        except OSError as error:
            raise httpx.ConnectError(type(error).__name__) from None
        return connection

    async def _ask(
        self, connection: Connection, origin: Origin, request: httpx.Request, timeouts: dict[str, float]
    ) -> httpx.Response:
        try:
            await connection.send(request, timeout_s=timeouts.get("write", KEPT_S))
            head = await connection.response()
        except BaseException:
            connection.close()
            raise
        body = _Body(self, origin, connection)
        return httpx.Response(head.status_code, headers=list(head.headers.raw_items()), stream=body)


class _Body(httpx.AsyncByteStream):
    def __init__(self, transport: EndpointTransport, origin: Origin, connection: Connection) -> None:
        self._transport = transport
        self._origin = origin
        self._connection = connection
        self._over = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._connection.body():
            yield piece
        self._over = True
        self._transport.keep(self._origin, self._connection)

    async def aclose(self) -> None:
        if not self._over:
            self._over = True
            self._connection.close()
