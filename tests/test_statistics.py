"""Intervals hold what they should, as often as they promise."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.statistics import PairedBootstrap, wilson_interval


def test_wilsons_interval_by_its_published_value() -> None:
    assert wilson_interval(0.5, 20) == pytest.approx((0.299, 0.701), abs=1e-3)


@given(mean=st.floats(0, 1), count=st.integers(1, 10_000))
def test_wilsons_interval_holds_its_mean_and_narrows_with_more_observations(mean: float, count: int) -> None:
    low, high = wilson_interval(mean, count)
    assert 0 <= low <= mean + 1e-9
    assert mean - 1e-9 <= high <= 1
    wider_low, wider_high = wilson_interval(mean, max(1, count // 2))
    assert wider_high - wider_low >= high - low - 1e-9


def test_a_bootstrap_interval_covers_the_mean_as_often_as_it_should(rng: np.random.Generator) -> None:
    hits = 0
    for _ in range(200):
        interval = PairedBootstrap(80, rng=rng, draws=400).interval(rng.normal(0.3, 1.0, size=80))
        hits += interval.low <= 0.3 <= interval.high
    assert hits > 175


def test_columns_that_hang_together_do_not_narrow_the_interval(rng: np.random.Generator) -> None:
    one = rng.normal(size=500)
    bootstrap = PairedBootstrap(500, rng=rng)
    single, sixfold = bootstrap.interval(one), bootstrap.interval(np.tile(one[:, None], 6))
    assert (single.low, single.high) == pytest.approx((sixfold.low, sixfold.high))


def test_a_difference_of_two_columns_has_the_interval_of_the_difference(rng: np.random.Generator) -> None:
    first, second = rng.normal(size=(2, 50))
    bootstrap = PairedBootstrap(50, rng=rng)
    same, shifted = bootstrap.intervals(np.stack([first - second, first - second + 1], axis=1))
    assert (shifted.mean, shifted.low, shifted.high) == pytest.approx(
        (same.mean + 1, same.low + 1, same.high + 1)
    )


def test_two_thousand_draws_over_thousands_of_rows_are_quick(rng: np.random.Generator) -> None:
    start = time.perf_counter()
    PairedBootstrap(4_000, rng=rng).interval(rng.normal(size=(4_000, 6)))
    assert time.perf_counter() - start < 3
