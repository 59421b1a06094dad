"""From records to rows: what the gateway tells the journal, as the tables hold it."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from modelsat.gateway.records import DecisionRecord, Record, UsageRecord
from modelsat.gateway.store.schema import decisions, feedback, usage

Row = dict[str, Any]
_INSERTS: dict[str, Callable[[sa.Table], Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def save_records(connection: sa.Connection, records: Sequence[Record]) -> None:
    """Write records; what is there already stays, but later feedback replaces earlier.

    Writing the same records again changes nothing.
    """
    rows: dict[sa.Table, list[Row]] = {decisions: [], usage: [], feedback: []}
    for record in records:
        table, row = _row(record)
        rows[table].append(row)
    for table, several in rows.items():
        if several:
            connection.execute(_insert(connection, table), several)


def upsert(connection: sa.Connection, table: sa.Table, *replaced: str) -> sa.Executable:
    """An insert that replaces some columns of a row that is there already, or leaves it as it is."""
    statement = _INSERTS[connection.dialect.name](table)
    if not replaced:
        return statement.on_conflict_do_nothing()  # type: ignore[no-any-return]
    return statement.on_conflict_do_update(  # type: ignore[no-any-return]
        index_elements=list(table.primary_key),
        set_={column: statement.excluded[column] for column in replaced},
    )


def storable(value: str | None) -> str | None:
    """A text as both databases can hold it: PostgreSQL takes no NUL, and neither takes half a surrogate pair."""
    if value is None:
        return None
    return value.encode("utf-8", errors="replace").decode("utf-8").replace("\x00", "\ufffd")


def _insert(connection: sa.Connection, table: sa.Table) -> sa.Executable:
    return upsert(connection, table, *(("at", "score") if table is feedback else ()))


def _row(record: Record) -> tuple[sa.Table, Row]:
    if isinstance(record, DecisionRecord):
        return decisions, {
            "id": storable(record.id),
            "at": float(record.at),
            "key_id": storable(record.key_id),
            "origin": storable(record.origin),
            "policy": storable(record.policy),
            "candidate": storable(record.candidate),
            "score": _number(record.score),
            "ranking": [
                [storable(name), _number(probability), _number(cost)]
                for name, probability, cost in record.ranking
            ],
            "route_ms": float(record.route_ms),
            "request_tokens": record.request_tokens,
            "conversation": storable(record.conversation),
            "shadow": bool(record.shadow),
            "prompt": storable(record.prompt),
        }
    if isinstance(record, UsageRecord):
        return usage, {
            "decision_id": storable(record.decision_id),
            "at": float(record.at),
            "candidate": storable(record.candidate),
            "status": int(record.status),
            "input_tokens": record.input_tokens,
            "output_tokens": record.output_tokens,
            "cost": _number(record.cost),
            "upstream_ms": float(record.upstream_ms),
            "first_byte_ms": _number(record.first_byte_ms),
            "fallbacks": int(record.fallbacks),
        }
    return feedback, {
        "decision_id": storable(record.decision_id),
        "at": float(record.at),
        "score": float(record.score),
    }


def _number(value: float | None) -> float | None:
    # JSON has no word for a number that is not finite.
    return None if value is None or not math.isfinite(value) else float(value)
