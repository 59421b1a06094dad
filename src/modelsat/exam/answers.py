"""Extracts the answer from a reply and compares it with the reference.

One entry per kind of question in `READERS`. An unreadable reply counts as wrong and is counted separately: it tells as
much about how well the model follows instructions as about its knowledge.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from modelsat.exam.letters import plain_text, read_letter
from modelsat.exam.questions import Question
from modelsat.types import InstructionKind

_RELATIVE_TOLERANCE = 1e-4

# An answer is at the beginning or at the end of a reply, however long it is. Repetitions in the patterns below are
# bounded, so that no reply can cause excessive backtracking.
_BEGINNING, _END = 2_000, 6_000
# Marks of a model's reasoning, in lower case.
_TAGS = (
    "think",
    "thinking",
    "thought",
    "thoughts",
    "reasoning",
    "reflection",
    "analysis",
    "scratchpad",
    "seed:think",
)
_THOUGHTS = (
    *((f"<{tag}>", f"</{tag}>") for tag in _TAGS),
    ("[think]", "[/think]"),
    ("◁think▷", "◁/think▷"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
)
# Each of them begins with one of these; most replies have none.
_MARKS = ("<", "[", "◁")
_CONTROL = re.compile(r"<\|(?:end|return|start|im_end|eot_id|endoftext)\|>(?:assistant)?")

_NUMBER = re.compile(
    r"[-+−]?\s?[$€£]?\s?(?:\d[\d,]{0,60}(?:\.\d{1,60})?|\.\d{1,60})(?:[eE][-+]?\d{1,9})?(?:\s?/\s?\d[\d,]{0,60})?"
)
_FRACTION = re.compile(r"([-−]?)\s?\\[dt]?frac\s?\{\s?([-−]?\d{1,60})\s?\}\s?\{\s?(\d{1,60})\s?\}")
_STATED_LINE = re.compile(
    r"(?:answer|####)\*{0,2}(?:\s{1,3}is)?\s{0,3}[:=]?\s{0,3}(\S.{0,300})", flags=re.IGNORECASE
)
_STATED_TEXT = re.compile(r"answer\s{0,3}:[\s*]{0,6}(\S.*)", flags=re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """Grade of a reply.

    Attributes:
        score: 1 if the answer is right, else 0.
        parsed: Whether an answer could be read.
    """

    score: float
    parsed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerReader:
    """Reads and compares answers of one kind.

    Attributes:
        read: From (reply without its reasoning, options in the order shown) to the answer, or None.
        same: Whether an answer equals the reference.
    """

    read: Callable[[str, tuple[str, ...]], str | None]
    same: Callable[[str, str], bool]


def grade_reply(question: Question, rotation: int, reply: str) -> Grade:
    """Grade a reply to a question whose options were rotated by `rotation` places."""
    reader = READERS[question.instruction.kind]
    assert reader is not None, "questions that cannot be graded are not asked"
    answer = reader.read(without_thoughts(reply), question.choices(rotation))
    if answer is None:
        return Grade(score=0.0, parsed=False)
    return Grade(score=float(reader.same(answer, question.answer(rotation))), parsed=True)


def without_thoughts(reply: str) -> str:
    """The reply after the model's marked reasoning; empty if it was cut off within it.

    Some servers strip the opening mark and leave the closing one. Of a very long reply, beginning and end are kept.
    """
    rest = reply.strip()
    if any(mark in rest for mark in _MARKS):
        rest = _unmarked(rest)
    return rest if len(rest) <= _BEGINNING + _END else f"{rest[:_BEGINNING]}\n{rest[-_END:]}"


def _unmarked(reply: str) -> str:
    lowered = reply.lower() if len(reply.lower()) == len(reply) else reply
    start = max((at + len(close) for _, close in _THOUGHTS if (at := lowered.rfind(close)) >= 0), default=0)
    stop = min((at for begin, _ in _THOUGHTS if (at := lowered.find(begin, start)) >= 0), default=len(reply))
    return _CONTROL.sub(" ", reply[start:stop]).strip()


def read_number(reply: str, choices: tuple[str, ...]) -> str | None:
    """The number that a reply arrives at: boxed, else stated after "answer", else the last one."""
    boxed = _last_boxed(reply)
    if boxed is not None:
        return boxed
    stated = _STATED_LINE.findall(reply)
    for text in (*stated[-1:], reply):
        found = _numbers(text)
        if found:
            # A sentence that states the answer begins with it; any other reply ends with it.
            return found[0] if text is not reply else found[-1]
    return stated[-1].strip() if stated and stated[-1].strip() else None


def read_text(reply: str, choices: tuple[str, ...]) -> str | None:
    """The words after the last "Answer:", or all of the reply."""
    stated = _STATED_TEXT.findall(reply)
    text = (stated[-1] if stated else reply).strip()
    return text or None


def same_number(answer: str, reference: str) -> bool:
    """Whether two texts are the same number, however written; texts that are not numbers must be equal."""
    first, second = _value(answer), _value(reference)
    if first is None or second is None:
        return _formula(answer) == _formula(reference)
    return abs(first - second) <= _RELATIVE_TOLERANCE * abs(second)


def same_text(answer: str, reference: str) -> bool:
    """Whether two texts are equal except for case, spacing and punctuation at their ends."""
    return plain_text(answer) == plain_text(reference)


def _last_boxed(reply: str) -> str | None:
    start = reply.rfind("\\boxed{")
    if start < 0:
        return None
    depth, begin = 0, start + len("\\boxed")
    for at in range(begin, len(reply)):
        depth += {"{": 1, "}": -1}.get(reply[at], 0)
        if depth == 0:
            return reply[begin + 1 : at].strip() or None
    return None


def _numbers(text: str) -> list[str]:
    fractions = [match[0] for match in _FRACTION.finditer(text)]
    return fractions or [match[0].strip() for match in _NUMBER.finditer(text)]


def _value(text: str) -> Fraction | None:
    fraction = _FRACTION.search(text)
    if fraction and fraction[0].strip() == text.strip(" $"):
        sign = -1 if fraction[1] else 1
        bottom = int(fraction[3])
        return sign * Fraction(int(fraction[2].replace("−", "-")), bottom) if bottom else None
    plain = re.sub(r"\\[,!;% ]|[$€£,\s]", "", text.replace("−", "-")).rstrip(".%°")
    try:
        # Short texts only: 1e999999999 would exhaust memory.
        return Fraction(plain) if len(plain) <= 40 and not re.search(r"[eE][-+]?\d{4,}", plain) else None
    except (ValueError, ZeroDivisionError):
        return None


def _formula(text: str) -> str:
    bare = re.sub(r"\\(?:left|right|displaystyle|!|,|;)|\\text\{[^}]*\}|[\s$]", "", text)
    return bare.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").rstrip(".")


READERS: dict[InstructionKind, AnswerReader | None] = {
    "multiple_choice": AnswerReader(read=read_letter, same=str.__eq__),
    "numeric": AnswerReader(read=read_number, same=same_number),
    "open": AnswerReader(read=read_text, same=same_text),
    # Only tests can grade code, and an exam does not run code that a model wrote.
    "code": None,
}
