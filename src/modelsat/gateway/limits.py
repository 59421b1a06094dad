"""How much a key may do: requests in a minute, money in a month. Pure bookkeeping; time is handed in.

Times are seconds since 1970 (UTC).
"""

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from threading import Lock

MINUTE_S = 60.0
# Every request of the last minute is remembered, so the limit bounds the memory of a key.
MAX_REQUESTS_PER_MINUTE = 100_000


class RequestWindow:
    """At most so many requests in any 60 seconds, counted exactly."""

    def __init__(self, limit: int) -> None:
        """Start with no requests.

        Args:
            limit: Requests that any span of 60 seconds may hold.
        """
        self.limit = limit
        self._admitted: deque[float] = deque(maxlen=limit)

    def admit(self, now: float, requests: int = 1) -> float:
        """Count requests in, if they all fit.

        Args:
            now: Their time.
            requests: How many; not more than the limit.

        Returns:
            0 if they were counted in; else the seconds after which they will fit.
        """
        # After a clock was set back, the time to come must not count as the last minute.
        while self._admitted and self._admitted[-1] > now:
            self._admitted.pop()
        over = len(self._admitted) + requests - self.limit
        if over > 0:
            wait = self._admitted[over - 1] + MINUTE_S - now
            if wait > 0:
                return wait
        self._admitted.extend([now] * requests)
        return 0.0


def month_of(now: float) -> str:
    """The calendar month (UTC) that money spent now counts to, such as "2026-03"."""
    return f"{datetime.fromtimestamp(now, UTC):%Y-%m}"


def seconds_to_next_month(now: float) -> float:
    """Seconds until budgets begin anew."""
    moment = datetime.fromtimestamp(now, UTC)
    first = datetime(moment.year + moment.month // 12, moment.month % 12 + 1, 1, tzinfo=UTC)
    return (first - moment).total_seconds()


class Ledger:
    """What keys spend in a month, as this process knows it: what it charged, and what it heard of other processes.

    Months are kept apart, so that a clock that is set back wipes out nothing. Safe to use from several threads.
    """

    def __init__(self) -> None:
        """Start with nothing spent."""
        self._lock = Lock()
        self._own: dict[tuple[str, str], float] = {}
        self._others: dict[tuple[str, str], float] = {}

    def charge(self, key_id: str, cost: float, now: float) -> None:
        """Add the cost of an answer; a cost that is no amount of money counts as nothing."""
        if not (isfinite(cost) and cost > 0):
            return
        account = (key_id, month_of(now))
        with self._lock:
            self._own[account] = self._own.get(account, 0.0) + cost

    def spent(self, key_id: str, now: float) -> float:
        """Money that a key has spent this month, by all processes."""
        account = (key_id, month_of(now))
        with self._lock:
            return self._own.get(account, 0.0) + self._others.get(account, 0.0)

    def own(self) -> dict[tuple[str, str], float]:
        """What this process has charged, by key and month."""
        with self._lock:
            return dict(self._own)

    def learn(self, others: Mapping[tuple[str, str], float]) -> None:
        """Take over what other processes have charged in all, by key and month."""
        with self._lock:
            self._others = dict(others)
