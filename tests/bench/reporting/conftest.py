"""One report of the synthetic result, drawn once for all tests that look at it."""

from pathlib import Path

import pytest

from modelsat.bench.reporting.report import write_report
from tests.bench.reporting.synthetic import benchmark


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(benchmark(whole=False), folder)
    return folder
