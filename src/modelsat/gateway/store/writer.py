"""A background thread that writes what it is handed, in batches, and never makes its callers wait.

Knows nothing of what is written: it is given a function that saves a batch within a transaction.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Generic, TypeVar

import sqlalchemy as sa

from modelsat.gateway.store.database import writing

Record = TypeVar("Record")

CAPACITY = 20_000
BATCH = 1_000
INTERVAL_S = 0.25
LONGEST_PAUSE_S = 2.0

_log = logging.getLogger(__name__)
# What says that a value cannot be stored; any other error says that the database cannot be written now.
_REFUSALS = (sa.exc.DataError, sa.exc.IntegrityError, OverflowError, ValueError, TypeError)


class BatchWriter(Generic[Record]):
    """Writes records in the order in which they came, at least every `interval_s`.

    While the database cannot be reached, records wait; where no more than `capacity` may wait, new ones are dropped
    and counted. A record that the database refuses is dropped and counted by itself.
    """

    def __init__(
        self,
        engine: sa.Engine,
        save: Callable[[sa.Connection, Sequence[Record]], None],
        *,
        capacity: int = CAPACITY,
        interval_s: float = INTERVAL_S,
    ) -> None:
        """Start the thread.

        Args:
            engine: The database.
            save: Writes a batch. It must be safe to repeat: after a lost connection nobody knows whether a
                transaction was committed.
            capacity: Most records that may wait.
            interval_s: Longest wait of a record while the database keeps up.
        """
        self._engine = engine
        self._save = save
        self._capacity = capacity
        self._interval_s = interval_s
        self._state = threading.Condition()
        self._waiting: list[Record] = []
        self._accepted = 0
        self._settled = 0
        self._dropped = 0
        self._hurry = False
        self._closed = False
        self._give_up = False
        self._thread = threading.Thread(target=self._run, name="modelsat-store", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Records lost so far: they found no room, or the database refused them."""
        return self._dropped

    @property
    def backlog(self) -> int:
        """Records accepted and not written yet."""
        return self._accepted - self._settled

    def submit(self, record: Record) -> bool:
        """Hand a record over, from any thread.

        Returns:
            False where it was dropped.
        """
        with self._state:
            if self._closed or self.backlog >= self._capacity:
                self._dropped += 1
                return False
            self._waiting.append(record)
            self._accepted += 1
            if len(self._waiting) >= BATCH:
                self._state.notify_all()
        return True

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was accepted before this call is written.

        Returns:
            False where time ran out first.
        """
        with self._state:
            wanted = self._accepted
            self._hurry = True
            self._state.notify_all()
            return self._state.wait_for(lambda: self._settled >= wanted, timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Write what is left, and stop the thread.

        Returns:
            False where time ran out first; what was left is then counted as dropped.
        """
        deadline = monotonic() + timeout_s
        with self._state:
            self._closed = True
            self._state.notify_all()
        self._thread.join(timeout_s)
        with self._state:
            self._give_up = True
            self._state.notify_all()
        self._thread.join(max(0.0, deadline - monotonic()) + 1.0)
        with self._state:
            left = self.backlog
            self._dropped += left
            self._settled += left
        return left == 0

    def _run(self) -> None:
        while True:
            with self._state:
                self._state.wait_for(
                    lambda: self._hurry or self._closed or len(self._waiting) >= BATCH, self._interval_s
                )
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                if not batch and self._closed:
                    return
                self._hurry = self._hurry and bool(self._waiting)
            if batch and not self._write(batch):
                return

    def _write(self, batch: list[Record]) -> bool:
        """Write a batch, however long it takes; False where the writer was told to give up."""
        pause_s = self._interval_s / 2
        while True:
            try:
                refused = self._write_around_refusals(batch)
            except Exception as error:
                # Whatever it is: without this thread nothing would be recorded any more.
                _log.warning(
                    "the store cannot be written (%s); %d records wait", type(error).__name__, self.backlog
                )
            else:
                with self._state:
                    self._dropped += refused
                    self._settled += len(batch)
                    self._state.notify_all()
                return True
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            with self._state:
                if self._state.wait_for(lambda: self._give_up, pause_s):
                    return False

    def _write_around_refusals(self, batch: Sequence[Record]) -> int:
        """Write a batch in one transaction, or, where a value is refused, its halves; counts what is refused."""
        try:
            with writing(self._engine) as connection:
                self._save(connection, batch)
        except _REFUSALS:
            pass
        else:
            return 0
        if len(batch) == 1:
            _log.warning("the store refused a record; it was dropped")
            return 1
        middle = len(batch) // 2
        return self._write_around_refusals(batch[:middle]) + self._write_around_refusals(batch[middle:])
