"""What is routed, what baselines may learn from, and what an exam of a protocol's own may know."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modelsat.bench.evaluation_set import EvaluationSet, core_set, source_set
from modelsat.capability.aptitude import AptitudeTest
from modelsat.errors import DataError
from modelsat.records.outcomes import Outcomes
from modelsat.records.splits import split_of
from modelsat.records.store import OutcomeDirectory
from modelsat.types import CapabilityProfile, Outcome
from tests.bench.world import ABROAD, ABROAD_NAMES, NAMES, SPLITS


def ids(instructions: object) -> set[str]:
    return {row.id for row in instructions}  # type: ignore[attr-defined]


def test_test_instructions_are_routed_and_the_exam_is_in_no_part(
    routed: EvaluationSet, exam: AptitudeTest
) -> None:
    ids = {item.id for item in exam.items}
    rows = routed.table.instructions
    assert all(split_of(rows[at].text) == "test" for at in routed.parts["test"])
    assert {rows[at].category for at in routed.parts["ood_subjects"]} == {"history"}
    assert {row.category for row in routed.tuning.instructions} == {"law", "maths", "code"}
    assert all(split_of(row.text) == "tuning" for row in routed.tuning.instructions)
    assert not ids & {row.id for row in (*rows, *routed.tuning.instructions)}
    assert len(routed.parts["pooled"]) == len(rows)


def test_candidates_are_grouped_and_a_zoo_that_is_not_whole_is_noted(routed: EvaluationSet) -> None:
    assert routed.groups["unseen"] == ("a",)
    assert list(routed.zoos) == ["four", "two"]
    assert any("Zoo absent is left out: nobody" in note for note in routed.notes)


def test_an_out_of_domain_question_that_tuning_may_ask_is_left_out(
    directory: OutcomeDirectory, exam: AptitudeTest, cards: list[CapabilityProfile]
) -> None:
    twin = replace(
        next(row for row in directory.instructions if row.id == "law/199"),
        id="history/twin",
        category="history",
    )
    outcomes = [
        *directory.outcomes,
        *(Outcome(candidate=name, instruction_id=twin.id, score=1.0) for name in NAMES),
    ]
    both = OutcomeDirectory(
        path=Path("tiny"), instructions=(*directory.instructions, twin), outcomes=Outcomes.of(outcomes)
    )
    routed = core_set(both, cards, exam=exam, splits=SPLITS, rng=np.random.default_rng(0))
    assert "history/twin" not in {row.id for row in routed.table.instructions}
    assert any("an in-domain one asks the same" in note for note in routed.notes)


def test_validation_never_looks_at_the_candidates_of_the_test(
    directory: OutcomeDirectory, exam: AptitudeTest, cards: list[CapabilityProfile]
) -> None:
    rng = np.random.default_rng(0)
    routed = core_set(directory, cards, exam=exam, splits=SPLITS, part="validation", rng=rng)
    assert "a" not in routed.table.candidates
    assert list(routed.parts) == ["validation"]
    assert routed.zoos == {"four": ("b", "c", "d")}
    assert all(split_of(row.text) == "validation" for row in routed.table.instructions)


def test_without_splits_all_candidates_are_one_zoo(
    directory: OutcomeDirectory, exam: AptitudeTest, cards: list[CapabilityProfile]
) -> None:
    routed = core_set(directory, cards, exam=exam, limit=10, stem_only=True, rng=np.random.default_rng(0))
    assert routed.zoos == {"all": NAMES}
    assert len(routed.table) == 10
    assert not any("A. yes" in row.text for row in routed.table.instructions)


def test_a_candidate_with_few_outcomes_does_not_shrink_the_rest(
    directory: OutcomeDirectory, exam: AptitudeTest, cards: list[CapabilityProfile]
) -> None:
    few = Outcomes.of(
        [row for row in directory.outcomes if row.candidate != "h" or "/1" in row.instruction_id]
    )
    thin = OutcomeDirectory(path=Path("tiny"), instructions=directory.instructions, outcomes=few)
    routed = core_set(thin, cards, exam=exam, rng=np.random.default_rng(0))
    assert routed.table.candidates == NAMES[:-1]
    assert any(note.startswith("h is left out") for note in routed.notes)
    with pytest.raises(DataError, match="routing needs at least two"):
        core_set(directory, cards[:1], exam=exam, rng=np.random.default_rng(0))
    with pytest.raises(DataError, match="no dataset mmlu; it has tiny"):
        core_set(directory, cards, exam=exam, datasets=["mmlu"], rng=np.random.default_rng(0))


def test_parts_carry_the_names_that_tables_use(routed: EvaluationSet) -> None:
    assert list(routed.parts) == ["test", "ood_subjects", "pooled"]
    assert len(routed.widest) == len(routed.table)
    assert routed.seen == tuple("cdefgh")
    assert [card.candidate for card in routed.seen_profiles] == list(routed.seen)


def test_the_final_test_chooses_settings_on_validation(routed: EvaluationSet) -> None:
    assert all(split_of(row.text) == "validation" for row in routed.choosing.instructions)
    assert ids(routed.fitting.instructions) == ids(routed.learning.instructions)


def test_development_chooses_settings_on_tuning_that_is_held_back(
    directory: OutcomeDirectory, exam: AptitudeTest, cards: list[CapabilityProfile]
) -> None:
    rng = np.random.default_rng(0)
    routed = core_set(
        directory, cards, exam=exam, splits=SPLITS, part="validation", limit=10, learn=100, rng=rng
    )
    assert len(routed.table) == 10
    assert routed.groups == {"seen": tuple("cdefgh"), "unseen": ("b",)}
    assert len(routed.learning) == 100
    assert len(routed.choosing) == 20
    assert ids(routed.fitting.instructions) | ids(routed.choosing.instructions) == ids(
        routed.learning.instructions
    )
    assert all(split_of(row.text) == "tuning" for row in routed.choosing.instructions)


def test_another_protocol_has_its_own_exam_cards_and_zoo(abroad: EvaluationSet) -> None:
    assert list(abroad.parts) == ["ood_datasets"]
    assert abroad.zoos == {ABROAD: ABROAD_NAMES}
    assert [card.exam_hash for card in abroad.profiles] == [abroad.exam.hash] * 6
    assert abroad.seen == ("p", "q", "r", "s")
    items = {item.id for item in abroad.exam.items}
    assert not items & ids(abroad.table.instructions)
    assert not items & ids(abroad.learning.instructions)
    assert {task.name for task in abroad.exam.tasks} == {"cooking", "sailing"}


def test_the_exam_does_not_depend_on_those_it_may_not_know(wide_directory: OutcomeDirectory) -> None:
    def exam_of(candidates: tuple[str, ...]) -> str:
        routed = source_set(
            wide_directory,
            ABROAD,
            name=ABROAD,
            splits=SPLITS,
            part="test",
            exam_candidates=candidates,
            rng=np.random.default_rng(0),
        )
        return routed.exam.hash

    assert exam_of(("p", "q", "r", "s")) == exam_of(("p", "q", "r", "s", "nobody"))
    assert exam_of(("p", "q", "r", "s")) != exam_of(ABROAD_NAMES)


def test_out_of_domain_subjects_are_for_the_final_test(wide_directory: OutcomeDirectory) -> None:
    for part, there in (("validation", False), ("test", True)):
        routed = source_set(
            wide_directory,
            "",
            name="home",
            splits=SPLITS,
            part="test" if part == "test" else "validation",
            rng=np.random.default_rng(0),
        )
        asked = {row.category for row in routed.table.instructions}
        assert ("history" in asked) is there
        assert "history" not in {row.category for row in routed.learning.instructions}
        assert ("a" in routed.table.candidates) is there


def test_a_protocol_that_is_too_small_says_so(wide_directory: OutcomeDirectory) -> None:
    def build(*, exam_candidates: tuple[str, ...] | None = None, limit: int | None = None) -> None:
        source_set(
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
