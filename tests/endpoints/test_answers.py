import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.endpoints.answers import TokenCounts, error_message, json_object, retry_after_s, token_counts

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", None),
        ("7", 7.0),
        (" 0.5 ", 0.5),
        ("Sat, 31 Jan 2026 12:00:30 GMT", 30.0),
        ("Sat, 31 Jan 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        ("nan", None),
        ("9" * 40, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": header}, NOON) == seconds


def test_retry_after_in_milliseconds_comes_first() -> None:
    assert retry_after_s({"retry-after-ms": "1500", "retry-after": "2"}) == 1.5
    assert retry_after_s({"retry-after-ms": "soon", "retry-after": "2"}) == 2.0
    assert retry_after_s({}) is None


def test_counts_of_tokens_are_whole_numbers_or_unknown() -> None:
    assert token_counts({"prompt_tokens": 3, "completion_tokens": 0}) == TokenCounts(input=3, output=0)
    odd_ones: list[object] = [None, [], {}, {"prompt_tokens": True, "completion_tokens": -1}]
    for odd in (*odd_ones, {"prompt_tokens": 2**80}):
        assert token_counts(odd) == TokenCounts()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "No\x1b[31m such\nmodel"}}, "No [31m such model"),
        ({"error": "busy"}, "busy"),
        ({"detail": "not found"}, "not found"),
        ({"message": "x" * 1000}, "x" * 197 + "..."),
        ({"error": {"message": 7}}, ""),
        ([1], ""),
    ],
)
def test_a_servers_message_is_one_short_line(body: object, message: str) -> None:
    assert error_message(json.dumps(body).encode()) == message


@given(st.binary(max_size=100) | st.just(b"[" * 200_000) | st.just(b'{"a": "\xff"}'))
def test_no_bytes_break_the_reading(body: bytes) -> None:
    assert isinstance(json_object(body), dict)
    assert isinstance(error_message(body), str)


@given(st.text(max_size=40))
def test_no_header_breaks_the_reading(value: str) -> None:
    wait = retry_after_s({"retry-after": value, "retry-after-ms": value})
    assert wait is None or wait >= 0
