"""Tables in words."""

import re

from hypothesis import given
from hypothesis import strategies as st

from modelsat.bench.reporting.numbers import percent, points, three_figures
from modelsat.bench.reporting.report import whole_view
from modelsat.bench.reporting.views import View
from modelsat.bench.results import Table
from modelsat.bench.section import Column
from modelsat.bench.sections import all_sections, table_specs
from modelsat.bench.sections.zoos import TABLE as ZOOS
from modelsat.bench.sections.zoos import views as zoo_views
from tests.bench.reporting.synthetic import METHODS, benchmark

CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def test_a_value_carries_its_interval_and_bounds_have_no_column_of_their_own() -> None:
    table = benchmark().table("zoos")
    assert table is not None
    view = whole_view(table)
    assert not [heading for heading in view.headings if re.search(r"\b(low|high)\b", heading)]
    gain = view.headings.index("gain, points")
    assert re.fullmatch(r"[+-]\d+\.\d\d \[[+-]\d+\.\d\d, [+-]\d+\.\d\d\]", view.rows[0][gain])


def test_every_table_has_its_form_and_its_view() -> None:
    for table in benchmark().tables:
        view = whole_view(table)
        assert table.columns == table_specs()[table.name].names
        assert len(view.rows) == len(table.rows)
        assert {len(row) for row in view.rows} == {len(view.headings)}


def test_a_table_of_a_section_that_has_gone_is_still_shown() -> None:
    table = Table(name="gone", title="Gone", note="", columns=("a", "b"), rows=(("x", 1.5),))
    assert whole_view(table).rows == (("x", "1.5"),)


def test_the_first_view_of_zoos_lists_every_method_the_best_first() -> None:
    view = next(zoo_views(benchmark()))
    assert {row[0] for row in view.rows} == set(METHODS)
    assert view.rows[0][0] == "oracle"
    assert [view.rows[place][0] for place in view.marked] == ["Model-SAT"]


def test_a_result_without_tables_has_no_views() -> None:
    assert not any(section.shown(benchmark(only=[])) for section in all_sections())


def test_an_undefined_value_is_a_dash() -> None:
    assert Column("accuracy", percent).write({"accuracy": None}) == "–"
    gain = Column("gain", points, bounds=("low", "high"))
    assert gain.write({"gain": 0.01, "low": None, "high": None}) == "+1.00"
    assert gain.write({"gain": 0.01, "low": 0.0, "high": 0.02}) == "+1.00 [+0.00, +2.00]"
    assert Column("serves_unseen").write({"serves_unseen": True}) == "yes"


def test_intervals_follow_their_value_in_a_form() -> None:
    at = ZOOS.names.index("gain")
    assert ZOOS.names[at : at + 3] == ("gain", "gain_low", "gain_high")


@given(st.lists(st.lists(CELL, min_size=2, max_size=2), max_size=5))
def test_markdown_keeps_its_columns_whatever_a_cell_holds(cells: list[list[str]]) -> None:
    view = View(title="t", note="", headings=("a", "b"), numeric=frozenset(), rows=tuple(map(tuple, cells)))
    lines = view.markdown(level=0).split("\n")
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
