"""The seams to store and keys, in memory."""

import asyncio

import pytest

from modelsat.gateway.errors import GatewayError
from modelsat.gateway.memory import MemoryJournal, OpenDoor
from modelsat.gateway.records import Caller, DecisionRecord, FeedbackRecord


def decision(id: str, key_id: str | None = None) -> DecisionRecord:
    return DecisionRecord(
        id=id,
        at=0.0,
        key_id=key_id,
        policy="best",
        candidate="a",
        score=0.5,
        ranking=(),
        route_ms=1.0,
        request_tokens=3,
    )


def test_a_decision_is_known_to_its_own_key_only() -> None:
    journal = MemoryJournal()
    assert journal.record(decision("one", "key"))
    assert asyncio.run(journal.known_decision("one", "key"))
    assert not asyncio.run(journal.known_decision("one", "other"))
    assert not asyncio.run(journal.known_decision("one", None))
    assert not asyncio.run(journal.known_decision("two", "key"))


def test_the_oldest_records_go() -> None:
    journal = MemoryJournal(limit=2)
    for id in ("one", "two", "three"):
        journal.record(decision(id))
    journal.record(FeedbackRecord(decision_id="three", at=1.0, score=1.0))
    assert len(journal.records) == 2
    assert not asyncio.run(journal.known_decision("one", None))
    assert asyncio.run(journal.known_decision("three", None))


def test_the_open_door_knows_nobody() -> None:
    assert asyncio.run(OpenDoor().admit("Bearer anything", 0.0)) == Caller(
        key_id=None, allowed_candidates=None
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (429, "rate_limit_error"),
        (503, "server_error"),
    ],
)
def test_errors_are_in_openai_format(status: int, kind: str) -> None:
    error = GatewayError("why; mend it", status=status, code="reason", retry_after=0.2)
    assert error.body() == {
        "error": {"message": "why; mend it", "type": kind, "param": None, "code": "reason"}
    }
    assert error.headers()["retry-after"] == "1"
    assert ("www-authenticate" in error.headers()) == (status == 401)
