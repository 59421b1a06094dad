"""What a release keeps of a result."""

import pytest

from modelsat.bench.reporting.report import findings, summarise
from modelsat.bench.results import BenchmarkResult
from tests.bench.reporting.synthetic import benchmark


@pytest.fixture(scope="module")
def summary() -> BenchmarkResult:
    return summarise(benchmark())


def test_a_summary_is_a_result_of_a_few_kilobytes(summary: BenchmarkResult) -> None:
    text = summary.to_json()
    assert BenchmarkResult.from_json(text) == summary
    assert len(text) < 24_000
    assert len(text) < len(benchmark().to_json()) / 3


def test_summarising_twice_changes_nothing(summary: BenchmarkResult) -> None:
    assert summarise(summary) == summary


def test_a_summary_says_what_the_whole_result_says(summary: BenchmarkResult) -> None:
    assert findings(summary) == findings(benchmark())


def test_every_row_has_a_line_of_its_own(summary: BenchmarkResult) -> None:
    lines = summary.to_json().splitlines()
    assert sum(line.startswith('   ["') for line in lines) == sum(len(table.rows) for table in summary.tables)
