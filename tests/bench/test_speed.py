"""Timing: what is counted, and when a bar is met. How fast things are is for `modelsat bench speed` to say."""

import time

import pytest

from modelsat.bench.measure import Measure, SpeedReport
from modelsat.bench.timing import interleaved, stopwatch, versions


class Sleeper:
    def sleep(self, seconds: float) -> str:
        time.sleep(seconds)
        return "awake"


@pytest.mark.parametrize(
    ("value", "bar", "better", "met"),
    [
        (1.0, 1.2, "lower", True),
        (1.3, 1.2, "lower", False),
        (13.0, 12.0, "higher", True),
        (1.0, None, "lower", None),
    ],
)
def test_a_bar_is_met_from_its_own_side(
    value: float, bar: float | None, better: str, met: bool | None
) -> None:
    measure = Measure(
        name="x", value=value, unit="x", bar=bar, better="lower" if better == "lower" else "higher"
    )
    assert measure.met is met
    report = SpeedReport(machine={}, versions={}, measures=(measure,))
    assert report.to_json()["measures"][0]["met"] is met


def test_a_stopwatch_counts_one_objects_calls_and_leaves_it_as_it_was() -> None:
    sleeper = Sleeper()
    with stopwatch(sleeper, "sleep") as seconds:
        assert sleeper.sleep(0.01) == "awake"
        sleeper.sleep(0.0)
        Sleeper().sleep(0.0)
    sleeper.sleep(0.0)
    assert len(seconds) == 2
    assert seconds[0] >= 0.01


def test_calls_are_timed_in_turns_after_one_untimed_round() -> None:
    order: list[str] = []
    seconds = interleaved([lambda: order.append("a"), lambda: order.append("b")], repeats=2)
    assert order == ["a", "b"] * 3
    assert len(seconds) == 2


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert set(versions(["numpy", "no-such-package"])) == {"python", "numpy"}
