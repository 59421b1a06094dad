"""How much a key may do: requests in a minute, money in a month. Pure bookkeeping; time is handed in.

Times are seconds since 1970 (UTC).
"""

from collections import deque
from datetime import UTC, datetime

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

    def admit(self, now: float) -> float:
        """Count a request in, if it fits.

        Args:
            now: The time of the request.

        Returns:
            0 if it was counted in; else the seconds after which one will fit.
        """
        # After a clock was set back, the time to come must not count as the last minute.
        while self._admitted and self._admitted[-1] > now:
            self._admitted.pop()
        if len(self._admitted) == self.limit:
            wait = self._admitted[0] + MINUTE_S - now
            if wait > 0:
                return wait
        self._admitted.append(now)
        return 0.0


def month_of(now: float) -> str:
    """The calendar month (UTC) that money spent now counts to, such as "2026-03"."""
    return f"{datetime.fromtimestamp(now, UTC):%Y-%m}"


def seconds_to_next_month(now: float) -> float:
    """Seconds until budgets begin anew."""
    moment = datetime.fromtimestamp(now, UTC)
    first = datetime(moment.year + moment.month // 12, moment.month % 12 + 1, 1, tzinfo=UTC)
    return (first - moment).total_seconds()


class Account:
    """What one key spends in the current month, as this process knows it.

    Other processes charge the same key: their totals come in with `learn`, and what this process has charged goes out
    with `own`. Each total only ever grows within a month, so that the order in which they meet does not matter.
    """

    def __init__(self) -> None:
        """Start with nothing spent."""
        self._month = ""
        self._own = 0.0
        self._others = 0.0

    def charge(self, cost: float, now: float) -> None:
        """Add the cost of an answer."""
        self._turn_to(month_of(now))
        self._own += cost

    def learn(self, others: float, now: float) -> None:
        """Take over what other processes have charged this month."""
        self._turn_to(month_of(now))
        self._others = others

    def spent(self, now: float) -> float:
        """Money spent this month, by all processes."""
        self._turn_to(month_of(now))
        return self._own + self._others

    def own(self) -> tuple[str, float]:
        """The month, and what this process has charged in it."""
        return self._month, self._own

    def _turn_to(self, month: str) -> None:
        # Months only go forward: a clock set back must not wipe out what was spent.
        if month > self._month:
            self._month, self._own, self._others = month, 0.0, 0.0
