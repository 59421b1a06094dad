"""What a release keeps of a result."""

import pytest

from modelsat.bench.reporting.observations import findings
from modelsat.bench.reporting.summary import summarise, summary_text
from modelsat.bench.results import BenchmarkResult
from tests.bench.reporting.synthetic import benchmark


@pytest.fixture(scope="module")
def summary() -> BenchmarkResult:
    return summarise(benchmark())


def test_a_summary_is_a_result_of_a_few_kilobytes(summary: BenchmarkResult) -> None:
    text = summary_text(summary)
    assert BenchmarkResult.from_json(text) == summary
    assert len(text) < 24_000
    assert len(text) < len(benchmark().to_json()) / 6


def test_summarising_twice_changes_nothing(summary: BenchmarkResult) -> None:
    assert summarise(summary) == summary


def test_a_summary_says_what_the_whole_result_says(summary: BenchmarkResult) -> None:
    def said(result: BenchmarkResult) -> list[str]:
        return [finding.text for finding in findings(result)]

    assert said(summary) == said(benchmark())


def test_every_row_has_a_line_of_its_own(summary: BenchmarkResult) -> None:
    lines = summary_text(summary).splitlines()
    assert sum(line.startswith('   ["') for line in lines) == sum(len(table.rows) for table in summary.tables)
