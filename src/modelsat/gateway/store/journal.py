"""The gateway's journal in a database."""

import asyncio
import logging

import sqlalchemy as sa

from modelsat.gateway.errors import GatewayError
from modelsat.gateway.records import Record
from modelsat.gateway.store.rows import save_records, storable
from modelsat.gateway.store.schema import decisions
from modelsat.gateway.store.writer import CAPACITY, INTERVAL_S, BatchWriter

FLUSH_TIMEOUT_S = 2.0
CLOSE_TIMEOUT_S = 10.0

_log = logging.getLogger(__name__)


class StoreJournal:
    """Takes records without waiting and writes them soon after; a `Journal`."""

    def __init__(
        self, engine: sa.Engine, *, capacity: int = CAPACITY, interval_s: float = INTERVAL_S
    ) -> None:
        """Start writing.

        Args:
            engine: An open store; whoever opened it disposes of it after `close`.
            capacity: Most records that may wait for the database; others are dropped and counted.
            interval_s: Longest wait of a record while the database keeps up: what a killed process loses.
        """
        self._engine = engine
        self._writer = BatchWriter(engine, save_records, capacity=capacity, interval_s=interval_s)

    @property
    def dropped(self) -> int:
        """Records lost so far."""
        return self._writer.dropped

    @property
    def backlog(self) -> int:
        """Records taken and not written yet."""
        return self._writer.backlog

    def record(self, record: Record) -> bool:
        """Take a record; False where it was dropped, because the database has been out of reach for long."""
        return self._writer.submit(record)

    def flush(self, timeout_s: float = FLUSH_TIMEOUT_S) -> bool:
        """Wait until all that was taken is written; False where time ran out first."""
        return self._writer.flush(timeout_s)

    async def known_decision(self, decision_id: str, key_id: str | None) -> bool:
        """Whether this decision was recorded for this key (None: made without keys).

        Raises:
            GatewayError: 503 where the database is out of reach.
        """
        try:
            return await asyncio.to_thread(self._known_decision, decision_id, key_id)
        except sa.exc.SQLAlchemyError as error:
            _log.warning("the store cannot be read (%s)", type(error).__name__)
            raise GatewayError(
                "The store of decisions is out of reach; try again.",
                status=503,
                code="store_unavailable",
                retry_after=1.0,
            ) from None

    async def close(self) -> None:
        """Write all that was taken; nothing is recorded afterwards."""
        await asyncio.to_thread(self._writer.close, CLOSE_TIMEOUT_S)

    def _known_decision(self, decision_id: str, key_id: str | None) -> bool:
        if self._is_written(decision_id, key_id):
            return True
        # It may be among those that wait.
        return self.backlog > 0 and self.flush() and self._is_written(decision_id, key_id)

    def _is_written(self, decision_id: str, key_id: str | None) -> bool:
        query = sa.select(decisions.c.id).where(
            decisions.c.id == storable(decision_id), decisions.c.key_id.is_not_distinct_from(key_id)
        )
        with self._engine.connect() as connection:
            return connection.execute(query).first() is not None
