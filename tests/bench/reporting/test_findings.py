"""What won and where a rival wins, in words."""

from dataclasses import replace

import pytest

from modelsat.bench.reporting.findings import Finding, contests, judged
from modelsat.bench.reporting.observations import findings, sufficient_exam
from modelsat.bench.reporting.roles import averaged_zoos, role, zoo_places
from modelsat.bench.reporting.sections import NO_DEFEAT, by_verdict
from modelsat.bench.results import BenchmarkResult, Cell, Table
from tests.bench.reporting.synthetic import APART, ZOOS, benchmark


def with_lead(method: str, zoo: str, lead: tuple[float, float, float]) -> BenchmarkResult:
    """The synthetic result with one lead changed."""
    result = benchmark(only=["zoos"])
    table = result.tables[0]
    names = ("lead", "lead_low", "lead_high")
    rows = [
        {**row, **dict(zip(names, lead, strict=True))}
        if (row["method"], row["zoo"]) == (method, zoo)
        else row
        for row in table.records()
    ]
    changed = Table.of("zoos", table.title, table.note, [[row[c] for c in table.columns] for row in rows])
    return replace(result, tables=(changed,))


def texts(found: list[Finding], verdict: str) -> str:
    return "\n".join(finding.text for finding in found if finding.verdict == verdict)


def test_a_lead_below_zero_is_a_defeat_and_names_the_winner() -> None:
    lost = texts(contests(with_lead("k-means", "middle_mixed", (-0.02, -0.03, -0.01))), "lost")
    assert "In middle_mixed, k-means wins by +2.00 [+1.00, +3.00] points." in lost


def test_a_lead_whose_interval_holds_zero_is_too_close_to_call() -> None:
    found = contests(with_lead("k-means", "mean", (-0.002, -0.01, 0.006)))
    assert "k-means is ahead by +0.20 [-0.60, +1.00] points; the interval holds 0." in texts(
        found, "undecided"
    )
    assert "k-means" not in texts(found, "lost")


def test_every_defeat_in_every_zoo_is_reported() -> None:
    result = benchmark()
    table = result.table("zoos")
    assert table is not None
    defeats = [
        row
        for row in table.records()
        if row["part"] == "pooled"
        and role(str(row["method"])) == "rival"
        and row["lead_high"] is not None
        and row["lead_high"] < 0  # type: ignore[operator]
    ]
    assert defeats
    lost = texts(contests(result), "lost")
    for row in defeats:
        assert f"{row['method']} wins" in lost
        assert str(row["zoo"]) in lost


def test_a_zoo_of_another_dataset_is_judged_where_it_was_routed_and_is_in_no_mean() -> None:
    result = benchmark(only=["zoos"])
    assert averaged_zoos(result) == list(ZOOS)
    assert ("zeroeval", APART) in zoo_places(result)
    text = "\n".join(finding.text for finding in contests(result))
    assert "in the mean over 6 zoos" in text
    assert "In zeroeval (datasets never tuned on), " in text


def test_variants_and_controls_are_no_rivals() -> None:
    found = contests(benchmark(only=["zoos"]))
    text = "\n".join(finding.text for finding in found)
    assert "shared_prefix" not in text
    assert "With the wrong cards (shuffled cards) it loses" in text


def test_no_defeat_is_said_in_words() -> None:
    grouped = by_verdict([Finding(verdict="won", topic="zoos", text="It leads.")])
    assert grouped["Where a rival wins"] == [NO_DEFEAT]


def test_better_calibration_of_a_rival_is_a_defeat() -> None:
    lost = texts(contests(benchmark(only=["ranking"])), "lost")
    assert "Calibration error (ECE) on seen candidates: Model-SAT 0.046, better kNN 200 0.012." in lost


def test_leakage_makes_the_numbers_unclean() -> None:
    table = Table.of("leakage", "Leakage", "", [("stems across splits", 12, 3)])
    found = findings(replace(benchmark(only=[]), tables=(table,)))
    assert texts(found, "lost") == "The numbers are not clean: leakage found by stems across splits (3)."


@pytest.mark.parametrize("split", ["test", "development"])
def test_a_whole_result_has_something_to_say_on_every_table(split: str) -> None:
    topics = {finding.topic for finding in findings(benchmark(split=split))}
    assert topics >= {"zoos", "ranking", "stream", "cost", "learning_curve", "coverage", "overhead"}
    assert topics >= {"robustness", "gadgets", "leakage"}


def test_a_result_without_tables_says_nothing() -> None:
    assert findings(benchmark(only=[])) == []


def test_an_interval_that_is_not_defined_decides_nothing() -> None:
    assert judged({"lead": 0.1, "lead_low": None, "lead_high": None}, "lead") == "undecided"


def test_the_sufficient_exam_is_the_shortest_that_gives_nine_tenths() -> None:
    rows: list[dict[str, Cell]] = [
        {"exam": str(items), "items": items, "auc": auc}
        for items, auc in ((1000, 0.70), (50, 0.66), (0, 0.60), (100, 0.69), (250, 0.695))
    ]
    enough = sufficient_exam(rows)
    assert enough is not None
    assert enough["items"] == 100
    assert sufficient_exam(rows[:2]) is None
