"""HTTP to endpoints: kept connections, answers byte for byte as they arrive, and failures in a few words.

Nothing is added to what the caller sends and nothing is decoded: no cookies, no redirects, no credentials of its own.
How long an answer may take, and whether to ask again, is the caller's business.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from io import BytesIO
from os import strerror
from ssl import SSLContext
from types import SimpleNamespace, TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from modelsat.endpoints.answers import retry_after_s
from modelsat.errors import EndpointError, MissingExtraError
from modelsat.types.candidates import UNIX

try:
    import aiohttp
    from yarl import URL
except ImportError:
    raise MissingExtraError("exam", "calling an endpoint") from None

# Idle connections are closed before most servers close them.
KEPT_S = 15.0
BUFFERED_BYTES = 2**18
# aiohttp warns of larger bodies sent in one piece.
_ONE_PIECE = 2**20
_FAILURES = (aiohttp.ClientError, OSError)
_LOST = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
_ADDED_BY_AIOHTTP = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class TransportError(EndpointError):
    """An endpoint could not be reached, or the connection was lost.

    Attributes:
        reason: In a few words, without addresses.
        detail: What the system reported, or empty; may contain addresses.
        sent: Whether the endpoint may have received the request.
        late: Whether a time limit was exceeded.
    """

    def __init__(self, reason: str, *, detail: str = "", sent: bool = True, late: bool = False) -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason = reason
        self.detail = detail
        self.sent = sent
        self.late = late


class TooLargeError(EndpointError):
    """An answer is larger than allowed."""


class EndpointResponse:
    """An answer whose headers have arrived.

    Attributes:
        status: HTTP status.
        headers: Headers by name, whatever the case.
        raw_headers: Headers as they were sent.
    """

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.raw_headers = response.raw_headers
        self._response = response

    @property
    def retry_after_s(self) -> float | None:
        """Seconds the endpoint asks to wait; None if it does not ask."""
        return retry_after_s(self.headers)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives.

        Raises:
            TransportError: The connection was lost before the end.
        """
        read = self._response.content.readany
        try:
            while piece := await read():
                yield piece
        except _FAILURES as error:
            raise _transport_error(error) from None

    async def read(self, *, largest: int) -> bytes:
        """The whole body.

        Raises:
            TooLargeError: It has more than `largest` bytes.
            TransportError: The connection was lost before the end.
        """
        pieces: list[bytes] = []
        size = 0
        try:
            while piece := await self._response.content.readany():
                pieces.append(piece)
                size += len(piece)
                if size > largest:
                    raise TooLargeError(f"answered with more than {largest:,} bytes")
        except _FAILURES as error:
            raise _transport_error(error) from None
        return b"".join(pieces)

    def close(self) -> None:
        """Let go of the connection; one whose answer was not read to its end is closed."""
        self._response.close()


class EndpointClient:
    """Connections to any number of endpoints, kept and reused. Their number is limited by the caller, not here.

    Use as an async context manager, or call `close` in the end.

        async with EndpointClient() as client:
            response = await client.request("POST", f"{base_url}/chat/completions", headers, body)
            try:
                async for piece in response.pieces():
                    ...
            finally:
                response.close()
    """

    def __init__(
        self, *, connect_timeout_s: float = 10.0, proxies: bool = True, tls: SSLContext | None = None
    ) -> None:
        """Prepare; nothing is sent before the first request.

        Args:
            connect_timeout_s: Seconds to connect, TLS included.
            proxies: Use the proxies named by the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY).
            tls: Trusted certificates; by default the system's, or those of SSL_CERT_FILE.
        """
        self._connect_timeout_s = connect_timeout_s
        self._proxies = proxies
        self._tls = tls
        self._sessions: dict[tuple[str, bool], aiohttp.ClientSession] = {}
        # By URL: socket, address, proxy.
        self._targets: dict[str, tuple[str, URL, str | None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def request(
        self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes = b""
    ) -> EndpointResponse:
        """Send a request and wait for the headers of its answer.

        If the endpoint has closed a kept connection in the meantime, which is no failure, the request is sent once more
        on a new connection.

        Args:
            method: HTTP method.
            url: Full URL; `http+unix://%2Ffolder%2Fsocket/path` goes to a Unix socket.
            headers: All headers but Host and Content-Length.
            body: Raw body.

        Raises:
            TransportError: The endpoint cannot be reached, or breaks off before its headers.
        """
        socket, address, proxy = self._target(url)
        content = body if len(body) <= _ONE_PIECE else BytesIO(body)
        options: dict[str, Any] = {
            "headers": headers,
            "data": content,
            "allow_redirects": False,
            "proxy": proxy,
        }
        connection = SimpleNamespace(kept=False)
        try:
            try:
                response = await self._session(socket).request(
                    method, address, trace_request_ctx=connection, **options
                )
            except _LOST:
                if not connection.kept:
                    raise
                options["data"] = body if len(body) <= _ONE_PIECE else BytesIO(body)
                response = await self._session(socket, fresh=True).request(method, address, **options)
        except _FAILURES as error:
            raise _transport_error(error) from None
        return EndpointResponse(response)

    def _target(self, url: str) -> tuple[str, URL, str | None]:
        if url not in self._targets:
            parts = urlsplit(url)
            if parts.scheme == UNIX:
                local = URL(f"http://localhost{parts.path}", encoded=True)
                self._targets[url] = unquote(parts.netloc), local, None
            else:
                proxy = proxy_for(url) if self._proxies else None
                self._targets[url] = "", URL(url, encoded=True), proxy
        return self._targets[url]

    def _session(self, socket: str, *, fresh: bool = False) -> aiohttp.ClientSession:
        """The session of a Unix socket, or of the network; a fresh one never uses a connection twice."""
        if (socket, fresh) not in self._sessions:
            tracing = aiohttp.TraceConfig()
            tracing.on_connection_reuseconn.append(_note_kept)
            kept: dict[str, Any] = {"force_close": True} if fresh else {"keepalive_timeout": KEPT_S}
            self._sessions[socket, fresh] = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(socket, limit=0, **kept)
                if socket
                else aiohttp.TCPConnector(limit=0, ssl=True if self._tls is None else self._tls, **kept),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                read_bufsize=BUFFERED_BYTES,
                skip_auto_headers=_ADDED_BY_AIOHTTP,
                timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_timeout_s),
                trace_configs=[] if fresh else [tracing],
            )
        return self._sessions[socket, fresh]


async def _note_kept(session: object, context: SimpleNamespace, parameters: object) -> None:
    context.trace_request_ctx.kept = True


def _transport_error(error: Exception) -> TransportError:
    system = getattr(error, "certificate_error", None) or getattr(error, "os_error", error)
    detail = getattr(system, "verify_message", None) or getattr(system, "strerror", None) or ""
    number = getattr(system, "errno", None)
    if isinstance(number, int) and number > 0 and "Connect call failed" in detail:
        detail = strerror(number)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return TransportError("no connection in time", sent=False, late=True)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError | aiohttp.InvalidURL):
        return TransportError("no connection", detail=detail, sent=False)
    if isinstance(error, aiohttp.ClientResponseError):
        return TransportError("no proper HTTP answer")
    return TransportError("connection lost", detail=detail)


def proxy_for(url: str, environment: Mapping[str, Any] | None = None) -> str | None:
    """The proxy that the environment names for a URL (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""
    proxies = getproxies() if environment is None else environment
    parts = urlsplit(url)
    if parts.hostname is None or proxy_bypass(parts.hostname):
        return None
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return None if not proxy else str(proxy) if "://" in proxy else f"http://{proxy}"
