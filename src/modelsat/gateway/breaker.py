"""A circuit breaker for each candidate: who keeps failing is left alone for a while, then probed with one request."""

from collections import deque
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "half-open", "open"]
# A candidate that keeps failing its probes is left alone for longer and longer, up to this many times as long.
LONGEST = 8
LONGEST_RETRY_AFTER_S = 300.0


class Breaker:
    """Decides whether a candidate is asked.

    Closed, it counts failures; above a rate it opens and nobody is let through; after a while one probe is (half-open),
    which closes it or opens it for twice as long. Every `allow()` that gave True is followed by one of `succeeded`,
    `failed`, `told_to_wait` and `left`.

    Args:
        window_s: How far back requests count.
        requests: Requests in the window before their failures count.
        error_rate: Share of failures that opens it.
        open_s: How long it is open at first.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        *,
        window_s: float,
        requests: int,
        error_rate: float,
        open_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._window_s = window_s
        self._requests = requests
        self._error_rate = error_rate
        self._open_s = open_s
        self._clock = clock
        self._outcomes: deque[tuple[float, bool]] = deque()
        self._failures = 0
        self._opened_times = 0
        self._open_until: float | None = None
        self._wait_until = float("-inf")
        self._probing = False

    @property
    def state(self) -> State:
        """What a request would meet now."""
        if self._open_until is None:
            return "closed" if self._clock() >= self._wait_until else "open"
        return "open" if self._clock() < max(self._open_until, self._wait_until) else "half-open"

    @property
    def retry_after(self) -> float:
        """Seconds until a request may be let through."""
        until = max(self._open_until or float("-inf"), self._wait_until)
        return max(0.0, until - self._clock())

    def allow(self) -> bool:
        """Whether to ask the candidate now."""
        state = self.state
        if state == "half-open":
            if self._probing:
                return False
            self._probing = True
            return True
        return state == "closed"

    def succeeded(self) -> None:
        """The candidate answered."""
        self._probing = False
        if self._open_until is not None:
            self._open_until, self._opened_times = None, 0
            self._outcomes.clear()
            self._failures = 0
        self._count(False)

    def failed(self) -> None:
        """The candidate did not answer, or broke off."""
        probe, self._probing = self._probing, False
        self._count(True)
        asked = len(self._outcomes)
        too_many = asked >= self._requests and self._failures >= self._error_rate * asked
        if probe or (self._open_until is None and too_many):
            longer = min(LONGEST, 2**self._opened_times)
            self._open_until = self._clock() + self._open_s * longer
            self._opened_times += 1

    def told_to_wait(self, retry_after_s: float | None) -> None:
        """The candidate asked for a pause (429); without a time it counts as a failure."""
        if retry_after_s is None:
            self.failed()
            return
        self._probing = False
        wait = min(max(0.0, retry_after_s), LONGEST_RETRY_AFTER_S)
        self._wait_until = max(self._wait_until, self._clock() + wait)

    def left(self) -> None:
        """The client left before it was known whether the candidate answers."""
        self._probing = False

    def _count(self, failure: bool) -> None:
        now = self._clock()
        self._outcomes.append((now, failure))
        self._failures += failure
        while self._outcomes and self._outcomes[0][0] <= now - self._window_s:
            self._failures -= self._outcomes.popleft()[1]
