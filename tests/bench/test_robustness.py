"""Requests written differently, and strings that try to force the dearest candidate."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.bench.evaluation_set import EvaluationSet
from modelsat.bench.sections.gadgets import KNOWN, Search, gadgets_table, with_gadget
from modelsat.bench.sections.robustness import PERTURBATIONS, robustness_table, with_typos
from modelsat.routing.scorer import from_probabilities
from modelsat.types import CapabilityProfile, Instruction, ScoreMatrix
from tests.bench.world import PRICES, TaskAccuracy, price_table

SEARCH = Search(proposals=30, texts=3, measured=40)


class Gullible(TaskAccuracy):
    """Reads cards, but a text that opens with a word of law goes to the candidate last in the alphabet."""

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        told = super().score(instructions, profiles).probabilities.copy()
        for row, instruction in enumerate(instructions):
            if "law" in instruction.text.split("\n")[0].split():
                told[row] = [0.1 + 0.1 * (ord(card.candidate[0]) - ord("a")) for card in profiles]
        return from_probabilities(instructions, profiles, told)


class SeesShape(TaskAccuracy):
    """Cannot read a request without options."""

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        told = super().score(instructions, profiles).probabilities.copy()
        told[["\nA. " not in row.text for row in instructions]] = 0.5
        return from_probabilities(instructions, profiles, told)


@given(text=st.text(), seed=st.integers(0, 99))
def test_typos_swap_letters_and_lose_none(text: str, seed: int) -> None:
    written = with_typos(text, np.random.default_rng(seed))
    assert Counter(written) == Counter(text)
    assert [word[:1] for word in written.split()] == [word[:1] for word in text.split()]


def test_a_long_text_gets_typos_and_keeps_most_words() -> None:
    words = [f"word{'abcdefgh'[at % 8]}ing" for at in range(400)]
    written = with_typos(" ".join(words), np.random.default_rng(0)).split()
    changed = sum(before != after for before, after in zip(words, written, strict=True))
    assert 5 <= changed <= 40


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_every_perturbation_changes_a_request(name: str) -> None:
    text = "Which of these statements about mathematics holds everywhere " * 20 + "\nA. one\nB. two"
    assert PERTURBATIONS[name](text, np.random.default_rng(0)) != text


def test_who_does_not_look_at_the_wording_loses_nothing(routed: EvaluationSet) -> None:
    rows = robustness_table(routed, TaskAccuracy(), limit=50, seed=0).records()
    assert {row["perturbation"] for row in rows} == set(PERTURBATIONS)
    assert {row["zoo"] for row in rows} == {"four", "two", "mean"}
    assert all(row["accuracy_change"] == 0 and row["changed_share"] == 0 for row in rows)


def test_who_needs_options_loses_without_them(routed: EvaluationSet) -> None:
    rows = robustness_table(routed, SeesShape(), limit=100, seed=0).records()
    hurt = {row["perturbation"] for row in rows if row["zoo"] == "four" and row["high"] < 0}  # type: ignore[operator]
    assert hurt == {"options removed"}


def test_a_gadget_is_found_where_there_is_one_and_measured_on_other_questions(routed: EvaluationSet) -> None:
    table = gadgets_table(routed, Gullible(), PRICES, search=SEARCH, seed=0)
    assert table is not None
    found = [row for row in table.records() if row["gadget"] not in KNOWN]
    assert {row["zoo"] for row in found} == {"four", "two"}
    assert all("law" in str(row["gadget"]).split() for row in found)
    assert all(row["success_rate"] == 1 for row in found)
    assert all(row["rate_without"] < 1 for row in found)  # type: ignore[operator]


def test_without_prices_no_candidate_is_the_most_expensive(routed: EvaluationSet) -> None:
    prices = price_table({})
    assert gadgets_table(routed, TaskAccuracy(), prices, search=SEARCH, seed=0) is None


def test_a_gadget_stands_in_front() -> None:
    assert with_gadget(Instruction(id="x", text="a question"), "magic").text == "magic\na question"
