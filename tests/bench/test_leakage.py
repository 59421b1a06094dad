"""The leakage check: silent where nothing leaks, loud where something does."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelsat.bench.evaluation_set import EvaluationSet
from modelsat.bench.results import Table
from modelsat.bench.sections.leakage import check_leakage
from modelsat.capability.aptitude import AptitudeTest, ExamItem, ExamTask
from modelsat.errors import DataError
from modelsat.records.splits import split_of
from modelsat.records.store import OutcomeDirectory
from tests.bench.world import SPLITS


@pytest.fixture
def check(directory: OutcomeDirectory, exam: AptitudeTest, routed: EvaluationSet) -> Any:
    def run(**changed: Any) -> Table:
        settings: dict[str, Any] = {
            "instructions": directory.instructions,
            "exam": exam,
            "splits": SPLITS,
            "tuned_on": {"candidates": ["c", "d"], "datasets": ["tiny"]},
            "development": False,
        }
        return check_leakage([changed.pop("routed", routed)], **{**settings, **changed})

    return run


def test_nothing_leaks(check: Any) -> None:
    table = check()
    assert all(row["found"] == 0 for row in table.records())
    assert all(row["compared"] > 0 for row in table.records())
    assert any("exam" in row["check"] for row in table.records())


def test_a_router_tuned_on_a_held_out_candidate_is_found(check: Any) -> None:
    with pytest.raises(DataError, match=r"held-out candidates among .* tuned on: 1 of 2, .*'a'"):
        check(tuned_on={"candidates": ["a", "c"]})


def test_a_router_tuned_on_an_out_of_domain_dataset_is_found(check: Any) -> None:
    with pytest.raises(DataError, match="out-of-domain datasets"):
        check(tuned_on={"datasets": ["abroad"]})


def test_a_routed_question_that_baselines_learn_from_is_found(check: Any, routed: EvaluationSet) -> None:
    # Same stem, another id: what counts is the question.
    twin = replace(routed.table.instructions[0], id="twin")
    learning = replace(routed.learning, instructions=(twin, *routed.learning.instructions[1:]))
    with pytest.raises(DataError, match=r"among those that baselines learn from: 1 of .*'twin'"):
        check(routed=replace(routed, learning=learning))


def test_an_exam_question_that_is_routed_is_found(
    check: Any, routed: EvaluationSet, exam: AptitudeTest
) -> None:
    asked = routed.table.instructions[0]
    leaky = replace(
        exam, tasks=(*exam.tasks, ExamTask(name="leak", keywords=("leak",), items=(ExamItem.of(asked),)))
    )
    with pytest.raises(DataError, match=f"routed questions among the exam's: 1 of .*{asked.id}"):
        check(routed=replace(routed, exam=leaky))
    with pytest.raises(DataError, match="exam questions outside the tuning split: 1 of 81"):
        check(exam=leaky)


def test_a_routed_question_of_another_split_is_found(check: Any, routed: EvaluationSet) -> None:
    rows = np.flatnonzero([split_of(row.text) == "test" for row in routed.table.instructions])
    with pytest.raises(DataError, match="routed questions outside the validation split"):
        check(routed=replace(routed, table=routed.table.select(rows)), development=True)


def test_a_candidate_of_the_final_test_in_development_is_found(check: Any) -> None:
    with pytest.raises(DataError, match=r"final test in development: 1 of 8, .*'a'"):
        check(development=True)
