"""A question as every format words it differently: its text with lettered options, its kind, its answer."""

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from string import ascii_uppercase
from typing import Any

from modelsat.types import InstructionKind

_NUMBER = re.compile(r"[-+]?\d[\d,]*(\.\d+)?")


def lettered(question: str, choices: Sequence[str]) -> str:
    """The question as a user would send it, its options below it as "A. ...", one a line.

    Beyond 26 options there are no letters left, and a question that already lists its options keeps its own.
    """
    if not choices or len(choices) > len(ascii_uppercase) or "\nA. " in question:
        return question
    options = (f"{letter}. {choice}" for letter, choice in zip(ascii_uppercase, choices, strict=False))
    return "\n".join((question, *options))


def kind_of(choices: Sequence[str], answer: str | None) -> InstructionKind:
    """How an answer would be graded, as far as options and answer tell."""
    if choices:
        return "multiple_choice"
    return "numeric" if answer is not None and _NUMBER.fullmatch(answer.strip()) else "open"


def answer_letter(answer: Any, choices: Sequence[str], *, by_position: bool = False) -> str | None:  # noqa: ANN401
    """The answer under the letters of `lettered`, or as it is where there are no options.

    Args:
        answer: A letter, an option's text or its position from 0.
        choices: The options.
        by_position: Text of digits alone is a position, even where an option reads alike.
    """
    if answer is None or isinstance(answer, list | dict):
        return None
    text = str(answer)
    if not choices:
        return text
    if by_position and text.isdecimal() and int(text) < min(len(choices), 26):
        return ascii_uppercase[int(text)]
    if text in choices and choices.index(text) < len(ascii_uppercase):
        return ascii_uppercase[choices.index(text)]
    return text


def texts(value: Any) -> list[str]:  # noqa: ANN401
    """Options from any of the shapes that logs hold: a list, or {"text": [...]}; empty where it is neither."""
    if isinstance(value, Mapping):
        value = value.get("text")
    if not isinstance(value, list) or not all(isinstance(part, str | int | float) for part in value):
        return []
    return [str(part) for part in value]


def digest(*parts: str) -> str:
    """A short name made of texts, the same wherever they stand."""
    return sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()[:12]
