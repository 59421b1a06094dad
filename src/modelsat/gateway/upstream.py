"""One request to one candidate's endpoint: its answer from the first byte on, or why there is none.

An address is made of the zoo's endpoint and a fixed path, so that a client cannot choose where the gateway connects to.
"""

import asyncio
from collections.abc import AsyncIterator

import httpx

from modelsat.gateway.headers import Headers, downstream_headers, first, upstream_headers
from modelsat.gateway.request import Kind
from modelsat.gateway.settings import GatewaySettings
from modelsat.types import Candidate


class AttemptError(Exception):
    """A candidate gave no answer.

    Args:
        reason: In a few words, fit to be shown to a client.
        late: Whether it took too long.
    """

    def __init__(self, reason: str, *, late: bool = False) -> None:
        super().__init__(reason)
        self.late = late


class UpstreamAnswer:
    """An answer whose first piece has come.

    Attributes:
        status: HTTP status.
        headers: Those that a client may see.
        retry_after: Seconds that the endpoint asked to wait, where it did.
        encoding: Content encoding, or empty.
    """

    def __init__(
        self,
        response: httpx.Response,
        begin: bytes | None,
        rest: AsyncIterator[bytes],
        *,
        idle_timeout_s: float,
    ) -> None:
        self.status = response.status_code
        self.headers: Headers = downstream_headers(response.headers.raw)
        self.retry_after = _seconds(first(self.headers, b"retry-after"))
        self.encoding = first(self.headers, b"content-encoding") or ""
        self._response = response
        self._begin = begin
        self._rest = rest
        self._idle_timeout_s = idle_timeout_s

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives, as it was sent.

        Raises:
            AttemptError: The endpoint broke off, or fell silent.
        """
        piece = self._begin
        while piece is not None:
            if piece:
                yield piece
            try:
                async with asyncio.timeout(self._idle_timeout_s):
                    piece = await anext(self._rest, None)
            except TimeoutError:
                raise AttemptError(
                    f"fell silent for {self._idle_timeout_s:g} s within its answer", late=True
                ) from None
            except httpx.TransportError:
                raise AttemptError("broke off within its answer") from None

    async def close(self) -> None:
        """Let go of the connection; an answer that was not read to its end is cancelled by that."""
        await self._response.aclose()


class Upstream:
    """Calls endpoints.

    Args:
        transport: What carries requests; one for all endpoints.
        settings: Timeouts.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, settings: GatewaySettings) -> None:
        self._transport = transport
        self._settings = settings
        self._timeouts = {"connect": settings.connect_timeout_s, "write": settings.idle_timeout_s}
        self._urls: dict[tuple[str, Kind], httpx.URL] = {}

    async def ask(
        self, candidate: Candidate, kind: Kind, body: bytes, *, key: str | None, headers: Headers
    ) -> UpstreamAnswer:
        """Send a request and wait for the first byte of its answer.

        Args:
            candidate: Who is asked.
            kind: Which API.
            body: The request's body.
            key: The endpoint's key, if it has one.
            headers: The client's headers.

        Raises:
            AttemptError: No connection, no answer in time, or a broken one.
        """
        url = self._url(candidate, kind)
        sent = upstream_headers(headers, host=url.netloc, key=key, size=len(body))
        timeout_s = self._settings.first_byte_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                return await self._ask(url, sent, body)
        except TimeoutError:
            raise AttemptError(f"no answer within {timeout_s:g} s", late=True) from None
        except (httpx.ConnectTimeout, httpx.WriteTimeout) as error:
            raise AttemptError(_words(error), late=True) from None
        except httpx.TransportError as error:
            raise AttemptError(_words(error)) from None

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def _ask(self, url: httpx.URL, headers: Headers, body: bytes) -> UpstreamAnswer:
        response = await self._transport.handle_async_request(
            httpx.Request("POST", url, headers=headers, content=body, extensions={"timeout": self._timeouts})
        )
        try:
            rest = aiter(response.stream)  # type: ignore[arg-type]
            begin = await anext(rest, None)
        except BaseException:
            await response.aclose()
            raise
        return UpstreamAnswer(response, begin, rest, idle_timeout_s=self._settings.idle_timeout_s)

    def _url(self, candidate: Candidate, kind: Kind) -> httpx.URL:
        endpoint = candidate.endpoint or ""
        if (endpoint, kind) not in self._urls:
            self._urls[endpoint, kind] = httpx.URL(f"{endpoint.rstrip('/')}/{kind}")
        return self._urls[endpoint, kind]


def _words(error: httpx.TransportError) -> str:
    """What went wrong, without addresses: the client need not know where candidates live."""
    return {
        httpx.ConnectError: "no connection",
        httpx.ConnectTimeout: "no connection in time",
        httpx.ReadError: "connection lost",
        httpx.WriteError: "connection lost",
        httpx.WriteTimeout: "request not taken in time",
        httpx.RemoteProtocolError: "no proper HTTP answer",
    }.get(type(error), "request failed")


def _seconds(retry_after: str | None) -> float | None:
    """The header `Retry-After` in its form of seconds; dates are as good as nothing between two clocks."""
    if retry_after is None or not retry_after.strip().isascii() or not retry_after.strip().isdigit():
        return None
    return float(retry_after.strip()[:9])
