"""Money: metrics by their definitions, tables by what must hold whoever wins, prices by their file."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.bench.evaluation_set import EvaluationSet
from modelsat.bench.methods import Method
from modelsat.bench.metrics import Point, aiq, cheapest_at, gap_recovered, hull
from modelsat.bench.prices import PriceTable
from modelsat.bench.sections.cost import CURVES, ONE_CANDIDATE, STATIC_MIX, cost_tables
from modelsat.capability.zoo import ModelZoo
from modelsat.errors import DataError
from tests.bench.world import PRICES, price_table


def point(cost: float, quality: float, rate: float = 0.0) -> Point:
    return Point(setting=f"{cost}", cost=cost, quality=quality, strongest_rate=rate)


POINTS = st.lists(st.builds(point, st.floats(0.1, 10), st.floats(0, 1)), min_size=1, max_size=12)


@given(points=POINTS)
def test_a_hull_rises_ever_more_slowly_and_no_point_stands_above_it(points: list[Point]) -> None:
    edge = hull(points)
    costs, qualities = [one.cost for one in edge], [one.quality for one in edge]
    assert costs == sorted(costs)
    assert qualities == sorted(qualities)
    slopes = np.diff(qualities) / np.maximum(np.diff(costs), 1e-300)
    assert (np.diff(slopes) <= 1e-9 * np.maximum(1, np.abs(slopes[:-1]))).all()
    for one in points:
        if one.cost >= costs[0]:
            assert one.quality <= np.interp(one.cost, costs, qualities) + 1e-9


def test_aiq_is_the_mean_height() -> None:
    assert aiq([point(1, 0.2), point(3, 0.6)], cheapest=1, most_expensive=3) == pytest.approx(0.4)
    assert aiq([point(1, 0.5)], cheapest=1, most_expensive=3) == pytest.approx(0.5)
    assert np.isnan(aiq([point(1, 0.5)], cheapest=1, most_expensive=1))


def test_a_quality_is_reached_by_mixing_two_settings() -> None:
    points = [point(1, 0.2, 0.0), point(3, 0.6, 1.0), point(2, 0.1)]
    reached = cheapest_at(points, 0.5)
    assert reached is not None
    assert (reached.cost, reached.strongest_rate) == pytest.approx((2.5, 0.75))
    assert cheapest_at(points, 0.7) is None
    assert cheapest_at(points, 0.1).cost == 1  # type: ignore[union-attr]
    assert cheapest_at(points, 0.6).cost == pytest.approx(3)  # type: ignore[union-attr]


def test_who_cannot_tell_recovers_the_gap_as_fast_as_chance() -> None:
    strong, weak = np.array([1.0, 1.0, 0.0, 1.0] * 25), np.array([1.0, 0.0, 0.0, 0.0] * 25)
    found = gap_recovered(strong, weak, np.zeros(100))
    assert found.apgr == pytest.approx(0.5)
    assert found.cpt50 == pytest.approx(0.5)
    assert found.cpt80 == pytest.approx(0.8)


def test_who_knows_recovers_all_of_it_with_the_calls_that_matter() -> None:
    strong, weak = np.array([1.0, 1.0, 0.0, 1.0] * 25), np.array([1.0, 0.0, 0.0, 0.0] * 25)
    found = gap_recovered(strong, weak, strong - weak)
    assert found.cpt50 == pytest.approx(0.25)
    assert found.cpt80 == pytest.approx(0.4)
    assert found.apgr == pytest.approx(0.75)


def test_there_is_no_gap_to_recover_where_the_weak_one_is_as_good() -> None:
    found = gap_recovered(np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.zeros(2))
    assert np.isnan([found.apgr, found.cpt50, found.cpt80]).all()


def test_curves_run_from_the_cheapest_candidate_and_none_is_cheaper(
    routed: EvaluationSet, methods: list[Method]
) -> None:
    curves, sums = cost_tables(routed, methods, PRICES)
    rows = curves.records()
    for zoo in ("four", "two"):
        alone = [row for row in rows if (row["zoo"], row["method"]) == (zoo, ONE_CANDIDATE)]
        costs = [row["cost"] for row in alone]
        assert len(alone) == len(routed.zoos[zoo])
        for method in (*CURVES, STATIC_MIX):
            curve = [row for row in rows if (row["zoo"], row["method"]) == (zoo, method)]
            assert all(min(costs) <= row["cost"] <= max(costs) for row in curve)  # type: ignore[type-var, operator]
        own = [row for row in rows if (row["zoo"], row["method"]) == (zoo, CURVES[0])]
        assert (own[0]["setting"], own[0]["cost"]) == ("value=0.0", min(costs))  # type: ignore[type-var]
        assert own[-1]["setting"] == "best"
    names = {row["method"] for row in sums.records()}
    assert {STATIC_MIX, *CURVES, "MLP + card"} <= names
    assert not {"shuffled cards", "random", "oracle"} & names
    mix = next(row for row in sums.records() if (row["zoo"], row["method"]) == ("four", STATIC_MIX))
    assert mix["apgr"] is None or mix["apgr"] == pytest.approx(0.5)


def test_a_zoo_with_an_unpriced_candidate_is_left_out_and_named(
    routed: EvaluationSet, methods: list[Method]
) -> None:
    prices = price_table({"a": (1.0, 1.0), "c": (2.0, 2.0)}, currency="EUR")
    curves, sums = cost_tables(routed, methods, prices)
    assert {row["zoo"] for row in curves.records()} <= {"two"}
    assert "Left out because of missing prices: four." in sums.note
    assert "EUR" in curves.note


def test_the_shipped_prices_are_those_of_the_shipped_zoo() -> None:
    prices, zoo = PriceTable.shipped().candidates, ModelZoo.shipped()
    assert set(prices) == set(zoo.names)
    for candidate in zoo.candidates:
        money = prices[candidate.name]
        assert (money.input, money.output) == (candidate.input_price, candidate.output_price)


HEAD = 'format = "modelsat-prices/1"\ncurrency = "USD"\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("nonsense", r"prices\.toml: not TOML"),
        (f'{HEAD}date = "soon"\n[candidates]', "field 'date'"),
        (
            f'{HEAD}date = "2024-01-01"\n[candidates.a]\ninput = -1\noutput = 1',
            r"field 'candidates\.a\.input'",
        ),
    ],
)
def test_a_malformed_price_table_is_named(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=fault):
        PriceTable.load(path)
