"""How a question is put: styles of prompting, for chat models and for plain completion."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from modelsat.exam.questions import Question
from modelsat.types import InstructionKind

Style = Literal["direct", "think"]
Api = Literal["chat", "completions"]
STYLES: tuple[str, ...] = get_args(Style)
APIS: tuple[str, ...] = get_args(Api)

# Room for an answer. A direct answer is a letter or a number, but many models wrap it in a sentence.
MAX_TOKENS: dict[Style, int] = {"direct": 64, "think": 2048}

_WHAT: dict[InstructionKind, str] = {
    "multiple_choice": "the letter of the right option",
    "numeric": "the number",
    "open": "the answer in as few words as you can",
}
_REQUEST: dict[Style, str] = {
    "direct": "Answer with {what} and nothing else.",
    "think": 'Think step by step. Then end with one line "Answer: X", where X is {what}.',
}
# A base model goes on with what it reads, so it reads the beginning of an answer.
_OPENING: dict[Style, str] = {"direct": "Answer:", "think": "Reasoning:"}
_NEXT_QUESTION = "\nQuestion:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompting:
    """How all questions of one exam are put.

    Attributes:
        style: `direct` (zero-shot, the answer at once) or `think` (reasoning first, the answer last).
        api: Which API is asked: chat messages, or text to be completed.
        max_tokens: Room for an answer.
    """

    style: Style = "direct"
    api: Api = "chat"
    max_tokens: int = MAX_TOKENS["direct"]

    def prompt(self, question: Question, rotation: int = 0) -> str:
        """The words that a candidate reads."""
        request = _REQUEST[self.style].format(what=_WHAT[question.instruction.kind])
        text = question.text(rotation)
        if self.api == "chat":
            return f"{text}\n\n{request}"
        return f"Question: {text}\n{request}\n{_OPENING[self.style]}"

    def body(self, question: Question, rotation: int = 0) -> dict[str, Any]:
        """The request's fields, all but the model's name."""
        prompt = self.prompt(question, rotation)
        asked: dict[str, Any] = (
            {"messages": [{"role": "user", "content": prompt}]}
            if self.api == "chat"
            else {"prompt": prompt, "stop": [_NEXT_QUESTION]}
        )
        return {**asked, "max_tokens": self.max_tokens, "temperature": 0}
