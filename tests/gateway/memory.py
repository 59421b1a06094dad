"""Journal and authenticator that keep everything in memory: for a gateway without store and keys."""

from collections import OrderedDict, deque

from modelsat.gateway.records import Caller, DecisionRecord, Record

REMEMBERED = 10_000


class MemoryJournal:
    """Keeps the last records.

    Args:
        limit: Records kept.
    """

    def __init__(self, limit: int = REMEMBERED) -> None:
        self.records: deque[Record] = deque(maxlen=limit)
        self._decisions: OrderedDict[str, str | None] = OrderedDict()
        self._limit = limit

    def record(self, record: Record) -> bool:
        """Keep a record; the oldest goes."""
        self.records.append(record)
        if isinstance(record, DecisionRecord):
            self._decisions[record.id] = record.key_id
            if len(self._decisions) > self._limit:
                self._decisions.popitem(last=False)
        return True

    @property
    def backlog(self) -> int:
        """Nothing waits."""
        return 0

    @property
    def dropped(self) -> int:
        """Nothing is lost, only forgotten."""
        return 0

    async def known_decision(self, decision_id: str, key_id: str | None) -> bool:
        """Whether this decision is remembered, and was made for this key."""
        return decision_id in self._decisions and self._decisions[decision_id] == key_id

    async def close(self) -> None:
        """Nothing is left to write."""


class OpenDoor:
    """Lets everyone in: for a gateway that listens on loopback only."""

    open = True

    async def admit(self, authorization: str | None, now: float) -> Caller:
        """Let a request in, whatever it carries."""
        return Caller()

    def count(self, caller: Caller, more: int, now: float) -> None:
        """There are no rates without keys."""

    def charge(self, caller: Caller, cost: float) -> None:
        """Nothing is counted without keys."""
