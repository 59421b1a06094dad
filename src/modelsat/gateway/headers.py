"""Which headers pass, in either direction.

What belongs to one connection stays with it, and what identifies somebody stays with whom it was meant for: a client's
key never reaches an endpoint, an endpoint's cookies and account never reach a client.
"""

from collections.abc import Iterable
from urllib.parse import quote

Headers = list[tuple[bytes, bytes]]

_CONNECTION = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_NOT_UPSTREAM = _CONNECTION | {
    b"authorization",
    b"api-key",
    b"x-api-key",
    b"openai-organization",
    b"openai-project",
    b"cookie",
    b"host",
    b"content-length",
    b"expect",
    b"forwarded",
    b"via",
    b"x-real-ip",
    b"origin",
    b"referer",
}
_NOT_DOWNSTREAM = _CONNECTION | {
    b"set-cookie",
    b"date",
    b"server",
    b"alt-svc",
    b"strict-transport-security",
    b"www-authenticate",
    b"authorization",
    b"openai-organization",
    b"openai-project",
}
_ACCEPT_ENCODING = b"accept-encoding"
# The codings that a meter can read: an answer in another one would cost nothing in the books.
METERED_CODINGS = frozenset({b"gzip", b"x-gzip", b"deflate", b"identity"})
_OURS = b"x-modelsat-"
_FORWARDED = b"x-forwarded-"
# ASCII that may stand in a header; a name's other characters are written as %XX.
_PLAIN = " !\"#$&'()*+,-./:;<=>?@[]^_`{|}~"


def upstream_headers(client: Iterable[tuple[bytes, bytes]], *, key: str | None) -> list[tuple[str, str]]:
    """Headers of a request to an endpoint, but for Host and Content-Length.

    Args:
        client: As the client sent them, names in lower case.
        key: Of the endpoint, if it has one.
    """
    client = list(client)
    # A key can be masked in a plain answer only.
    coding = _metered if key is None else lambda accepted: b"identity"
    barred = _NOT_UPSTREAM | _named_by_connection(client)
    headers = [
        (name.decode("latin-1"), _text(coding(value) if name == _ACCEPT_ENCODING else value))
        for name, value in client
        if name not in barred and not name.startswith((_OURS, _FORWARDED))
    ]
    if key is not None:
        headers.append(("authorization", f"Bearer {key}"))
    return headers


def downstream_headers(upstream: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Headers of an answer to a client, names in lower case."""
    lowered = [(name.lower(), value) for name, value in upstream]
    barred = _NOT_DOWNSTREAM | _named_by_connection(lowered)
    return [(name, value) for name, value in lowered if name not in barred and not name.startswith(_OURS)]


def header_value(text: str) -> bytes:
    """Text as a header can carry it."""
    return quote(text, safe=_PLAIN).encode("ascii")


def first(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> str | None:
    """The first value of a header, or None."""
    return next((value.decode("latin-1") for name, value in headers if name == wanted), None)


def _text(value: bytes) -> str:
    """A value as text that is written as the same bytes, in UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _metered(accepted: bytes) -> bytes:
    """What of the accepted codings a meter can read."""
    codings = [coding.strip() for coding in accepted.split(b",")]
    kept = [coding for coding in codings if coding.partition(b";")[0].strip().lower() in METERED_CODINGS]
    return b", ".join(kept) or b"identity"


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    named = [value for name, value in headers if name == b"connection"]
    return {token.strip().lower() for value in named for token in value.split(b",")}
