"""Requests in a minute and money in a month, exactly."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.gateway.limits import Ledger, RequestWindow, month_of, seconds_to_next_month

moments = st.floats(0, 4e9, allow_nan=False)
gaps = st.lists(st.floats(0, 90, allow_nan=False), max_size=60)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@given(limit=st.integers(1, 8), gaps=gaps)
def test_no_60_seconds_hold_more_than_the_limit_and_nothing_is_refused_without_need(
    limit: int, gaps: list[float]
) -> None:
    window, now, admitted = RequestWindow(limit), 0.0, list[float]()
    for gap in gaps:
        now += gap
        wait = window.admit(now)
        recent = [moment for moment in admitted if moment + 60 > now]
        if wait == 0:
            admitted.append(now)
            assert len(recent) < limit
        else:
            assert len(recent) == limit
            assert wait == pytest.approx(min(recent) + 60 - now)


@given(limit=st.integers(1, 5), now=moments)
def test_who_waits_as_told_is_let_in(limit: int, now: float) -> None:
    window = RequestWindow(limit)
    assert [window.admit(now) for _ in range(limit)] == [0.0] * limit
    wait = window.admit(now)
    assert 0 < wait <= 60 + 1e-9
    assert window.admit(now + wait + 1e-3) == 0


@given(limit=st.integers(1, 8), gaps=gaps, sizes=st.lists(st.integers(1, 8), min_size=60, max_size=60))
def test_a_batch_is_counted_whole_or_not_at_all(limit: int, gaps: list[float], sizes: list[int]) -> None:
    window, now, admitted = RequestWindow(limit), 0.0, list[float]()
    for gap, size in zip(gaps, sizes, strict=False):
        now, requests = now + gap, min(size, limit)
        recent = [moment for moment in admitted if moment + 60 > now]
        wait = window.admit(now, requests)
        if wait == 0:
            assert len(recent) + requests <= limit
            admitted += [now] * requests
        else:
            later = now + wait
            assert len([moment for moment in recent if moment + 60 > later + 1e-6]) + requests <= limit
            assert len(recent) + requests > limit


def test_a_clock_set_back_locks_nobody_out() -> None:
    window = RequestWindow(1)
    assert window.admit(10_000) == 0
    assert window.admit(100) == 0
    assert window.admit(101) == pytest.approx(59)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 1e6), moments), max_size=40))
def test_each_key_and_month_has_its_own_sum(charges: list[tuple[str, float, float]]) -> None:
    ledger = Ledger()
    for key, cost, now in charges:
        ledger.charge(key, cost, now)
    for key, _, now in charges:
        expected = sum(
            cost for name, cost, moment in charges if name == key and month_of(moment) == month_of(now)
        )
        assert ledger.spent(key, now) == pytest.approx(expected)


@given(st.sampled_from([float("nan"), float("inf"), float("-inf"), -1.0, -0.0, 0.0]))
def test_what_is_no_amount_of_money_changes_no_account(cost: float) -> None:
    ledger = Ledger()
    ledger.charge("a", 1.0, 0)
    ledger.charge("a", cost, 0)
    assert ledger.spent("a", 0) == 1.0


def test_what_others_spent_counts_too_and_is_replaced_not_added() -> None:
    ledger = Ledger()
    ledger.charge("a", 1.0, 0)
    for _ in range(2):
        ledger.learn({("a", "1970-01"): 2.0, ("b", "1970-01"): 5.0})
    assert (ledger.spent("a", 0), ledger.spent("b", 0)) == (3.0, 5.0)
    assert ledger.own() == {("a", "1970-01"): 1.0}


@pytest.mark.parametrize(
    ("moment", "month", "left"),
    [
        ("2026-02-28T23:00:00", "2026-02", 3_600),
        ("2026-12-31T23:59:00", "2026-12", 60),
        ("2028-02-01T00:00:00", "2028-02", 29 * 86_400),
    ],
)
def test_a_month_ends_where_the_calendar_says(moment: str, month: str, left: float) -> None:
    assert month_of(at(moment)) == month
    assert seconds_to_next_month(at(moment)) == left
    assert month_of(at(moment) + left) != month
