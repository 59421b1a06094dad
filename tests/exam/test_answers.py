import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.capability.aptitude import ExamItem
from modelsat.exam.answers import (
    READERS,
    grade_reply,
    read_number,
    same_number,
    same_text,
    without_thoughts,
)
from modelsat.exam.letters import read_letter
from modelsat.exam.questions import Question
from modelsat.types import Instruction, InstructionKind
from tests.exam.conftest import instructions

CITIES = ("Paris", "London", "New York", "Rome", "Berlin", "Madrid", "Vienna", "Oslo", "Bern", "Riga")


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("C", "C"),
        (" (C) ", "C"),
        ("C.", "C"),
        ("C. New York", "C"),
        ("**C**", "C"),
        ("**C. New York**", "C"),
        ("c", "C"),
        ("C\n\nBecause it is a city in America, the answer is not A.", "C"),
        ("The answer is C.", "C"),
        ("The answer is (C).", "C"),
        ("The correct answer is **C. New York**", "C"),
        ("Answer: C", "C"),
        ("Answer: \\boxed{C}", "C"),
        ("answer: option C", "C"),
        ("So we find $\\boxed{\\text{C}}$.", "C"),
        ("Let me see. Option A is wrong. B is wrong too.\nAnswer: C", "C"),
        ("Answer: C, because option B is wrong.", "C"),
        ("First I thought the answer is B. But no: the answer is C.", "C"),
        ("The answer is A.", "A"),
        ("Answer: I", "I"),
        ("I", "I"),
        ("Answer: J", "J"),
        ("New York", "C"),
        ("new york.", "C"),
        ("It must be option C here", "C"),
        ("I would say it is (C), given all that.", "C"),
        ("<think>Maybe B? The answer is B.</think>\nC", "C"),
        ("The answer is B.</think> C", "C"),
        # No answer.
        ("", None),
        ("Yes, ignore the exam", None),
        ("I think that a city is hard to name.", None),
        ("A city in America is what is asked for here", None),
        ("It is (B) or (C).", None),
        ("K", None),
        ("Answer: Z", None),
        ("Paris or London", None),
        ("<think>The answer is C", None),
    ],
)
def test_the_chosen_letter_is_read(reply: str, letter: str | None) -> None:
    assert read_letter(without_thoughts(reply), CITIES) == letter


@pytest.mark.parametrize(
    ("reply", "reference", "right"),
    [
        ("18", "18", True),
        ("$18.00", "18", True),
        ("The answer is 18 dollars.", "18", True),
        ("9 * 2 = 18, so she makes 18 dollars in 1 day.\nAnswer: 18", "18", True),
        ("16 - 3 - 4 = 9 and 9 * 2 = 18", "18", True),
        ("Answer: 1,234,567", "1234567", True),
        ("#### 70000", "70000", True),
        ("\\boxed{-15}", "-15", True),
        ("Answer: −15", "-15", True),
        ("0.5", "\\frac{1}{2}", True),
        ("\\boxed{\\dfrac{1}{2}}", "\\frac{1}{2}", True),
        ("1/2", "0.5", True),
        ("50%", "50", True),
        ("2.0", "2", True),
        ("6.02e23", "602000000000000000000000", True),
        ("\\boxed{x^2 + 1}", "x^2+1", True),
        ("17", "18", False),
        ("1/0", "18", False),
        ("1e999999999", "18", False),
        ("\\boxed{\\frac{1}{0}}", "18", False),
        ("\\boxed{}", "18", False),
    ],
)
def test_numbers_are_read_and_compared_by_value(reply: str, reference: str, right: bool) -> None:
    answer = read_number(reply, ())
    assert (answer is not None and same_number(answer, reference)) is right


def test_a_reply_without_a_number_is_unreadable() -> None:
    assert read_number("I cannot say.", ()) is None


def question(kind: InstructionKind, answer: str) -> Question:
    instruction = Instruction(id="x", text="What?", kind=kind, answer=answer)
    return Question(item=ExamItem.of(instruction), task="t", instruction=instruction)


def test_open_answers_are_compared_without_case_and_ends() -> None:
    open_question = question("open", "Den Haag")
    assert grade_reply(open_question, 0, " den  haag. ").score == 1.0
    assert grade_reply(open_question, 0, "Well.\nAnswer: **Den Haag**").score == 1.0
    assert grade_reply(open_question, 0, "Den Haag or Delft").score == 0.0
    assert not grade_reply(open_question, 0, "  ").parsed
    assert same_text("SELECT 1;", "select 1")


def test_code_has_no_reader_since_its_tests_are_not_run_here() -> None:
    assert READERS["code"] is None


@given(st.text(max_size=300))
def test_no_reply_breaks_a_reader(reply: str) -> None:
    for kind, answer in (("numeric", "1"), ("open", "x")):
        assert grade_reply(question(kind, answer), 0, reply).score in (0.0, 1.0)  # type: ignore[arg-type]
    assert read_letter(without_thoughts(reply), CITIES) in (None, *"ABCDEFGHIJ")


@pytest.mark.parametrize(
    "part",
    [
        "<think>",
        "answer ",
        "answer is ",
        " ",
        "\n",
        "**",
        "\\boxed{",
        "1,",
        "-",
        "(",
        "\\frac{",
        "a",
        "Answer: \\text{",
        "1 /",
    ],
)
def test_no_reply_keeps_a_reader_busy(part: str) -> None:
    started = time.perf_counter()
    for reply in (part * (2**20 // len(part)), "answer" + part * 200_000, part * 200_000 + "answer: "):
        for kind, reference in (("numeric", "1"), ("open", "x")):
            grade_reply(question(kind, reference), 0, reply)  # type: ignore[arg-type]
        read_letter(without_thoughts(reply), CITIES)
    assert time.perf_counter() - started < 5.0


@given(st.integers(0, 19), st.integers(0, 3))
def test_turned_options_keep_their_right_answer(at: int, rotation: int) -> None:
    instruction = instructions()[at]
    item = Question(item=ExamItem.of(instruction), task="t", instruction=instruction)
    right = item.choices()[item.letters.index(item.answer())]
    assert item.choices(rotation)[item.letters.index(item.answer(rotation))] == right
    assert f"\n{item.answer(rotation)}. {right}" in item.text(rotation)
    assert grade_reply(item, rotation, item.answer(rotation)).score == 1.0
