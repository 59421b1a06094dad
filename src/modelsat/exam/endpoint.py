"""An OpenAI-compatible endpoint: where it is, and what its answers mean.

Pure functions of status, headers and body; `client` does the talking. Nothing that a server sends is trusted: not its
status, its headers, its encoding nor its shape.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from modelsat.capability.endpoint import check_endpoint
from modelsat.errors import DataError
from modelsat.exam.prompts import Api
from modelsat.records.files import read_text
from modelsat.types import Candidate

_PATHS: dict[Api, str] = {"chat": "/chat/completions", "completions": "/completions"}
_QUOTED = 200
# What clients may ask again: too early, too slow, too many.
_RETRIED = frozenset({408, 425, 429})
_HINTS = {
    401: "check the key: --api-key-env names the variable that holds it",
    403: "this key may not use that model; check key and model",
    404: "check --model and --base-url (most servers want it to end in /v1)",
    413: "the question is too long for it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a candidate answers.

    Attributes:
        base_url: What comes before /chat/completions.
        model: The candidate's name there.
        api: Which API is asked.
        api_key: Credential, or None; never shown.
        params: Further fields of every request; None takes a field out.
    """

    base_url: str
    model: str
    api: Api = "chat"
    api_key: str | None = field(default=None, repr=False)
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_endpoint(Candidate(name=self.model, endpoint=self.base_url))

    @property
    def url(self) -> str:
        """Where requests go."""
        path = _PATHS[self.api]
        base = self.base_url.rstrip("/")
        return base if base.endswith(path) else base + path

    def request(self, body: Mapping[str, Any]) -> bytes:
        """The body of a request, as it is sent."""
        fields = {"model": self.model, **body, "stream": False, **self.params}
        return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def endpoint_of(
    candidate: Candidate, *, api: Api = "chat", params: Mapping[str, Any] | None = None
) -> Endpoint:
    """Where a candidate of a zoo answers, with its credential.

    Raises:
        DataError: It has no endpoint, or its credential cannot be read.
    """
    if candidate.endpoint is None:
        raise DataError(f"candidate {candidate.name}: has no endpoint; add it to the zoo file.")
    return Endpoint(
        base_url=candidate.endpoint,
        model=candidate.model or candidate.name,
        api=api,
        api_key=_read_key(candidate),
        params=params or {},
    )


def _read_key(candidate: Candidate) -> str | None:
    """The credential, from where the candidate says it is kept."""
    owner = f"candidate {candidate.name}"
    if candidate.api_key_env is not None:
        where = f"variable {candidate.api_key_env}"
        key = os.environ.get(candidate.api_key_env, "").strip()
    elif candidate.api_key_file is not None:
        where = f"file {candidate.api_key_file}"
        key = read_text(Path(candidate.api_key_file)).strip()
    else:
        return None
    if not key:
        raise DataError(f"{owner}: {where} holds no key; put it there, or take the setting out.")
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        raise DataError(f"{owner}: the key in {where} holds spaces or unusual characters.")
    return key


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An endpoint's answer to one question.

    Attributes:
        text: What the model wrote.
        input_tokens: Tokens it read, as the endpoint counts; None where it does not say.
        output_tokens: Tokens it wrote, thoughts included; None where it does not say.
        cut_short: It ran into the limit on tokens.
        latency_s: Seconds from the request to the full answer, of the attempt that succeeded.
        attempts: How often it was asked.
    """

    text: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    cut_short: bool = False
    latency_s: float = 0.0
    attempts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why an attempt brought no answer.

    Attributes:
        reason: In words.
        final: Asking again is of no use.
        about_question: It may be this question that is refused, not every one (400, 413, 422).
        wait_s: How long the endpoint asks to wait; None where it does not say.
        busy: The endpoint lives and asks for patience (429).
        billed: The model may have worked, and its work be charged.
    """

    reason: str
    final: bool = False
    about_question: bool = False
    wait_s: float | None = None
    busy: bool = False
    billed: bool = False


def read_response(status: int, headers: Mapping[str, str], body: bytes) -> Reply | Fault:
    """Make an answer, or a fault in words, of what came back."""
    if status == 200:
        return _read_answer(headers, body)
    said = _server_message(body)
    reason = f"answered {status}{f' ({said})' if said else ''}"
    if status in _RETRIED or status >= 500:
        return Fault(reason=reason, wait_s=retry_after(headers.get("retry-after")), busy=status == 429)
    if 300 <= status < 400:
        target = _clipped(headers.get("location", "elsewhere"))
        return Fault(
            reason=f"{reason}: it points to {target}; use the URL it means as --base-url", final=True
        )
    if 400 <= status < 500:
        hint = _HINTS.get(status)
        return Fault(
            reason=f"{reason}{f'; {hint}' if hint else ''}",
            final=True,
            about_question=status in (400, 413, 422),
        )
    return Fault(reason=f"{reason}; expected 200")


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks to wait: it holds seconds or a date."""
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text):
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (aware - (now or datetime.now(UTC))).total_seconds())


def _read_answer(headers: Mapping[str, str], body: bytes) -> Reply | Fault:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        kind = _clipped(headers.get("content-type", "no content type"))
        what = (
            "bytes that are not UTF-8"
            if isinstance(error, UnicodeDecodeError)
            else "something that is not JSON"
        )
        return Fault(reason=f"answered with {what} ({kind}, {len(body)} bytes)", billed=True)
    if not isinstance(value, dict):
        return Fault(reason=f"answered with a JSON {type(value).__name__} instead of an object", billed=True)
    choices = value.get("choices")
    if not (isinstance(choices, list) and choices and isinstance(choices[0], dict)):
        said = _server_message(body)
        return Fault(reason=f"answered without choices{f' ({said})' if said else ''}", billed=True)
    text = _answer_text(choices[0])
    if text is None:
        return Fault(reason="answered with a choice that has no text", billed=True)
    usage = value.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return Reply(
        text=text,
        input_tokens=_count(counts.get("prompt_tokens")),
        output_tokens=_count(counts.get("completion_tokens")),
        cut_short=choices[0].get("finish_reason") == "length",
    )


def _answer_text(choice: Mapping[str, Any]) -> str | None:
    message = choice.get("message")
    if not isinstance(message, dict):
        text = choice.get("text")
        return text if isinstance(text, str) else None
    content = message.get("content")
    if content is None:
        # Nothing but thoughts, or a refusal: an answer, if an empty one.
        refusal = message.get("refusal")
        return refusal if isinstance(refusal, str) else ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40 else None


def _server_message(body: bytes) -> str:
    """What a server says of its own error, on one line and short."""
    try:
        value = json.loads(body[:65536])
    except (ValueError, RecursionError):
        return ""
    error = value.get("error", value.get("detail", value.get("message"))) if isinstance(value, dict) else None
    message = error.get("message") if isinstance(error, dict) else error
    return _clipped(message) if isinstance(message, str) else ""


def _clipped(text: str) -> str:
    plain = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _QUOTED]).split())
    return plain if len(plain) <= _QUOTED else plain[: _QUOTED - 3] + "..."
