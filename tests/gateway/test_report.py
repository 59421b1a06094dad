"""What routing was worth, on traffic small enough to check by hand."""

from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from modelsat.errors import DataError
from modelsat.gateway.records import RankedCost, Record
from modelsat.gateway.report import RoutingReport, make_report
from modelsat.gateway.report_page import report_page
from modelsat.gateway.store.database import writing
from modelsat.gateway.store.reads import Traffic, TrafficReader, reading
from modelsat.gateway.store.rows import save_records
from tests.gateway.store.samples import decision, feedback, usage

DAY_S = 86_400.0


def traffic(**changes: Any) -> Traffic:
    fields: dict[str, Any] = {
        "at": 10.0,
        "origin": "router",
        "candidate": "dear",
        "ranking": (
            RankedCost("dear", 0.9, 0.02),
            RankedCost("fair", 0.7, 0.01),
            RankedCost("free", 0.4, 0.0),
            RankedCost("unpriced", 0.95, None),
        ),
        "shadow": False,
        "answered_by": "dear",
        "status": 200,
        "input_tokens": 10,
        "output_tokens": 20,
        "cost": 0.02,
        "upstream_ms": 1_000.0,
        "fallbacks": 0,
        "feedback": None,
    }
    return Traffic(**fields | changes)


def reported(rows: Sequence[Traffic], **options: Any) -> RoutingReport:
    return make_report(rows, since=0.0, until=10 * DAY_S, **options)


def costs(report: RoutingReport) -> dict[str, float]:
    return {line.choice: line.cost for line in report.alternatives}


def test_a_long_answer_would_have_been_long_for_others_too() -> None:
    # Twice as dear as expected: fair would have cost twice its expected cost.
    report = reported([traffic(cost=0.04)], cheapest="fair")
    assert costs(report) == pytest.approx({"answered": 0.04, "strongest": 0.04, "cheapest": 0.02})
    assert [(line.choice, line.candidate, line.predicted) for line in report.alternatives] == [
        ("answered", None, 0.9),
        ("strongest", "dear", 0.9),
        ("cheapest", "fair", 0.7),
    ]


def test_by_default_strongest_and_cheapest_are_those_of_the_period() -> None:
    report = reported([traffic(answered_by="fair", candidate="fair", cost=0.005)])
    assert costs(report) == pytest.approx({"answered": 0.005, "strongest": 0.01, "cheapest": 0.0})
    assert report.alternatives[-1].candidate == "free"


def test_an_answer_for_nothing_leaves_expectations_as_they_are() -> None:
    report = reported([traffic(answered_by="free", candidate="free", cost=0.0)])
    assert costs(report) == pytest.approx({"answered": 0.0, "strongest": 0.02, "cheapest": 0.0})


def test_a_request_not_fit_for_the_strongest_goes_to_the_next() -> None:
    small = (RankedCost("fair", 0.7, 0.01), RankedCost("free", 0.4, 0.0))
    rows = [traffic(), traffic(ranking=small, candidate="free", answered_by="fair", cost=0.01)]
    report = reported(rows)
    assert costs(report)["strongest"] == pytest.approx(0.02 + 0.01)
    # After a fallback, what was decided is not what was paid.
    assert costs(report)["routed"] == pytest.approx(0.02 + 0.0)


def test_shadow_mode_tells_what_routing_would_have_cost() -> None:
    report = reported([traffic(shadow=True, candidate="fair", answered_by="dear", cost=0.03)])
    assert report.shadow == 1
    assert costs(report) == pytest.approx(
        {"answered": 0.03, "routed": 0.015, "strongest": 0.03, "cheapest": 0.0}
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"cost": None},
        {"origin": "named"},
        {"ranking": ()},
        {"candidate": "unpriced"},
        {"answered_by": "unpriced"},
        {"answered_by": "stranger"},
        {"answered_by": None, "status": None, "cost": None, "upstream_ms": None},
    ],
)
def test_what_does_not_compare_is_counted_but_not_compared(changes: dict[str, Any]) -> None:
    report = reported([traffic(**changes), traffic()])
    assert (report.decisions, report.compared) == (2, 1)
    assert costs(report)["answered"] == 0.02
    alone = reported([traffic(**changes)])
    assert (alone.alternatives, alone.days) == ((), ())


def test_shares_failures_and_times_by_candidate() -> None:
    rows = [
        traffic(upstream_ms=100.0),
        traffic(upstream_ms=300.0, fallbacks=1),
        traffic(upstream_ms=200.0, status=502, cost=None, input_tokens=None, output_tokens=None),
        traffic(answered_by="fair"),
        traffic(answered_by=None, cost=None),
    ]
    report = reported(rows)
    assert (report.answered, report.failed, report.fell_back, report.unpriced) == (4, 1, 1, 1)
    dear, fair = report.candidates
    assert (dear.candidate, dear.answers, dear.share, dear.failures) == ("dear", 3, 0.75, 1)
    assert (dear.input_tokens, dear.output_tokens, dear.cost) == (20, 40, 0.04)
    assert (dear.median_ms, fair.median_ms) == (200.0, 1_000.0)


def test_quality_is_what_feedback_says_beside_what_was_foretold() -> None:
    rows = [
        traffic(feedback=1.0),
        traffic(feedback=0.5),
        traffic(feedback=0.0, answered_by="fair"),
        traffic(feedback=1.0, ranking=(), origin="named", answered_by="other"),
        traffic(),
    ]
    report = reported(rows)
    by_name = {line.candidate: line.quality for line in report.candidates}
    dear, other = by_name["dear"], by_name["other"]
    assert dear is not None and other is not None and report.quality is not None
    assert (dear.count, dear.observed) == (2, 0.75)
    assert dear.predicted == pytest.approx(0.9)
    assert (other.observed, other.predicted) == (1.0, None)
    assert report.quality.count == 4
    assert report.quality.observed == pytest.approx(0.625)
    assert report.quality.predicted == pytest.approx((0.9 + 0.9 + 0.7) / 3)


def test_days_add_up_to_the_whole() -> None:
    rows = [traffic(at=day * DAY_S + 5, cost=0.01 * day) for day in (1, 2, 2, 4)]
    report = reported(rows)
    assert [(day.date, day.answers) for day in report.days] == [
        ("1970-01-02", 1),
        ("1970-01-03", 2),
        ("1970-01-05", 1),
    ]
    for choice, total in costs(report).items():
        assert sum(day.costs[choice] for day in report.days) == pytest.approx(total)


def test_a_named_choice_must_have_been_there() -> None:
    with pytest.raises(DataError, match=r"'stranger'.*dear, fair, free"):
        reported([traffic()], strongest="stranger")


def test_an_empty_period_is_a_report_too() -> None:
    report = reported([])
    assert (report.decisions, report.candidates, report.quality, report.alternatives) == (0, (), None, ())
    assert report.to_json()["until"] == "1970-01-11T00:00:00+00:00"


def test_progress_reaches_its_end() -> None:
    calls: list[tuple[str, int, int]] = []
    reported([traffic()] * 1_500, progress=lambda *call: calls.append(call))
    assert calls[-1] == ("reading", 3_000, 3_000)


def test_a_period_is_read_from_the_store_as_it_was_written(engine: sa.Engine) -> None:
    records: list[Record] = [
        decision("early", at=99.0),
        decision("a", at=100.0, key_id="k", shadow=True, origin="conversation"),
        usage("a", candidate="fair", fallbacks=1),
        feedback("a", 0.5),
        decision("b", at=101.0, ranking=()),
        decision("late", at=200.0),
    ]
    with writing(engine) as connection:
        save_records(connection, records)
    with reading(engine) as connection:
        period = TrafficReader(connection, since=100.0, until=200.0, key_id=None)
        first, second = period
        assert len(period) == 2
        assert (first.answered_by, first.fallbacks, first.feedback, first.shadow) == ("fair", 1, 0.5, True)
        assert first.ranking[1] == RankedCost("fair", 0.7, 0.001)
        assert (second.answered_by, second.cost, second.fallbacks, second.ranking) == (None, None, 0, ())
        assert [row.origin for row in TrafficReader(connection, since=0, until=999, key_id="k")] == [
            "conversation"
        ]
        # What is written meanwhile does not change what is read.
        with writing(engine) as other:
            save_records(other, [decision("meanwhile", at=150.0)])
        assert len(list(period)) == len(period) == 2


def test_a_page_needs_nothing_else_and_takes_no_name_for_markup() -> None:
    evil = "<script>alert(1)</script>"
    ranking = (RankedCost(evil, 0.9, 0.02), RankedCost("fair", 0.7, 0.01))
    rows = [traffic(at=day * DAY_S, ranking=ranking, candidate=evil, answered_by=evil) for day in range(3)]
    page = report_page(reported(rows), "EUR", summary=["1 < 2"], tables=[("T & C", [evil], [[evil]])])
    assert evil not in page
    assert page.count("<svg") == 3
    for outside in ("src=", "href=", "@import", "url("):
        assert outside not in page
    assert "1 &lt; 2" in page and "T &amp; C" in page
    assert "<svg" not in report_page(reported([]), "EUR", summary=[], tables=[])
