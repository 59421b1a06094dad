"""Evaluation on outcomes made for the purpose: who is measured on what, and what the controls show."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modelsat.bench.cache import CachedEmbed, RowCache, folder_digest
from modelsat.bench.controls import (
    control_profiles,
    derangement,
    measure_controls,
    shuffle_levels_kept,
    split_candidates,
)
from modelsat.bench.evaluate import measure
from modelsat.bench.heldout import HeldOut, hold_out
from modelsat.bench.scoring import score_cached
from modelsat.capability.aptitude import AptitudeTest
from modelsat.errors import DataError
from modelsat.records.outcomes import Outcomes
from modelsat.records.splits import split_of
from modelsat.records.store import OutcomeDirectory
from modelsat.routing.scorer import Level
from modelsat.types import CapabilityProfile, FloatArray, Outcome, ScoreMatrix, TaskResult
from tests.bench.world import NAMES, SPLITS, SUBJECTS, TaskAccuracy
from tests.profiles import profile


def test_test_instructions_are_held_out_and_the_exam_is_in_no_part(
    held_out: HeldOut, exam: AptitudeTest
) -> None:
    ids = {item.id for item in exam.items}
    rows = held_out.table.instructions
    assert all(split_of(rows[at].text) == "test" for at in held_out.parts["test"])
    assert {rows[at].category for at in held_out.parts["out_of_domain"]} == {"history"}
    assert {row.category for row in held_out.tuning.instructions} == {"law", "maths", "code"}
    assert all(split_of(row.text) == "tuning" for row in held_out.tuning.instructions)
    assert not ids & {row.id for row in (*rows, *held_out.tuning.instructions)}
    assert len(held_out.parts["pooled"]) == len(rows)


def test_candidates_are_grouped_and_a_zoo_that_is_not_whole_is_noted(held_out: HeldOut) -> None:
    assert held_out.groups["unseen"] == ("a",)
    assert held_out.groups["unseen in validation"] == ("b",)
    assert list(held_out.zoos) == ["four", "two"]
    assert any("zoo absent is left out: nobody" in note for note in held_out.notes)


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
    held_out = hold_out(both, cards, exam=exam, splits=SPLITS, rng=np.random.default_rng(0))
    assert "history/twin" not in {row.id for row in held_out.table.instructions}
    assert any("an in-domain one asks the same" in note for note in held_out.notes)


def test_validation_never_looks_at_the_candidates_of_the_test(
    directory: OutcomeDirectory, exam: AptitudeTest, cards: list[CapabilityProfile]
) -> None:
    rng = np.random.default_rng(0)
    held_out = hold_out(directory, cards, exam=exam, splits=SPLITS, part="validation", rng=rng)
    assert "a" not in held_out.table.candidates
    assert list(held_out.parts) == ["validation"]
    assert held_out.zoos == {"four": ("b", "c", "d")}
    assert all(split_of(row.text) == "validation" for row in held_out.table.instructions)


def test_without_splits_all_candidates_are_one_zoo(
    directory: OutcomeDirectory, exam: AptitudeTest, cards: list[CapabilityProfile]
) -> None:
    held_out = hold_out(directory, cards, exam=exam, limit=10, stem_only=True, rng=np.random.default_rng(0))
    assert held_out.zoos == {"all": NAMES}
    assert len(held_out.table) == 10
    assert not any("A. yes" in row.text for row in held_out.table.instructions)


def test_a_candidate_with_few_outcomes_does_not_shrink_the_rest(
    directory: OutcomeDirectory, exam: AptitudeTest, cards: list[CapabilityProfile]
) -> None:
    few = Outcomes.of(
        [row for row in directory.outcomes if row.candidate != "h" or "/1" in row.instruction_id]
    )
    thin = OutcomeDirectory(path=Path("tiny"), instructions=directory.instructions, outcomes=few)
    held_out = hold_out(thin, cards, exam=exam, rng=np.random.default_rng(0))
    assert held_out.table.candidates == NAMES[:-1]
    assert any(note.startswith("h is left out") for note in held_out.notes)
    with pytest.raises(DataError, match="routing needs at least two"):
        hold_out(directory, cards[:1], exam=exam, rng=np.random.default_rng(0))
    with pytest.raises(DataError, match="no dataset mmlu; it has tiny"):
        hold_out(directory, cards, exam=exam, datasets=["mmlu"], rng=np.random.default_rng(0))


def test_a_router_that_reads_cards_gains_and_loses_it_with_the_wrong_cards(held_out: HeldOut) -> None:
    profiles = (*held_out.profiles, *control_profiles(held_out.profiles))
    scores = TaskAccuracy().score(held_out.table.instructions, profiles)
    own, swapped = split_candidates(scores, len(held_out.profiles))
    report = measure("task accuracy", own, held_out)
    pooled = next(choice for choice in report.choices if (choice.part, choice.zoo) == ("pooled", "four"))
    assert pooled.gain.low > 0.1
    assert max(pooled.random, pooled.best_single_accuracy) < pooled.accuracy < pooled.oracle
    assert 0 < pooled.gap_closed.low < pooled.gap_closed.mean < pooled.gap_closed.high < 1
    shuffled, level_kept = measure_controls(own, swapped, held_out)
    assert shuffled.loss.low > 0
    assert level_kept.loss.low > 0
    assert level_kept.gain.mean < pooled.gain.mean


def test_a_router_that_does_not_read_gains_nothing(held_out: HeldOut) -> None:
    report = measure("level", Level().score(held_out.table.instructions, held_out.profiles), held_out)
    assert all(choice.entropy == 0 for choice in report.choices)
    assert all(quality.within_auc == 0.5 for quality in report.quality)


def test_a_report_is_the_same_for_the_same_seed(held_out: HeldOut) -> None:
    scores = TaskAccuracy().score(held_out.table.instructions, held_out.profiles)
    assert measure("x", scores, held_out, seed=3) == measure("x", scores, held_out, seed=3)


def test_swapped_cards_keep_levels_and_names_but_not_strengths() -> None:
    cards = [
        profile(
            name, {subject: 0.3 + 0.02 * at + 0.2 * (at % 4 == task) for task, subject in enumerate(SUBJECTS)}
        )
        for at, name in enumerate(NAMES)
    ]
    swapped = shuffle_levels_kept(cards, np.random.default_rng(0))
    assert [card.candidate for card in swapped] == list(NAMES)
    for before, after in zip(cards, swapped, strict=True):
        assert after.level == pytest.approx(before.level, abs=1e-9)
    assert sum(before.results != after.results for before, after in zip(cards, swapped, strict=True)) >= 6


def test_swapped_cards_with_items_stay_exams_of_single_answers(cards: list[CapabilityProfile]) -> None:
    swapped = shuffle_levels_kept(cards, np.random.default_rng(0))
    for before, after in zip(cards, swapped, strict=True):
        assert after.candidate == before.candidate
        assert after.level == pytest.approx(before.level, abs=1e-9)
        assert [result.shots for result in after.results] == [result.shots for result in before.results]
        answers = [score for result in after.results for score in result.items]
        assert len(answers) == 80
        assert set(answers) <= {0.0, 1.0}
        assert before.results != after.results
    again = shuffle_levels_kept(cards, np.random.default_rng(0))
    assert swapped == again


def test_swapped_cards_follow_their_donor_and_flip_no_more_than_levels_ask_for() -> None:
    def card(name: str, answers: Sequence[Sequence[float | None]]) -> CapabilityProfile:
        results = []
        for task, items in zip(SUBJECTS, answers, strict=False):
            sat = [score for score in items if score is not None]
            results.append(
                TaskResult(
                    task=task,
                    keywords=(task,),
                    accuracy=sum(sat) / len(sat),
                    shots=len(sat),
                    items=tuple(items),
                )
            )
        return CapabilityProfile(candidate=name, exam="tiny", exam_hash="0", results=tuple(results))

    first = card("first", [[1, 1, 1, 1], [0, 0, 0, None]])
    second = card("second", [[0, 0, 0, 0], [1, 1, 1, 0]])
    swapped = shuffle_levels_kept([first, second], np.random.default_rng(0))
    # One of the first's answers is flipped to solved, beyond the donor's three; it never sat the last item.
    answers = [score for result in swapped[0].results for score in result.items]
    assert answers.count(None) == 1
    assert answers[-1] is None
    assert answers[4:7] == [1, 1, 1]
    assert answers[:4].count(1) == 1
    assert [score for result in swapped[1].results for score in result.items].count(1) == 3


@pytest.mark.parametrize("count", [2, 3, 24])
def test_a_derangement_leaves_nothing_in_its_place(count: int) -> None:
    permutation = derangement(count, np.random.default_rng(0))
    assert sorted(permutation) == list(range(count))
    assert (permutation != np.arange(count)).all()


def test_a_rerun_computes_nothing(tmp_path: Path, held_out: HeldOut) -> None:
    instructions, path = held_out.table.instructions, tmp_path / "scores.npz"
    first = score_cached(TaskAccuracy(), instructions, held_out.profiles, RowCache(path))

    class Tired:
        name = "tired"

        def score(self, *_: object) -> ScoreMatrix:
            raise AssertionError("scored again")

    again = score_cached(Tired(), instructions, held_out.profiles, RowCache(path))
    np.testing.assert_array_equal(first.logits, again.logits)
    np.testing.assert_array_equal(first.probabilities, again.probabilities)


def test_embeddings_come_from_the_cache_and_a_damaged_one_is_made_anew(tmp_path: Path) -> None:
    asked: list[str] = []

    def encode(texts: Sequence[str]) -> FloatArray:
        asked.extend(texts)
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)

    path = tmp_path / "embeddings.npz"
    texts = ["long text", "x", "long text"]
    np.testing.assert_array_equal(CachedEmbed(lambda: encode, RowCache(path))(texts)[:, 0], [9, 1, 9])
    CachedEmbed(lambda: encode, RowCache(path))(texts)
    assert sorted(asked) == ["long text", "x"]
    path.write_bytes(b"damaged")
    CachedEmbed(lambda: encode, RowCache(path))(texts)
    assert len(asked) == 4


def test_a_folders_digest_follows_its_files(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"1")
    before = folder_digest(tmp_path)
    (tmp_path / "weights").write_bytes(b"2")
    assert folder_digest(tmp_path) != before
