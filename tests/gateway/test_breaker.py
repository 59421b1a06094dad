"""When a candidate is left alone, and when it is tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.gateway.breaker import Breaker
from tests.gateway.parts import Clock


def make(clock: Clock, *, requests: int = 4, error_rate: float = 0.5) -> Breaker:
    return Breaker(window_s=30, requests=requests, error_rate=error_rate, open_s=10, clock=clock)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        assert breaker.allow()
        breaker.failed()


def test_failures_count_only_from_enough_requests_on() -> None:
    breaker = make(Clock())
    fail(breaker, 3)
    states = [breaker.state]
    fail(breaker, 1)
    assert [*states, breaker.state] == ["closed", "open"]
    assert not breaker.allow()
    assert breaker.retry_after == 10


def test_a_rate_below_the_limit_keeps_it_closed() -> None:
    breaker = make(Clock())
    for _ in range(20):
        for outcome in (breaker.succeeded, breaker.succeeded, breaker.failed):
            assert breaker.allow()
            outcome()
    assert breaker.state == "closed"


def test_old_failures_are_forgotten() -> None:
    clock = Clock()
    breaker = make(clock)
    fail(breaker, 3)
    clock.seconds += 31
    fail(breaker, 3)
    assert breaker.state == "closed"


def test_one_probe_decides_and_failed_probes_take_longer_and_longer() -> None:
    clock = Clock()
    breaker = make(clock)
    fail(breaker, 4)
    waits = []
    for _ in range(6):
        waits.append(breaker.retry_after)
        clock.seconds += breaker.retry_after
        assert breaker.state == "half-open"
        assert breaker.allow()
        assert not breaker.allow()
        breaker.failed()
    assert waits == [10, 20, 40, 80, 80, 80]
    clock.seconds += 80
    assert breaker.allow()
    breaker.succeeded()
    assert breaker.state == "closed"
    # It begins anew: one success and two failures are too few to count.
    fail(breaker, 2)
    assert breaker.state == "closed"


def test_a_client_that_leaves_a_probe_says_nothing() -> None:
    clock = Clock()
    breaker = make(clock)
    fail(breaker, 4)
    clock.seconds += 10
    assert breaker.allow()
    breaker.left()
    assert breaker.state == "half-open"
    assert breaker.allow()


@pytest.mark.parametrize(("asked", "waited"), [(7.0, 7.0), (1e9, 300.0), (0.0, 0.0)])
def test_a_named_time_is_waited_for_within_reason(asked: float, waited: float) -> None:
    clock = Clock()
    breaker = make(clock)
    assert breaker.allow()
    breaker.told_to_wait(asked)
    assert breaker.retry_after == waited
    assert breaker.allow() is (waited == 0)
    clock.seconds += waited
    assert breaker.state == "closed"


def test_busy_without_a_time_is_a_failure() -> None:
    breaker = make(Clock(), requests=1)
    assert breaker.allow()
    breaker.told_to_wait(None)
    assert breaker.state == "open"


steps = st.lists(
    st.tuples(st.sampled_from(["succeeded", "failed", "left", "wait"]), st.floats(0, 40)), max_size=60
)


@given(steps=steps, requests=st.integers(1, 5), error_rate=st.floats(0.1, 1))
def test_it_never_stays_shut_for_good(
    steps: list[tuple[str, float]], requests: int, error_rate: float
) -> None:
    clock = Clock()
    breaker = make(clock, requests=requests, error_rate=error_rate)
    for outcome, passed in steps:
        if breaker.allow():
            breaker.told_to_wait(passed) if outcome == "wait" else getattr(breaker, outcome)()
        assert breaker.retry_after <= 300
        assert (breaker.state == "open") == (breaker.retry_after > 0)
        clock.seconds += passed
    clock.seconds += breaker.retry_after
    assert breaker.allow()
    breaker.succeeded()
    assert breaker.state == "closed"
