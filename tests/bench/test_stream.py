"""The release stream: who arrives when, who is in the zoo, and a router that is really frozen."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from modelsat.bench.arena import Arena
from modelsat.bench.contenders import model_sat
from modelsat.bench.coverage import coverage_table, greedy_cover, small_candidates
from modelsat.bench.embedding_router import EmbeddingRouter
from modelsat.bench.methods import MODEL_SAT, ORACLE, RANDOM, Method
from modelsat.bench.metrics import auc
from modelsat.bench.stream import arrivals, cutoff_of, stream_table, zoo_at
from modelsat.bench.zoos import Contest
from modelsat.errors import DataError
from modelsat.records.models import ModelFacts
from modelsat.records.store import OutcomeDirectory
from modelsat.types import FloatArray, column_index
from tests.bench.world import ABROAD_NAMES, FACTS, TaskAccuracy, embed
from tests.profiles import profile


def test_half_of_the_candidates_are_out_by_the_cutoff() -> None:
    assert cutoff_of(ABROAD_NAMES, FACTS) == "2024-03"
    assert cutoff_of(["unknown"], FACTS) == ""
    assert cutoff_of(["p", "unknown"], FACTS) == "2024-01"


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


def test_after_each_arrival_every_method_is_measured(abroad: Arena) -> None:
    own = model_sat(abroad, TaskAccuracy(), note="", seed=0)
    blind = Method(name=RANDOM, note="", rule="blind")
    best = Method(name=ORACLE, note="", rule="oracle")
    contest = Contest(arena=abroad, methods=(*own, blind, best))
    table = stream_table({"abroad": contest}, FACTS, cutoffs={"abroad": "2024-04"}, seed=0)
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
        patch.setattr("modelsat.bench.embedding_router._STEPS", 100)
        yield


@pytest.fixture(scope="module")
def router(abroad: Arena, wide_directory: OutcomeDirectory) -> EmbeddingRouter:
    return EmbeddingRouter(abroad, wide_directory.instructions, embed, seed=0)


def scores_of(router: EmbeddingRouter, arena: Arena) -> FloatArray:
    return router.score(arena.held_out.table.instructions, arena.held_out.profiles).logits


def test_a_router_tuned_in_seconds_knows_candidates_that_it_never_saw(
    router: EmbeddingRouter, abroad: Arena
) -> None:
    later = column_index(abroad.held_out.table.candidates, ("t", "u"))
    truth = abroad.held_out.table.scores[:, later]
    assert auc(truth, scores_of(router, abroad)[:, later]) > 0.7


def test_a_frozen_router_does_not_see_what_came_after_its_cutoff(
    router: EmbeddingRouter, abroad: Arena, wide_directory: OutcomeDirectory
) -> None:
    later = column_index(abroad.held_out.table.candidates, ("t", "u"))
    outcomes = abroad.learning.scores.copy()
    outcomes[:, later] = 1 - outcomes[:, later]
    changed = replace(abroad, learning=replace(abroad.learning, scores=outcomes))
    again = EmbeddingRouter(changed, wide_directory.instructions, embed, seed=0)
    np.testing.assert_array_equal(scores_of(again, abroad), scores_of(router, abroad))


def test_an_exam_whose_texts_are_missing_is_refused(abroad: Arena) -> None:
    with pytest.raises(DataError, match="no text of item"):
        EmbeddingRouter(abroad, (), embed, seed=0)


def test_the_greedy_order_adds_most_first() -> None:
    target = np.array([True, True, True, True, False])
    solved = np.array([[1, 0, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 1]], dtype=np.float32)
    assert greedy_cover(target, solved) == [0, 1, 2]


def test_small_are_those_of_known_small_size() -> None:
    facts = {"big": ModelFacts(parameters=70.0), "small": ModelFacts(parameters=7.0), "dark": ModelFacts()}
    assert small_candidates(["big", "small", "dark", "tiny"], 0, facts).tolist() == [1]
    assert small_candidates(["big", "small", "dark"], 0, {}).tolist() == [1, 2]


def test_coverage_rises_with_every_candidate(arena: Arena) -> None:
    rows = coverage_table({"tiny": arena}, FACTS).records()
    covered = [row["covered"] for row in rows]
    assert covered == sorted(covered)  # type: ignore[type-var]
    assert [row["size"] for row in rows] == list(range(1, len(rows) + 1))
    assert len({row["added"] for row in rows}) == len(rows)
    assert MODEL_SAT not in {row["added"] for row in rows}
