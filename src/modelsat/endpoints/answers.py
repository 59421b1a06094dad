"""Reads an endpoint's answer: token counts, requested waits and error messages.

Nothing that a server sends is trusted: not its status, its headers, its encoding nor its shape.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from modelsat.redaction import redact

_QUOTED = 200
_MOST_TOKENS = 10**9
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCounts:
    """Tokens as an endpoint counted them; None where it does not report them.

    Attributes:
        input: Tokens read.
        output: Tokens written, reasoning included.
    """

    input: int | None = None
    output: int | None = None


def token_counts(usage: object) -> TokenCounts:
    """Read the field `usage` of a completion; whatever is not a count is None."""
    if not isinstance(usage, Mapping):
        return TokenCounts()
    return TokenCounts(
        input=_count(usage.get("prompt_tokens")), output=_count(usage.get("completion_tokens"))
    )


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds an endpoint asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date.

    Args:
        headers: By name in lower case.
        now: The time; today's by default.
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if _SECONDS.fullmatch(milliseconds):
        return float(milliseconds) / 1000
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (aware - (now or datetime.now(UTC))).total_seconds())


def json_object(body: bytes) -> dict[str, Any]:
    """A body as a JSON object; empty if it is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def error_message(body: bytes) -> str:
    """The server's own error message, on one line and short; empty if it sent none."""
    value = json_object(body[:65_536])
    error = value.get("error", value.get("detail", value.get("message")))
    message = error.get("message") if isinstance(error, dict) else error
    return one_line(message) if isinstance(message, str) else ""


def one_line(text: str) -> str:
    """A stranger's text for an error message: printable, on one line, at most 200 characters."""
    text = redact(text)
    plain = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _QUOTED]).split())
    return plain if len(plain) <= _QUOTED else plain[: _QUOTED - 3] + "..."


def _count(value: object) -> int | None:
    known = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS
    return value if known else None  # type: ignore[return-value]
