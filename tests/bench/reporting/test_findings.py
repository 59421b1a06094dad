"""Findings in words, and their verdicts."""

from dataclasses import replace

import pytest

from modelsat.bench.reporting.report import findings
from modelsat.bench.reporting.rows import averaged_zoos, role, zoo_places
from modelsat.bench.reporting.words import Finding, by_verdict, judged
from modelsat.bench.results import BenchmarkResult, Cell
from modelsat.bench.sections import all_sections
from modelsat.bench.sections.learning_curve import sufficient_exam
from modelsat.bench.sections.zoos import TABLE as ZOOS_TABLE
from tests.bench.reporting.synthetic import ZOOS, benchmark


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
    changed = ZOOS_TABLE.table([[row[c] for c in table.columns] for row in rows], table.note)
    return replace(result, tables=(changed,))


def texts(result: BenchmarkResult, heading: str) -> str:
    return "\n".join(findings(result).get(heading, []))


LOST, UNDECIDED = "Where a baseline wins", "Too close to call"


def test_a_lead_below_zero_is_a_defeat_and_names_the_winner() -> None:
    lost = texts(with_lead("k-means", "middle_mixed", (-0.02, -0.03, -0.01)), LOST)
    assert "In middle_mixed, k-means beats Model-SAT by +2.00 [+1.00, +3.00] points." in lost


def test_a_lead_whose_interval_holds_zero_is_too_close_to_call() -> None:
    result = with_lead("k-means", "mean", (-0.002, -0.01, 0.006))
    expected = "k-means is ahead of Model-SAT by +0.20 [-0.60, +1.00] points; the interval holds 0."
    assert expected in texts(result, UNDECIDED)
    assert "k-means" not in texts(result, LOST)


def test_every_defeat_in_every_zoo_is_reported() -> None:
    result = benchmark()
    defeats = [
        row
        for row in result.records("zoos")
        if row["part"] == "pooled"
        and role(row) == "baseline"
        and row["lead_high"] is not None
        and row["lead_high"] < 0  # type: ignore[operator]
    ]
    assert defeats
    lost = texts(result, LOST)
    for row in defeats:
        assert f"{row['method']} beats" in lost
        assert str(row["zoo"]) in lost


def test_without_zoos_of_its_own_a_result_speaks_of_all_candidates() -> None:
    result = benchmark(only=["zoos"])
    table = result.tables[0]
    rows = [{**row, "zoo": "all"} for row in table.records() if row["zoo"] == ZOOS[0]]
    whole = ZOOS_TABLE.table([[row[c] for c in table.columns] for row in rows], table.note)
    found = findings(replace(result, tables=(whole,)))
    text = "\n".join(text for group in found.values() for text in group)
    assert "points over the best single candidate" in text
    assert "among all candidates: +" in text
    assert "Among all candidates, " in text
    assert "in all" not in text.lower()


def test_a_zoo_of_another_dataset_is_judged_where_it_was_routed_and_is_in_no_mean() -> None:
    result = benchmark(only=["zoos"])
    assert averaged_zoos(result) == list(ZOOS)
    assert "zeroeval (datasets never tuned on)" in zoo_places(result)
    text = "\n".join(text for group in findings(result).values() for text in group)
    assert "in the mean over 6 zoos" in text
    assert "In zeroeval (datasets never tuned on), " in text


def test_variants_and_controls_are_no_baselines() -> None:
    text = "\n".join(text for group in findings(benchmark(only=["zoos"])).values() for text in group)
    assert "shared_prefix" not in text
    assert "With wrong cards (shuffled cards) it loses" in text


def test_that_there_was_no_defeat_is_said_in_words() -> None:
    (nowhere,) = by_verdict([Finding("won", "It leads.")])[LOST]
    assert nowhere.startswith("Nowhere")


def test_a_difference_without_an_interval_decides_nothing() -> None:
    found = findings(benchmark(only=["ranking", "stream", "cost", "learning_curve", "coverage", "overhead"]))
    assert set(found) == {"Ahead, without an interval", "Behind, without an interval", "Worth knowing"}
    behind = "Calibration error (ECE) on seen candidates: Model-SAT 0.046, best baseline kNN 200 0.012."
    assert behind in found["Behind, without an interval"]
    assert (
        "AUC on seen candidates: Model-SAT 0.726, best baseline kNN 200 0.708."
        in found["Ahead, without an interval"]
    )


@pytest.mark.parametrize("split", ["test", "development"])
def test_every_section_has_something_to_say_of_a_whole_result(split: str) -> None:
    silent = [
        section.name for section in all_sections() if not list(section.findings(benchmark(split=split)))
    ]
    assert silent == ["choices", "ablation"]


def test_a_result_without_tables_says_nothing() -> None:
    assert findings(benchmark(only=[])) == {}


def test_harmful_perturbations_are_named() -> None:
    (text,) = findings(benchmark(only=["robustness"]))["Worth knowing"]
    assert text == (
        "Accuracy falls, interval below 0, under typos (-1.10 points), upper case (-0.60 points) and options removed "
        "(-1.40 points)."
    )


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
