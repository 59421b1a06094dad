"""Wrong cards: levels and names stay, strengths do not."""

from collections.abc import Sequence

import numpy as np
import pytest

from modelsat.bench.controls import derangement, shuffle_levels_kept
from modelsat.types import CapabilityProfile, TaskResult
from tests.bench.world import NAMES, SUBJECTS
from tests.profiles import profile


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
