"""Labels that stand apart."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from modelsat.bench.reporting.marks import spread

PLACES = st.lists(st.floats(-10, 10), min_size=1, max_size=12)


@given(PLACES, st.floats(0.01, 2))
def test_no_two_labels_are_closer_than_the_gap_and_their_order_stays(places: list[float], gap: float) -> None:
    moved = spread(places, gap)
    order = sorted(range(len(places)), key=lambda index: places[index])
    for lower, upper in pairwise(order):
        assert moved[upper] - moved[lower] >= gap - 1e-9


@given(PLACES, st.floats(0.01, 2))
def test_labels_stay_around_where_they_belong(places: list[float], gap: float) -> None:
    moved = spread(places, gap)
    assert abs(sum(moved) - sum(places)) < 1e-6 * len(places) + 1e-9


def test_a_label_that_is_not_crowded_keeps_its_place() -> None:
    assert spread([5.0, 0.0, 0.1], 1.0) == [5.0, -0.45, 0.55]
