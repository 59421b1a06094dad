"""A request's body: read once, changed nowhere but at its model name.

The client's bytes go upstream as they came, whitespace, order, number formats and unknown fields included: only the
value of the top-level member `model` is replaced. Where the member appears more than once, readers disagree on which
one counts, so all of them are replaced.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from modelsat.gateway.errors import GatewayError

MODEL = "model"
_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonBody:
    """A JSON object as text, with its members.

    Attributes:
        text: The object as it came.
        members: Its members, read; of a repeated one the last.
        model_spans: Where in `text` values of the member `model` begin and end.
    """

    text: str
    members: dict[str, Any]
    model_spans: tuple[tuple[int, int], ...]

    def with_model(self, name: str) -> bytes:
        """The body with another model name, every other byte as it came."""
        value = json.dumps(name)
        pieces, done = [], 0
        for start, end in self.model_spans:
            pieces += [self.text[done:start], value]
            done = end
        pieces.append(self.text[done:])
        return "".join(pieces).encode()


def read_body(raw: bytes) -> JsonBody:
    """Read a request's body.

    Raises:
        GatewayError: 400 where it is not one JSON object in UTF-8.
    """
    try:
        # Encoding the text again gives the same bytes: UTF-8 has one form for each text.
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise _refused(f"byte {error.start} is not UTF-8") from None
    try:
        members, spans = _scan(text)
    except json.JSONDecodeError as error:
        raise _refused(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _refused("it is nested too deeply") from None
    except ValueError:
        raise _refused("it holds a number that is too long") from None
    return JsonBody(text=text, members=members, model_spans=spans)


def _scan(text: str) -> tuple[dict[str, Any], tuple[tuple[int, int], ...]]:
    """Members of the object that `text` is, and the spans of its model names."""
    members: dict[str, Any] = {}
    spans: list[tuple[int, int]] = []
    at = _expect(text, 0, "{")
    if text[at : at + 1] != "}":
        while True:
            if text[at : at + 1] != '"':
                raise json.JSONDecodeError("Expecting a name in double quotes", text, at)
            name, at = _DECODER.raw_decode(text, at)
            at = _expect(text, _skip(text, at), ":")
            members[name], end = _DECODER.raw_decode(text, at)
            if name == MODEL:
                spans.append((at, end))
            at = _skip(text, end)
            if text[at : at + 1] == "}":
                break
            at = _expect(text, at, ",")
    end = _skip(text, at + 1)
    if end != len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return members, tuple(spans)


def _expect(text: str, at: int, mark: str) -> int:
    """Position after a mark and the space around it."""
    at = _skip(text, at)
    if text[at : at + 1] != mark:
        raise json.JSONDecodeError(f"Expecting '{mark}'", text, at)
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


def _refused(fault: str) -> GatewayError:
    return GatewayError(f"The request's body is not a JSON object: {fault}.", status=400, code="invalid_json")
