"""Throughput of an exam: a small run of everything."""

import pytest

from benchmarks.exam import measure_throughput


@pytest.mark.slow
@pytest.mark.enable_socket
def test_a_small_exam_is_measured_against_both_references() -> None:
    report = measure_throughput(questions=64, repeats=1)
    bare, ideal = report.measures
    assert (bare.bar, ideal.bar) == (60.0, 85.0)
    assert bare.value > 0
    assert 0 < ideal.value <= 101
