"""What an answer used, read off the bytes that were relayed, after they were.

The upstream's own count is taken where it reports one. Where it does not (a stream without `stream_options`), tokens
stay unknown in the records, but money is estimated from the answer's length: a budget must hold for streams too.
"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

from modelsat.endpoints.answers import json_object, token_counts
from modelsat.routing.pricing import BYTES_PER_TOKEN, PER_MILLION
from modelsat.types import Candidate

# An answer longer than this is not kept to be counted; its length is.
KEPT_BYTES = 4_000_000
# A stream reports at its end.
TAIL_BYTES = 65_536
DECODED_BYTES = 16_000_000
# Of a streamed event, what is not the answer's text.
_EVENT_BYTES = 150
_DATA = b"data:"
DONE = b"data: [DONE]"
_TEXTS = ("content", "reasoning_content", "refusal", "text")
_CALLS = ("tool_calls", "function_call")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one answer.

    Attributes:
        input_tokens: As the upstream reported; None where it did not.
        output_tokens: As the upstream reported; None where it did not.
        estimated_output: Estimate of the answer's tokens, from its length.
    """

    input_tokens: int | None
    output_tokens: int | None
    estimated_output: int

    def cost(self, candidate: Candidate, request_tokens: int) -> float | None:
        """Money for the answer, from what was reported or else estimated; None where a price is unknown.

        Args:
            candidate: Whose prices.
            request_tokens: Estimate of the request's tokens.
        """
        if candidate.input_price is None or candidate.output_price is None:
            return None
        read = request_tokens if self.input_tokens is None else self.input_tokens
        written = self.estimated_output if self.output_tokens is None else self.output_tokens
        return (candidate.input_price * read + candidate.output_price * written) * PER_MILLION


class Meter:
    """Keeps the bytes of one answer until it is over.

    Args:
        encoding: The answer's content encoding, or empty.
        stream: Whether it is a stream of events.
    """

    def __init__(self, *, encoding: str, stream: bool) -> None:
        self._encoding = encoding.strip().lower()
        self._stream = stream
        self._kept = bytearray()
        self.bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Take note of a piece of the answer."""
        self.bytes += len(chunk)
        self._kept += chunk
        # Only plain events can be read from the middle on.
        if len(self._kept) > KEPT_BYTES:
            keep = TAIL_BYTES if self._stream and not self._encoding else 0
            del self._kept[: len(self._kept) - keep]

    @property
    def done(self) -> bool:
        """Whether a stream has said that it is done: clients may leave then, before the connection says so too."""
        return self._stream and self._kept.rstrip().endswith(DONE)

    def usage(self) -> Usage:
        """What the answer used."""
        whole = self.bytes == len(self._kept)
        text = _decoded(bytes(self._kept), self._encoding)
        if self._stream:
            events = list(_events(text))
            reported = next((event["usage"] for event in reversed(events) if event.get("usage")), None)
            readable = whole and (events or not self.bytes)
            size = sum(map(_text_bytes, events)) if readable else max(0, self.bytes - _EVENT_BYTES)
        else:
            answer = json_object(text)
            reported = answer.get("usage")
            size = _text_bytes(answer) if answer else self.bytes
        tokens = token_counts(reported)
        return Usage(
            input_tokens=tokens.input,
            output_tokens=tokens.output,
            estimated_output=ceil(size / BYTES_PER_TOKEN),
        )


def _decoded(content: bytes, encoding: str) -> bytes:
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return content if encoding in ("", "identity") else b""
    decoded = b""
    try:
        # A stream may be compressed in several pieces, one after the other.
        while content and len(decoded) < DECODED_BYTES:
            # 32: a header of gzip or of zlib, whichever is there.
            unpacker = zlib.decompressobj(32 + zlib.MAX_WBITS)
            decoded += unpacker.decompress(content, DECODED_BYTES - len(decoded))
            content = unpacker.unused_data
    except zlib.error:
        # What came before a broken end still counts.
        pass
    return decoded


def _events(text: bytes) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith(_DATA):
            event = json_object(line[len(_DATA) :])
            if event:
                yield event


def _text_bytes(answer: dict[str, Any]) -> int:
    """Bytes of what the model wrote: text, reasoning and calls of tools, of all choices."""
    choices = answer.get("choices")
    if not isinstance(choices, list):
        return 0
    size = 0
    for choice in choices:
        if not isinstance(choice, dict):
            continue
        message = choice.get("delta") or choice.get("message") or choice
        if isinstance(message, dict):
            written = [message[name] for name in _TEXTS if isinstance(message.get(name), str)]
            size += sum(len(text.encode(errors="replace")) for text in written)
            size += sum(len(json.dumps(message[name])) for name in _CALLS if message.get(name))
    return size
