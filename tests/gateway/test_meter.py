"""What an answer used, read off its bytes."""

import gzip
import json
import zlib

import pytest

from modelsat.gateway.meter import KEPT_BYTES, Meter, Usage
from tests.gateway.parts import answer_body, candidate


def events(*values: object) -> bytes:
    return b"".join(f"data: {json.dumps(value)}\n\n".encode() for value in values) + b"data: [DONE]\n\n"


def delta(text: str) -> dict[str, object]:
    return {"choices": [{"delta": {"content": text}}], "usage": None}


def usage(content: bytes, *, stream: bool = False, encoding: str = "") -> Usage:
    meter = Meter(encoding=encoding, stream=stream)
    for start in range(0, len(content), 7):
        meter.feed(content[start : start + 7])
    return meter.usage()


@pytest.mark.parametrize(
    ("encode", "encoding"),
    [(bytes, ""), (gzip.compress, "gzip"), (zlib.compress, "deflate"), (bytes, "identity")],
)
def test_reported_tokens_are_read_whatever_the_encoding(encode: "type", encoding: str) -> None:
    found = usage(encode(json.dumps(answer_body("Yes, it is.")).encode()), encoding=encoding)
    assert (found.input_tokens, found.output_tokens) == (11, 7)


def test_compressed_pieces_count_even_where_the_last_is_broken() -> None:
    pieces = [gzip.compress(events(delta("four" * 5))) for _ in range(3)]
    assert usage(b"".join(pieces), stream=True, encoding="gzip").estimated_output == 15
    cut = b"".join(pieces)[:-10]
    assert usage(cut, stream=True, encoding="gzip").estimated_output in (10, 15)


def test_a_stream_reports_in_its_last_event_or_is_estimated() -> None:
    reported = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 9}}
    assert usage(events(delta("a"), reported), stream=True).output_tokens == 9
    silent = usage(events(*[delta("four")] * 10), stream=True)
    assert (silent.input_tokens, silent.output_tokens, silent.estimated_output) == (None, None, 10)


@pytest.mark.parametrize(
    "choice",
    [
        {"message": {"content": "x" * 40}},
        {"text": "x" * 40},
        {"message": {"content": None, "reasoning_content": "x" * 40}},
        {"delta": {"content": "x" * 40}},
    ],
)
def test_the_length_of_what_was_written_is_the_estimate(choice: dict[str, object]) -> None:
    assert usage(json.dumps({"choices": [choice]}).encode()).estimated_output == 10


def test_calls_of_tools_are_written_too() -> None:
    calls = [{"function": {"name": "f", "arguments": "x" * 400}}]
    found = usage(json.dumps({"choices": [{"message": {"content": None, "tool_calls": calls}}]}).encode())
    assert found.estimated_output > 100


@pytest.mark.parametrize("encoding", ["", "gzip", "br"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("content", [b"", b"garbage", b"data: {", b"[]", b'{"choices": 1}', b'{"usage": []}'])
def test_nonsense_uses_nothing_that_is_known(content: bytes, stream: bool, encoding: str) -> None:
    found = usage(content, stream=stream, encoding=encoding)
    assert (found.input_tokens, found.output_tokens) == (None, None)


def test_a_long_answer_is_not_kept_but_still_costs() -> None:
    meter = Meter(encoding="", stream=True)
    piece = events(delta("x" * 1000))
    for _ in range(KEPT_BYTES // len(piece) + 10):
        meter.feed(piece)
    meter.feed(events({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 9}}))
    assert meter.usage().output_tokens == 9
    whole = Meter(encoding="", stream=False)
    for _ in range(5):
        whole.feed(b"x" * 1_000_000)
    assert whole.usage() == Usage(input_tokens=None, output_tokens=None, estimated_output=1_250_000)


def test_money_is_reported_tokens_or_estimates_times_prices() -> None:
    priced = candidate("a", input_price=2.0, output_price=10.0)
    reported = Usage(input_tokens=100, output_tokens=10, estimated_output=99)
    assert reported.cost(priced, 7) == pytest.approx((100 * 2 + 10 * 10) / 1e6)
    estimated = Usage(input_tokens=None, output_tokens=None, estimated_output=20)
    assert estimated.cost(priced, 7) == pytest.approx((7 * 2 + 20 * 10) / 1e6)
    assert reported.cost(candidate("b", output_price=None), 7) is None
