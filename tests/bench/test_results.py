from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.bench.results import BenchmarkResult, Table
from modelsat.bench.sections.coverage import TABLE as COVERAGE
from modelsat.bench.sections.leakage import TABLE as LEAKAGE
from modelsat.errors import DataError

CELL = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
)


def result(*tables: Table) -> BenchmarkResult:
    return BenchmarkResult(
        suite="quick",
        split="development",
        tables=tables,
        method_notes={"kNN": "k chosen on validation."},
        command="modelsat bench --suite quick",
        versions={"python": "3.11.1"},
        data_hash="d0",
        checkpoint_hash="c0",
        seed=0,
        date="2026-01-02",
        machine={"cores": "2"},
        seconds=1.5,
    )


@given(rows=st.lists(st.tuples(*[CELL] * 4), max_size=5), title=st.text(), note=st.text())
def test_a_result_survives_its_file_exactly(rows: list[tuple[object, ...]], title: str, note: str) -> None:
    written = result(replace(COVERAGE.table(rows, note), title=title))
    read = BenchmarkResult.from_json(written.to_json())
    assert read == written
    cells = [type(cell) for table in read.tables for row in table.rows for cell in row]
    assert cells == [type(cell) for table in written.tables for row in table.rows for cell in row]


def test_what_is_not_defined_is_empty_and_numpy_numbers_are_plain() -> None:
    table = COVERAGE.table([("all", np.int64(2), "a", np.float32("nan")), ("all", 3, "b", 0.5)], "")
    assert table.records() == [
        {"group": "all", "size": 2, "added": "a", "covered": None},
        {"group": "all", "size": 3, "added": "b", "covered": 0.5},
    ]
    assert type(table.rows[0][1]) is int


def test_a_row_of_another_width_is_refused() -> None:
    with pytest.raises(DataError, match=r"table leakage: row 1 has 2 cells; expected 3 \(check, compared"):
        LEAKAGE.table([("stems", 3)], "")


def test_infinity_is_refused() -> None:
    with pytest.raises(DataError, match="covered is inf"):
        COVERAGE.table([("all", 1, "a", float("inf"))], "")


@pytest.mark.parametrize(
    ("text", "fault"),
    [("[]", "holds a list"), ("{", "x.json:1: not JSON"), ("{}", "field 'suite' is missing")],
)
def test_a_file_of_another_form_is_refused_by_name(text: str, fault: str) -> None:
    with pytest.raises(DataError, match=fault) as error:
        BenchmarkResult.from_json(text, "x.json")
    assert "x.json" in str(error.value)


def test_a_table_is_found_by_name_and_absent_where_it_was_not_run() -> None:
    table = LEAKAGE.table([("stems", 3, 0)], "")
    found = result(table)
    assert found.table("leakage") == table
    assert found.table("zoos") is None
