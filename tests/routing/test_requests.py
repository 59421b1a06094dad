"""Requests in all their forms."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.errors import DataError
from modelsat.routing.requests import (
    CONTEXT_CHARACTERS,
    SELF_CONTAINED,
    SYSTEM_CHARACTERS,
    TELLING,
    guess_kind,
    read_messages,
    to_instruction,
)
from modelsat.types import Instruction, InstructionKind


def message(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


def test_a_text_has_the_same_id_whenever_it_is_asked() -> None:
    assert to_instruction("hello") == to_instruction("hello")
    assert to_instruction("hello").id != to_instruction("hallo").id


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Which is a mammal?\nA. trout\nB. bat\nC. wasp", "multiple_choice"),
        ("Pick one. Options:\n(A) 3\n(B) 5", "multiple_choice"),
        ("Write a Python function that merges two sorted lists.", "code"),
        ("Fix this query for me, it is slow.", "code"),
        ("```\nx = 1\n```\nWhat does it do?", "code"),
        ("How many weeks are there in seven years?", "numeric"),
        ("Find all real x with x^3 - 6x^2 + 11x - 6 = 0.", "numeric"),
        ("Suggest a dinner for four from chickpeas and rice.", "open"),
        ("Draft a mail to my neighbours.", "open"),
        ("", "open"),
    ],
)
def test_a_live_requests_kind_is_guessed_from_its_text(text: str, kind: str) -> None:
    assert guess_kind(text) == kind
    if text:
        assert to_instruction(text).kind == to_instruction([message("user", text)]).kind == kind


@given(st.text(max_size=200), st.integers(0, 50))
def test_any_text_has_a_kind(text: str, times: int) -> None:
    assert guess_kind(text * times) in get_args(InstructionKind)


def test_an_instruction_stays_as_it_is() -> None:
    instruction = Instruction(id="x", text="hello")
    assert to_instruction(instruction) is instruction


def test_a_short_last_turn_takes_the_conversation_before_it_along() -> None:
    chat = [
        message("system", "Be brief."),
        message("user", "Name the capital of Peru, and the year in which it was founded."),
        message("assistant", "Lima, 1535."),
        message("user", "And of Chile?"),
    ]
    assert to_instruction(chat).text == "\n\n".join(turn["content"] for turn in chat[1:])


@pytest.mark.parametrize("role", ["system", "developer"])
def test_turns_that_say_next_to_nothing_take_the_beginning_of_the_system_prompt_along(role: str) -> None:
    prompt = "You mend SQL queries. " + "Be polite. " * 50
    instruction = to_instruction([message(role, " "), message(role, prompt), message("user", "Fix this.")])
    assert instruction.text.startswith("You mend SQL queries. Be polite.")
    assert instruction.text.endswith("\n\nFix this.")
    assert len(instruction.text) <= SYSTEM_CHARACTERS + len("\n\nFix this.")


def test_turns_that_say_enough_leave_the_system_prompt_out() -> None:
    said = "x" * TELLING
    assert to_instruction([message("system", "Be brief."), message("user", said)]).text == said


def test_a_long_last_turn_stands_alone() -> None:
    last = "word " * (SELF_CONTAINED // 4)
    assert to_instruction([message("user", "before"), message("user", last)]).text == last.strip()


def test_context_is_bounded_and_the_latest_turns_are_kept() -> None:
    chat = [message("user", "old " * 500), message("assistant", "answer"), message("user", "why?")]
    text = to_instruction(chat).text
    assert len(text) <= CONTEXT_CHARACTERS + len("why?") + 8
    assert text.endswith("answer\n\nwhy?")


def test_what_follows_the_last_user_turn_is_left_out() -> None:
    assert to_instruction([message("user", "ask"), message("assistant", "prefilled")]).text == "ask"


def test_parts_give_text_and_images() -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
        {"type": "input_audio", "input_audio": {}},
    ]
    instruction = to_instruction([message("user", parts)])
    assert instruction.text == "What is this?"
    assert instruction.images == ("https://example.org/cat.png",)


@pytest.mark.parametrize("empty", ["", "   \n\t", [message("user", "ask"), message("user", " ")][1:]])
def test_an_empty_request_is_one_clear_error(empty: Any) -> None:
    with pytest.raises(DataError, match=r"is empty|no user message with content"):
        to_instruction(empty)


@pytest.mark.parametrize(
    ("chat", "fault"),
    [
        ([], "no user message"),
        ([message("system", "x")], "no user message"),
        (["hello"], "chat message 1: found str"),
        ([message("user", "x"), {"content": "y"}], "chat message 2: role is None"),
        ([message("user", 3)], "content is int"),
        ([message("user", ["x"])], "has no type"),
        (3, "expected a list"),
    ],
)
def test_a_malformed_chat_says_which_message_and_why(chat: Any, fault: str) -> None:
    with pytest.raises(DataError, match=fault):
        to_instruction(chat)


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), st.text()), max_size=6))
def test_the_last_user_turn_is_always_what_is_read_last(turns: list[tuple[str, str]]) -> None:
    users = [content.strip() for role, content in turns if role == "user" and content.strip()]
    if users:
        text, _ = read_messages([message(role, content) for role, content in turns])
        assert text.endswith(users[-1])
