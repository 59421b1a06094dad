"""One request to one candidate's endpoint: its answer from the first byte on, or why there is none.

An address is made of the zoo's endpoint and a fixed path, so that a client cannot choose where the gateway connects to.
"""

import asyncio
from collections.abc import AsyncIterator

from modelsat.endpoints.client import EndpointClient, EndpointResponse, TransportError
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
        response: EndpointResponse,
        begin: bytes | None,
        rest: AsyncIterator[bytes],
        *,
        idle_timeout_s: float,
    ) -> None:
        self.status = response.status
        self.headers: Headers = downstream_headers(response.raw_headers)
        self.retry_after = response.retry_after_s
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
                    f"sent no data for {self._idle_timeout_s:g} s mid-response", late=True
                ) from None
            except TransportError:
                raise AttemptError("broke off mid-response") from None

    async def close(self) -> None:
        """Let go of the connection; an answer that was not read to its end is cancelled by that."""
        self._response.close()


class Upstream:
    """Calls endpoints.

    Args:
        client: Connections to all endpoints.
        settings: Timeouts.
    """

    def __init__(self, client: EndpointClient, settings: GatewaySettings) -> None:
        self._client = client
        self._settings = settings

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
        url = f"{(candidate.endpoint or '').rstrip('/')}/{kind}"
        timeout_s = self._settings.first_byte_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._client.request("POST", url, upstream_headers(headers, key=key), body)
                rest = response.pieces()
                try:
                    begin = await anext(rest, None)
                except BaseException:
                    response.close()
                    raise
        except TimeoutError:
            raise AttemptError(f"no answer within {timeout_s:g} s", late=True) from None
        except TransportError as error:
            # Without addresses: the client need not know where candidates live.
            raise AttemptError(error.reason, late=error.late) from None
        return UpstreamAnswer(response, begin, rest, idle_timeout_s=self._settings.idle_timeout_s)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()
