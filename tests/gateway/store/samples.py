"""Records to write."""

from typing import Any

from modelsat.gateway.records import DecisionRecord, FeedbackRecord, RankedCost, UsageRecord

RANKING = (RankedCost("dear", 0.9, 0.02), RankedCost("fair", 0.7, 0.001))


def decision(id_: str, **changes: Any) -> DecisionRecord:
    fields: dict[str, Any] = {
        "at": 100.0,
        "key_id": None,
        "policy": "best",
        "candidate": "dear",
        "score": 0.9,
        "ranking": RANKING,
        "route_ms": 12.5,
        "request_tokens": 40,
    }
    return DecisionRecord(id=id_, **fields | changes)


def usage(decision_id: str, **changes: Any) -> UsageRecord:
    fields: dict[str, Any] = {
        "at": 101.0,
        "candidate": "dear",
        "status": 200,
        "input_tokens": 40,
        "output_tokens": 100,
        "cost": 0.02,
        "upstream_ms": 900.0,
        "first_byte_ms": 200.0,
        "fallbacks": 0,
    }
    return UsageRecord(decision_id=decision_id, **fields | changes)


def feedback(decision_id: str, score: float, at: float = 200.0) -> FeedbackRecord:
    return FeedbackRecord(decision_id=decision_id, at=at, score=score)
