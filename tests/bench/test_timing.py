"""Timing in turns."""

from modelsat.bench.timing import interleaved, machine, versions


def test_calls_are_timed_in_turns_after_one_untimed_round() -> None:
    order: list[str] = []
    seconds = interleaved([lambda: order.append("a"), lambda: order.append("b")], repeats=2)
    assert order == ["a", "b"] * 3
    assert len(seconds) == 2


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert set(versions(["numpy", "no-such-package"])) == {"python", "numpy"}
    assert int(machine()["threads"]) >= 1
