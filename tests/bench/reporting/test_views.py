"""Tables in words."""

import re

from hypothesis import given
from hypothesis import strategies as st

from modelsat.bench.reporting.numbers import points, three_figures, write_cell, write_interval
from modelsat.bench.reporting.views import headline_views, markdown, method_view, rows_view, table_view
from modelsat.bench.results import COLUMNS
from tests.bench.reporting.synthetic import METHODS, benchmark

CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def test_a_value_carries_its_interval_and_bounds_have_no_column_of_their_own() -> None:
    table = benchmark().table("zoos")
    assert table is not None
    view = table_view(table)
    assert not [heading for heading in view.headings if re.search(r"\b(low|high)\b", heading)]
    gain = view.headings.index("gain, points")
    assert re.fullmatch(r"[+-]\d+\.\d\d \[[+-]\d+\.\d\d, [+-]\d+\.\d\d\]", view.rows[0][gain])


def test_every_column_has_a_heading_in_every_table() -> None:
    for table in benchmark().tables:
        view = table_view(table)
        assert len(view.rows) == len(table.rows)
        assert {len(row) for row in view.rows} == {len(view.headings)}
        assert set(table.columns) == set(COLUMNS[table.name])


def test_the_mean_over_zoos_lists_every_method_the_best_first() -> None:
    view = method_view(benchmark())
    assert view is not None
    assert {row[0] for row in view.rows} == set(METHODS)
    assert view.rows[0][0] == "oracle"
    assert [view.rows[place][0] for place in view.marked] == ["Model-SAT"]


def test_a_result_without_zoos_has_no_headline_views() -> None:
    assert not any(headline_views(benchmark(only=["leakage"])).values())


def test_an_undefined_value_is_a_dash() -> None:
    assert write_cell("accuracy", None) == "–"
    assert write_interval("gain", 0.01, None, None) == "+1.00"
    assert write_cell("serves_unseen", True) == "yes"


@given(st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=5))
def test_markdown_keeps_its_columns_whatever_a_cell_holds(cells: list[list[str]]) -> None:
    rows = [{"method": first, "exam": second} for first, second in cells]
    lines = markdown(rows_view("t", "", ("method", "exam"), rows), level=0).split("\n")
    assert len(lines) == len(cells) + 3
    for line in lines[:-1]:
        assert len(re.findall(r"(?<!\\)\|", line)) == 3


@given(st.floats(-1, 1))
def test_points_never_show_a_negative_zero(value: float) -> None:
    assert points(value) != "-0.00"
    assert abs(float(points(value)) / 100 - value) < 6e-5


@given(st.floats(1e-3, 1e9))
def test_three_figures_stay_within_one_percent(value: float) -> None:
    assert abs(float(three_figures(value).replace(",", "")) / value - 1) < 0.01
