"""How long scoring takes here, as seen lately: what cannot be done in time is better not begun."""

import time
from collections import deque
from collections.abc import Callable
from statistics import median_low

# The median of the last few batches, and of two at least: a process that was stopped for a moment is not slow.
_FEWEST, _MOST = 2, 5
# Batches are planned to take this share of the time that is left: instructions differ in length.
_PLANNED = 0.7
# The estimate fades with the seconds since the last batch: refusals keep it from being corrected.
_FORGOTTEN_AFTER_S = 30.0


class ThroughputEstimate:
    """The seconds that one instruction takes.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._batches: deque[float] = deque(maxlen=_MOST)
        self._last = clock()

    @property
    def seconds_each(self) -> float:
        """Seconds for one instruction; 0 where too little is known, so that nothing is refused."""
        if len(self._batches) < _FEWEST:
            return 0.0
        return median_low(self._batches) * max(0.0, 1.0 - (self._clock() - self._last) / _FORGOTTEN_AFTER_S)

    def can_do(self, count: int, seconds_left: float) -> bool:
        """Whether so many instructions can be scored together in that time."""
        return count * self.seconds_each <= _PLANNED * seconds_left

    def took(self, count: int, seconds: float) -> None:
        """Learn from a batch of so many instructions."""
        self._batches.append(seconds / count)
        self._last = self._clock()
