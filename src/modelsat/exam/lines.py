"""Connections to an endpoint, one for every question under way.

Each line is a connection of its own below httpx's client: what a pool spends on each request grows with the square of
its connections, and at 64 it would be most of an exam's time. Nothing is remembered between answers (no cookies), no
redirect is followed, and no credential is added but the endpoint's own.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from modelsat.errors import MissingExtraError

if TYPE_CHECKING:
    import httpx

CONNECT_S = 10.0


class TooLargeError(Exception):
    """An answer has more bytes than it may."""


class Lines:
    """As many connections to one URL as there are questions under way."""

    def __init__(
        self, url: str, *, api_key: str | None, transport: "httpx.AsyncBaseTransport | None" = None
    ) -> None:
        """Prepare; nothing is sent.

        Args:
            url: Where requests are posted.
            api_key: Credential, or None.
            transport: What carries the requests; the network by default, by a proxy where the environment names one.

        Raises:
            MissingExtraError: httpx is not installed.
        """
        try:
            import httpx
        except ImportError:
            raise MissingExtraError("exam", "asking an endpoint") from None
        self._request = httpx.Request
        self._url = httpx.URL(url)
        self._headers = [
            ("host", self._url.netloc.decode()),
            ("content-type", "application/json"),
            ("accept", "application/json"),
            ("accept-encoding", "identity"),
            ("user-agent", "modelsat"),
        ]
        if api_key:
            self._headers.append(("authorization", f"Bearer {api_key}"))
        self._free: list[httpx.AsyncBaseTransport] = []
        self._all: list[httpx.AsyncBaseTransport] = []
        self._new_line: Callable[[], httpx.AsyncBaseTransport]
        self.errors = (httpx.TransportError, httpx.DecodingError)
        if transport is not None:
            self._new_line = lambda: transport
            return
        # Made once: reading the certificates takes longer than many a question.
        certificates = httpx.create_ssl_context()
        limits, proxy = httpx.Limits(max_connections=1, max_keepalive_connections=1), proxy_for(url)
        self._new_line = lambda: httpx.AsyncHTTPTransport(verify=certificates, limits=limits, proxy=proxy)

    async def post(self, content: bytes, *, largest: int) -> tuple[int, Mapping[str, str], bytes]:
        """Send one request, and read all of its answer.

        Returns:
            Status, headers and body.

        Raises:
            TooLargeError: The body has more than `largest` bytes.
            httpx.TransportError: The connection fails; all that may be raised is in `errors`.
        """
        if self._free:
            line = self._free.pop()
        else:
            line = self._new_line()
            self._all.append(line)
        request = self._request(
            "POST",
            self._url,
            headers=self._headers,
            content=content,
            # A host that is not there is noticed soon; the caller limits the rest.
            extensions={"timeout": {"connect": CONNECT_S}},
        )
        try:
            response = await line.handle_async_request(request)
            try:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > largest:
                        raise TooLargeError
            finally:
                await response.aclose()
            return response.status_code, response.headers, bytes(body)
        finally:
            self._free.append(line)

    async def close(self) -> None:
        """Close all connections."""
        for line in self._all:
            await line.aclose()


def proxy_for(url: str, environment: Mapping[str, Any] | None = None) -> str | None:
    """The proxy that the environment names for a URL (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY)."""
    proxies = getproxies() if environment is None else environment
    parts = urlsplit(url)
    if parts.hostname is None or proxy_bypass(parts.hostname):
        return None
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return None if not proxy else str(proxy) if "://" in proxy else f"http://{proxy}"
