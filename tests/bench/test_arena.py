"""Who is routed, what rivals may learn from, and what an exam of a protocol's own may know."""

import numpy as np
import pytest

from modelsat.bench.arena import Arena, core_arena, source_arena
from modelsat.capability.aptitude import AptitudeTest
from modelsat.errors import DataError
from modelsat.records.splits import split_of
from modelsat.records.store import OutcomeDirectory
from modelsat.types import CapabilityProfile
from tests.bench.world import ABROAD, ABROAD_NAMES, SPLITS


def ids(instructions: object) -> set[str]:
    return {row.id for row in instructions}  # type: ignore[attr-defined]


def test_parts_carry_the_names_that_tables_use(arena: Arena) -> None:
    assert list(arena.parts) == ["test", "ood_subjects", "pooled"]
    assert len(arena.widest) == len(arena.held_out.table)
    assert arena.seen == tuple("cdefgh")
    assert [card.candidate for card in arena.seen_profiles] == list(arena.seen)


def test_the_final_test_chooses_settings_on_validation(arena: Arena) -> None:
    assert all(split_of(row.text) == "validation" for row in arena.choosing.instructions)
    assert ids(arena.fitting.instructions) == ids(arena.learning.instructions)


def test_development_chooses_settings_on_tuning_that_is_held_back(
    directory: OutcomeDirectory, exam: AptitudeTest, cards: list[CapabilityProfile]
) -> None:
    rng = np.random.default_rng(0)
    arena = core_arena(
        directory, cards, exam=exam, splits=SPLITS, part="validation", limit=10, learn=100, rng=rng
    )
    assert len(arena.held_out.table) == 10
    assert arena.held_out.groups == {"seen": tuple("cdefgh"), "unseen": ("b",)}
    assert len(arena.learning) == 100
    assert len(arena.choosing) == 20
    assert ids(arena.fitting.instructions) | ids(arena.choosing.instructions) == ids(
        arena.learning.instructions
    )
    assert all(split_of(row.text) == "tuning" for row in arena.choosing.instructions)


def test_another_protocol_has_its_own_exam_cards_and_zoo(abroad: Arena) -> None:
    assert list(abroad.parts) == ["ood_datasets"]
    assert abroad.held_out.zoos == {ABROAD: ABROAD_NAMES}
    assert [card.exam_hash for card in abroad.held_out.profiles] == [abroad.exam.hash] * 6
    assert abroad.seen == ("p", "q", "r", "s")
    items = {item.id for item in abroad.exam.items}
    assert not items & ids(abroad.held_out.table.instructions)
    assert not items & ids(abroad.learning.instructions)
    assert {task.name for task in abroad.exam.tasks} == {"cooking", "sailing"}


def test_the_exam_does_not_depend_on_those_it_may_not_know(wide_directory: OutcomeDirectory) -> None:
    def exam_of(candidates: tuple[str, ...]) -> str:
        arena = source_arena(
            wide_directory,
            ABROAD,
            name=ABROAD,
            splits=SPLITS,
            part="test",
            exam_candidates=candidates,
            rng=np.random.default_rng(0),
        )
        return arena.exam.hash

    assert exam_of(("p", "q", "r", "s")) == exam_of(("p", "q", "r", "s", "nobody"))
    assert exam_of(("p", "q", "r", "s")) != exam_of(ABROAD_NAMES)


def test_out_of_domain_subjects_are_for_the_final_test(wide_directory: OutcomeDirectory) -> None:
    for part, there in (("validation", False), ("test", True)):
        arena = source_arena(
            wide_directory,
            "",
            name="home",
            splits=SPLITS,
            part="test" if part == "test" else "validation",
            rng=np.random.default_rng(0),
        )
        routed = {row.category for row in arena.held_out.table.instructions}
        assert ("history" in routed) is there
        assert "history" not in {row.category for row in arena.learning.instructions}
        assert ("a" in arena.held_out.table.candidates) is there


def test_a_protocol_that_is_too_small_says_so(wide_directory: OutcomeDirectory) -> None:
    def build(*, exam_candidates: tuple[str, ...] | None = None, limit: int | None = None) -> None:
        source_arena(
            wide_directory,
            ABROAD,
            name=ABROAD,
            splits=SPLITS,
            part="test",
            exam_candidates=exam_candidates,
            limit=limit,
            rng=np.random.default_rng(0),
        )

    with pytest.raises(DataError, match="fewer than two candidates"):
        build(exam_candidates=("p",))
    with pytest.raises(DataError, match="no test instruction is left"):
        build(limit=0)
