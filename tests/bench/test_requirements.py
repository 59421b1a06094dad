"""Requirements: read as users write them, held against the right number."""

import pytest

from modelsat.bench.requirements import Requirement, failures
from modelsat.bench.results import BenchmarkResult
from modelsat.errors import DataError
from tests.bench.reporting.synthetic import benchmark


@pytest.fixture(scope="module")
def result() -> BenchmarkResult:
    return benchmark(whole=False)


def cell(result: BenchmarkResult, column: str, method: str, zoo: str) -> float:
    table = result.table("zoos")
    assert table is not None
    parts = [str(row["part"]) for row in table.records()]
    part = "pooled" if "pooled" in parts else parts[0]
    return next(
        float(row[column])  # type: ignore[arg-type]
        for row in table.records()
        if (row["method"], row["zoo"], row["part"]) == (method, zoo, part)
    )


def test_a_gain_is_the_routers_own(result: BenchmarkResult) -> None:
    gain = cell(result, "gain", "Model-SAT", "smaller_scale")
    requirement = Requirement.parse(" gain.smaller_scale > 0 ")
    assert requirement.value(result) == gain
    assert failures([requirement], result) == ([] if gain > 0 else [f"{requirement.text}: it is {gain:.4f}"])


def test_a_lead_is_the_least_over_all_rivals_unless_one_is_named(result: BenchmarkResult) -> None:
    over_knn = cell(result, "lead", "kNN 200", "mean")
    assert Requirement.parse("lead.mean[kNN 200]>=0").value(result) == over_knn
    assert Requirement.parse("lead.mean>=0").value(result) <= over_knn


def test_ranking_can_be_required_by_group(result: BenchmarkResult) -> None:
    assert 0 < Requirement.parse("auc.unseen>0.5").value(result) < 1


def test_only_what_fails_is_told(result: BenchmarkResult) -> None:
    gain = cell(result, "gain", "Model-SAT", "mean")
    held = [Requirement.parse(text) for text in ("gain.mean<=1", "gain.mean>1")]
    assert failures(held, result) == [f"gain.mean>1: it is {gain:.4f}"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("gain", "expected METRIC.ZOO>NUMBER"),
        ("beauty.mean>0", "no metric 'beauty'; there are accuracy, gain"),
        ("gain.mean>much", "'much' is not a number"),
    ],
)
def test_a_malformed_requirement_is_refused(text: str, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        Requirement.parse(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("gain.nowhere>0", "no 'nowhere'; it has .*mean"),
        ("gain.mean[nobody]>0", "not defined for nobody"),
    ],
)
def test_a_requirement_on_what_was_not_measured_is_refused(
    text: str, fault: str, result: BenchmarkResult
) -> None:
    with pytest.raises(DataError, match=fault):
        Requirement.parse(text).value(result)
