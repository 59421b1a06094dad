"""What the report reads: decisions with what became of them, one by one, whatever their number."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from modelsat.gateway.records import RankedCost
from modelsat.gateway.store.schema import decisions, feedback, usage

ROWS_AT_ONCE = 2_000
_OF_DECISION = ("at", "origin", "candidate", "ranking", "shadow")
_OF_USAGE = ("status", "input_tokens", "output_tokens", "cost", "upstream_ms", "fallbacks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """One decision and what became of it.

    Attributes:
        at: When it was made.
        origin: Who decided; see `DecisionRecord`.
        candidate: The candidate decided for.
        ranking: Eligible candidates; empty where no router was asked.
        shadow: Whether a fixed candidate answered instead.
        answered_by: Who answered; None where nobody did (a decision only, or not over yet).
        status: HTTP status that the client was given; None where nobody answered.
        input_tokens: None where unknown.
        output_tokens: None where unknown.
        cost: None where unknown.
        upstream_ms: None where nobody answered.
        fallbacks: Candidates that failed before.
        feedback: From 0 to 1; None where nobody said.
    """

    at: float
    origin: str
    candidate: str
    ranking: tuple[RankedCost, ...]
    shadow: bool
    answered_by: str | None
    status: int | None
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    upstream_ms: float | None
    fallbacks: int
    feedback: float | None


class TrafficReader:
    """Reads one period as often as wanted; each time the same rows."""

    def __init__(self, connection: sa.Connection, *, since: float, until: float, key_id: str | None) -> None:
        """Choose what is read.

        Args:
            connection: Within a transaction that sees one state of the store; see `reading`.
            since: Decisions from this moment on.
            until: Decisions before this moment.
            key_id: Of this key only; None for all.
        """
        self._connection = connection
        self._period = sa.and_(decisions.c.at >= since, decisions.c.at < until)
        if key_id is not None:
            self._period &= decisions.c.key_id == key_id

    def __len__(self) -> int:
        """How many decisions there are."""
        query = sa.select(sa.func.count()).select_from(decisions).where(self._period)
        return int(self._connection.execute(query).scalar_one())

    def __iter__(self) -> Iterator[Traffic]:
        """The decisions, in order of time."""
        query = (
            sa.select(
                *(decisions.c[name] for name in _OF_DECISION),
                *(usage.c[name] for name in _OF_USAGE),
                usage.c.candidate.label("answered_by"),
                feedback.c.score.label("feedback"),
            )
            .select_from(
                decisions.outerjoin(usage, usage.c.decision_id == decisions.c.id).outerjoin(
                    feedback, feedback.c.decision_id == decisions.c.id
                )
            )
            .where(self._period)
            .order_by(decisions.c.at)
            .execution_options(yield_per=ROWS_AT_ONCE)
        )
        for row in self._connection.execute(query).mappings():
            fields = dict(row)
            fields["ranking"] = tuple(RankedCost(*line) for line in row["ranking"])
            fields["fallbacks"] = row["fallbacks"] or 0
            yield Traffic(**fields)


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that sees one state of the store, whatever is written meanwhile."""
    # SQLite's own transactions do that already.
    options = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    with engine.execution_options(**options).connect() as connection:
        yield connection
