"""Extracts the answer from a reply and compares it with the reference.

One entry per kind of question in `READERS`. An unreadable reply counts as wrong and is counted separately: it tells as
much about how well the model follows instructions as about its knowledge.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from modelsat.exam.questions import Question
from modelsat.types import InstructionKind

_RELATIVE_TOLERANCE = 1e-4

# An answer is at the beginning or at the end of a reply, however long it is. Repetitions in the patterns below are
# bounded, so that no reply can cause excessive backtracking.
_BEGINNING, _END = 2_000, 6_000
_THOUGHTS = (("<think>", "</think>"), ("<thinking>", "</thinking>"))

# "A" and "I" are words too: they are an answer only where nothing but punctuation follows.
_LETTER = r"(?:(?P<letter>[B-HJ-Z])(?![A-Za-z0-9'’])|(?P<word>[AI])(?=\s{0,3}(?:[).:,;*\]}$_`\"]|$|\n)))"
_WRAP = r"[\s*_`\"'(\[{$]{0,8}(?:\\(?:boxed|text|mathrm|textbf)\{[\s*(]{0,3}){0,2}"
_STATED = re.compile(
    rf"[Aa](?i:nswer)\*{{0,2}}(?:\s{{1,3}}(?:is|would be|must be))?\s{{0,3}}[:=]?\s{{0,3}}"
    rf"(?:(?i:option|choice)\s{{1,3}})?{_WRAP}{_LETTER}",
    flags=re.MULTILINE,
)
_BOXED_LETTER = re.compile(rf"\\boxed\{{{_WRAP}{_LETTER}")
_BEGINS_WITH_LETTER = re.compile(rf"^{_WRAP}{_LETTER}")
_ONLY_LETTER = re.compile(r"[\s*_`\"'(\[]{0,8}([A-Za-z])[\s*_`\"').\]:]{0,8}")
_NAMED = re.compile(rf"(?:(?i:option|choice)\s{{1,3}}{_WRAP}{_LETTER})|\((?P<bracketed>[A-Z])\)")

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
    lowered = reply.lower() if len(reply.lower()) == len(reply) else reply
    start = max((at + len(close) for _, close in _THOUGHTS if (at := lowered.rfind(close)) >= 0), default=0)
    stop = min((at for begin, _ in _THOUGHTS if (at := lowered.find(begin, start)) >= 0), default=len(reply))
    rest = reply[start:stop].strip()
    return rest if len(rest) <= _BEGINNING + _END else f"{rest[:_BEGINNING]}\n{rest[-_END:]}"


def read_letter(reply: str, choices: tuple[str, ...]) -> str | None:
    r"""The letter of the chosen option.

    In this order: the last one stated ("The answer is (C)", "Answer: C", `\boxed{C}`), a last or first line
    that is only a letter, a letter at the beginning, an option in full, the only option named.
    """
    letters = tuple(chr(ord("A") + at) for at in range(len(choices)))
    for pattern in (_STATED, _BOXED_LETTER):
        stated = [found for match in pattern.finditer(reply) if (found := _letter(match)) in letters]
        if stated:
            return stated[-1]
    lines = [line for line in reply.splitlines() if line.strip()]
    for line in (*lines[-1:], *lines[:1]):
        alone = _ONLY_LETTER.fullmatch(line.strip())
        if alone and alone[1].upper() in letters:
            return alone[1].upper()
    begins = _BEGINS_WITH_LETTER.match(reply)
    if begins and (found := _letter(begins)) in letters:
        return found
    said = {_plain(line) for line in (*lines[:1], *lines[-1:])}
    matching = [
        letter for letter, choice in zip(letters, choices, strict=True) if _plain(choice) in said - {""}
    ]
    if len(matching) == 1:
        return matching[0]
    named = {match["bracketed"] or _letter(match) for match in _NAMED.finditer(reply)} & set(letters)
    return named.pop() if len(named) == 1 else None


def _letter(match: re.Match[str]) -> str:
    return match["letter"] or match["word"]


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
    return _plain(answer) == _plain(reference)


def _plain(text: str) -> str:
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return folded.strip(" .,;:!?*_`\"'“”‘’()[]")


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
