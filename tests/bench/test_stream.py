"""The release stream: who arrives when, who is in the zoo, and a router that is really frozen."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from modelsat.bench.evaluation_set import EvaluationSet
from modelsat.bench.methods import MODEL_SAT, ORACLE, RANDOM, Method, router_methods
from modelsat.bench.metrics import auc
from modelsat.bench.run import EFFORTS
from modelsat.bench.sections.coverage import coverage_table, greedy_cover, small_candidates
from modelsat.bench.sections.stream import arrivals, stream_table, zoo_at
from modelsat.capability.aptitude import AptitudeTest
from modelsat.errors import DataError
from modelsat.records.side_tables import ModelFacts
from modelsat.records.store import OutcomeDirectory
from modelsat.tuning.embedding_router import EmbeddingRouter
from modelsat.types import CapabilityProfile, FloatArray
from tests.bench.world import ABROAD, ABROAD_NAMES, FACTS, TaskAccuracy, embed, make_run
from tests.profiles import profile


def test_half_of_the_dated_candidates_are_out_by_the_cutoff(
    wide_directory: OutcomeDirectory, exam: AptitudeTest, cards: list[CapabilityProfile]
) -> None:
    run = make_run(wide_directory, exam, cards, effort=EFFORTS["full"], split="test")
    run.effort = replace(run.effort, streams=(ABROAD, "nowhere"))
    assert run.cutoffs == {ABROAD: "2024-03"}
    undated = make_run(wide_directory, exam, cards)
    undated.facts, undated.effort = {}, run.effort
    assert undated.cutoffs == {}


def test_candidates_arrive_in_order_and_those_without_a_date_never_do() -> None:
    facts = {**FACTS, "undated": ModelFacts()}
    assert arrivals([*reversed(ABROAD_NAMES), "undated"], facts, "2024-03") == [
        ("s", "2024-04"),
        ("t", "2024-05"),
        ("u", "2024-06"),
    ]


def test_the_zoo_is_the_five_best_so_far_and_the_newest() -> None:
    arrived = [profile(name, {"law": level / 10}) for level, name in enumerate("abcdefg")]
    assert zoo_at(arrived, profile("new", {"law": 0.0})) == ("g", "f", "e", "d", "c", "new")


def test_after_each_arrival_every_method_is_measured(abroad: EvaluationSet) -> None:
    own = router_methods(abroad, TaskAccuracy(), note="", seed=0)
    blind = Method(name=RANDOM, note="", rule="blind")
    best = Method(name=ORACLE, note="", rule="oracle")
    table = stream_table(
        {"abroad": (abroad, [*own, blind, best])}, FACTS, cutoffs={"abroad": "2024-04"}, seed=0
    )
    rows = table.records()
    assert [(row["step"], row["date"], row["arrived"]) for row in rows[::3]] == [
        (1, "2024-05", "t"),
        (2, "2024-06", "u"),
    ]
    for at in range(0, len(rows), 3):
        router, random, oracle = (row["accuracy"] for row in rows[at : at + 3])
        assert random < router <= oracle  # type: ignore[operator]
    assert all(row["low"] <= row["accuracy"] <= row["high"] for row in rows)  # type: ignore[operator]
    assert "cutoff 2024-04, 4 candidates before, 2 arrivals" in table.note


@pytest.fixture(scope="module", autouse=True)
def few_steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("modelsat.tuning.embedding_router._STEPS", 100)
        yield


@pytest.fixture(scope="module")
def router(abroad: EvaluationSet, wide_directory: OutcomeDirectory) -> EmbeddingRouter:
    return tuned(abroad, wide_directory)


def tuned(routed: EvaluationSet, directory: OutcomeDirectory) -> EmbeddingRouter:
    return EmbeddingRouter(
        routed.exam,
        routed.learning,
        routed.seen_profiles,
        items=directory.instructions,
        embed=embed,
        seed=0,
    )


def scores_of(router: EmbeddingRouter, routed: EvaluationSet) -> FloatArray:
    return router.score(routed.table.instructions, routed.profiles).logits


def test_a_router_tuned_in_seconds_knows_candidates_that_it_never_saw(
    router: EmbeddingRouter, abroad: EvaluationSet
) -> None:
    later = abroad.columns(("t", "u"))
    truth = abroad.table.scores[:, later]
    assert auc(truth, scores_of(router, abroad)[:, later]) > 0.7


def test_a_frozen_router_does_not_see_what_came_after_its_cutoff(
    router: EmbeddingRouter, abroad: EvaluationSet, wide_directory: OutcomeDirectory
) -> None:
    later = abroad.columns(("t", "u"))
    outcomes = abroad.learning.scores.copy()
    outcomes[:, later] = 1 - outcomes[:, later]
    changed = replace(abroad, learning=replace(abroad.learning, scores=outcomes))
    again = tuned(changed, wide_directory)
    np.testing.assert_array_equal(scores_of(again, abroad), scores_of(router, abroad))


def test_an_exam_whose_texts_are_missing_is_refused(abroad: EvaluationSet) -> None:
    with pytest.raises(DataError, match="no text of item"):
        EmbeddingRouter(abroad.exam, abroad.learning, abroad.profiles, items=(), embed=embed, seed=0)


def test_the_greedy_order_adds_most_first() -> None:
    target = np.array([True, True, True, True, False])
    solved = np.array([[1, 0, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 1]], dtype=np.float32)
    assert greedy_cover(target, solved) == [0, 1, 2]


def test_small_are_those_of_known_small_size() -> None:
    facts = {"big": ModelFacts(parameters=70.0), "small": ModelFacts(parameters=7.0), "dark": ModelFacts()}
    assert small_candidates(["big", "small", "dark", "tiny"], 0, facts).tolist() == [1]
    assert small_candidates(["big", "small", "dark"], 0, {}).tolist() == [1, 2]


def test_coverage_rises_with_every_candidate(routed: EvaluationSet) -> None:
    rows = coverage_table({"tiny": routed}, FACTS).records()
    covered = [row["covered"] for row in rows]
    assert covered == sorted(covered)  # type: ignore[type-var]
    assert [row["size"] for row in rows] == list(range(1, len(rows) + 1))
    assert len({row["added"] for row in rows}) == len(rows)
    assert MODEL_SAT not in {row["added"] for row in rows}
