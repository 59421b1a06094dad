"""How long scoring takes here, as it was seen lately: what cannot be done in time is better not begun."""

# Weight of the last batch in the running mean.
_LAST = 0.3
# Each refusal makes the estimate a little more hopeful, so that one slow moment cannot refuse everything for good.
_HOPE = 0.9
# Batches are planned to take this share of the time that is left: instructions differ in length.
_PLANNED = 0.7


class ThroughputEstimate:
    """A running mean of the seconds that one instruction takes; nothing is refused before the first was timed."""

    def __init__(self) -> None:
        self.seconds_each = 0.0

    def can_do(self, count: int, seconds_left: float) -> bool:
        """Whether so many instructions can be scored together in that time."""
        return count * self.seconds_each <= _PLANNED * seconds_left

    def took(self, batch: int, seconds: float) -> None:
        """Learn from a batch."""
        each = seconds / batch
        self.seconds_each = each if not self.seconds_each else (1 - _LAST) * self.seconds_each + _LAST * each

    def refused(self) -> None:
        """Learn that one instruction was refused on this estimate."""
        self.seconds_each *= _HOPE
