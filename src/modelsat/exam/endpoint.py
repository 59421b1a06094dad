"""An endpoint that sits an exam: its address, its requests, its retry policy, and what its answers mean."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from modelsat.endpoints.answers import error_message, one_line, retry_after_s, token_counts
from modelsat.endpoints.keys import ApiKeys
from modelsat.errors import DataError
from modelsat.exam.questions import Api
from modelsat.types import Candidate

_Count = Annotated[int, Field(ge=1)]
_Seconds = Annotated[float, Field(ge=0)]
_PATHS: dict[Api, str] = {"chat": "/chat/completions", "completions": "/completions"}
# Too early, too slow, too many: worth another attempt.
_RETRIED = frozenset({408, 425, 429})
_REFUSED_QUESTION = frozenset({400, 413, 422})
_HINTS = {
    401: "check the key: --api-key-env names the variable that holds it",
    403: "this key may not use that model; check key and model",
    404: "check --model and --base-url (most servers want it to end in /v1)",
    413: "the question is too long for it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A candidate's endpoint.

    Attributes:
        base_url: URL up to, and without, /chat/completions.
        model: The model's name there.
        api: API that is called.
        api_key: Credential, or None; never shown.
        params: Further fields of every request; None removes a field.
    """

    base_url: str
    model: str
    api: Api = "chat"
    api_key: str | None = field(default=None, repr=False)
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # A candidate checks its endpoint.
        Candidate(name=self.model, endpoint=self.base_url)

    @property
    def url(self) -> str:
        """URL of its requests."""
        path = _PATHS[self.api]
        base = self.base_url.rstrip("/")
        return base if base.endswith(path) else base + path

    def headers(self) -> list[tuple[str, str]]:
        """Headers of its requests."""
        headers = {"content-type": "application/json", "accept": "application/json"}
        headers |= {"accept-encoding": "identity", "user-agent": "modelsat"}
        if self.api_key:
            headers["authorization"] = f"Bearer {self.api_key}"
        return list(headers.items())

    def request(self, body: Mapping[str, Any]) -> bytes:
        """Body of a request."""
        fields = {"model": self.model, **body, "stream": False, **self.params}
        return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def endpoint_of(
    candidate: Candidate, *, api: Api = "chat", params: Mapping[str, Any] | None = None
) -> Endpoint:
    """The endpoint of a zoo's candidate, with its key.

    Raises:
        DataError: It has no endpoint, or its key cannot be read.
    """
    if candidate.endpoint is None:
        raise DataError(f"candidate {candidate.name}: has no endpoint; add it to the zoo file.")
    return Endpoint(
        base_url=candidate.endpoint,
        model=candidate.model or candidate.name,
        api=api,
        api_key=ApiKeys([candidate]).key(candidate.name),
        params=params or {},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long an endpoint may take, and how often it is asked again.

    Attributes:
        timeout_s: Seconds for one attempt, from its first byte out to its last byte in.
        attempts: Attempts per question that may fail.
        busy_attempts: Further attempts per question that may be rejected as too many (429).
        first_wait_s: Wait before the second attempt; doubled before each further one, and varied at random, so that
            questions that failed together do not come back together.
        longest_wait_s: The longest wait; an endpoint that asks for a longer one ends the exam.
        largest_answer: Bytes of an answer.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    timeout_s: Annotated[float, Field(ge=0.1)] = 120.0
    attempts: _Count = 6
    busy_attempts: _Count = 60
    first_wait_s: _Seconds = 0.5
    longest_wait_s: _Seconds = 60.0
    largest_answer: _Count = 2**20

    def wait_s(self, attempt: int, rng: random.Random) -> float:
        """Seconds to wait after an attempt, counted from 1."""
        longest = min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(attempt - 1, 30))
        return longest * rng.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An endpoint's answer to one question.

    Attributes:
        text: Text that the model wrote.
        input_tokens: Tokens read, as the endpoint counts; None if it does not report them.
        output_tokens: Tokens written, reasoning included; None if it does not report them.
        cut_short: Whether the answer ran into the token limit.
        latency_s: Seconds from the request to the full answer, of the attempt that succeeded.
        attempts: Number of attempts, the last included.
    """

    text: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    cut_short: bool = False
    latency_s: float = 0.0
    attempts: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A failed attempt.

    Attributes:
        reason: In words.
        final: Whether another attempt is pointless.
        about_question: Whether only this question may be refused, not every one (400, 413, 422).
        wait_s: Seconds the endpoint asks to wait; None if it does not ask.
        busy: Whether the endpoint works but is overloaded (429).
        billed: Whether the model may have worked, and its work be charged.
    """

    reason: str
    final: bool = False
    about_question: bool = False
    wait_s: float | None = None
    busy: bool = False
    billed: bool = False


def read_response(
    status: int, headers: Mapping[str, str], body: bytes, *, latency_s: float = 0.0, attempts: int = 1
) -> Reply | Fault:
    """Make an answer, or a fault in words, of an HTTP response."""
    if status == 200:
        return _read_answer(headers, body, latency_s, attempts)
    message = error_message(body)
    reason = f"answered {status}{f' ({message})' if message else ''}"
    if status in _RETRIED or status >= 500:
        return Fault(reason=reason, wait_s=retry_after_s(headers), busy=status == 429)
    if 300 <= status < 400:
        target = one_line(headers.get("location", "elsewhere"))
        return Fault(reason=f"{reason}: redirects to {target}; use the final URL as --base-url", final=True)
    if 400 <= status < 500:
        hint = f"; {_HINTS[status]}" if status in _HINTS else ""
        return Fault(reason=f"{reason}{hint}", final=True, about_question=status in _REFUSED_QUESTION)
    return Fault(reason=f"{reason}; expected 200")


def _read_answer(headers: Mapping[str, str], body: bytes, latency_s: float, attempts: int) -> Reply | Fault:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        what = "bytes that are not UTF-8" if isinstance(error, UnicodeDecodeError) else "invalid JSON"
        kind = one_line(headers.get("content-type", "no content type"))
        return Fault(reason=f"answered with {what} ({kind}, {len(body)} bytes)", billed=True)
    if not isinstance(value, dict):
        return Fault(reason=f"answered with a JSON {type(value).__name__} instead of an object", billed=True)
    choices = value.get("choices")
    if not (isinstance(choices, list) and choices and isinstance(choices[0], dict)):
        message = error_message(body)
        return Fault(reason=f"answered without choices{f' ({message})' if message else ''}", billed=True)
    text = _answer_text(choices[0])
    if text is None:
        return Fault(reason="answered with a choice that has no text", billed=True)
    tokens = token_counts(value.get("usage"))
    return Reply(
        text=text,
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cut_short=choices[0].get("finish_reason") == "length",
        latency_s=latency_s,
        attempts=attempts,
    )


def _answer_text(choice: Mapping[str, Any]) -> str | None:
    message = choice.get("message")
    if not isinstance(message, dict):
        text = choice.get("text")
        return text if isinstance(text, str) else None
    content = message.get("content")
    if content is None:
        # Nothing but reasoning, or a refusal: an answer, if an empty one.
        refusal = message.get("refusal")
        return refusal if isinstance(refusal, str) else ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return None
