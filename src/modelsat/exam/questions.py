"""The exam's questions: blueprint items with their texts, and the prompts made of them.

A blueprint holds no texts. They come from a file or from the hub, and a text counts as an item's only if its content
hash is the item's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Literal

from modelsat.capability.aptitude import AptitudeTest, ExamItem, ExamTask
from modelsat.errors import DataError
from modelsat.records.splits import content_hash
from modelsat.records.store import ENDINGS, read_instructions
from modelsat.types import Instruction, InstructionKind

Style = Literal["direct", "think"]
Api = Literal["chat", "completions"]

# A direct answer is a letter or a number, but many models wrap it in a sentence.
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
# A base model continues its prompt, so the prompt ends with the beginning of an answer.
_OPENING: dict[Style, str] = {"direct": "Answer:", "think": "Reasoning:"}
_NEXT_QUESTION = "\nQuestion:"

HUB = "hub"
_OPTIONS_BEGIN = "\nA. "


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One item of the exam, with its text.

    Attributes:
        item: Its entry in the blueprint.
        task: Name of its task.
        instruction: Its text, options and reference answer.
    """

    item: ExamItem
    task: str
    instruction: Instruction

    @property
    def letters(self) -> str:
        """Letters of the options; empty without options."""
        return ascii_uppercase[: len(self.instruction.choices)]

    @property
    def rotations(self) -> int:
        """Number of rotations of the options; 1 without options."""
        return max(1, len(self.instruction.choices))

    def text(self, rotation: int = 0) -> str:
        """The question with its options rotated by so many places."""
        choices = self.instruction.choices
        if not choices:
            return self.instruction.text
        turned = (*choices[rotation:], *choices[:rotation])
        stem = self.instruction.text.split(_OPTIONS_BEGIN)[0]
        return stem + "".join(
            f"\n{letter}. {choice}" for letter, choice in zip(self.letters, turned, strict=True)
        )

    def choices(self, rotation: int = 0) -> tuple[str, ...]:
        """The options in the order they are shown."""
        choices = self.instruction.choices
        return (*choices[rotation:], *choices[:rotation])

    def answer(self, rotation: int = 0) -> str:
        """The reference answer; a letter moves with its option."""
        answer = self.instruction.answer or ""
        if not self.instruction.choices:
            return answer
        return self.letters[(self.letters.index(answer) - rotation) % len(self.letters)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFormat:
    """How the questions of an exam are put into words.

    Attributes:
        style: `direct` (zero-shot, the answer at once) or `think` (reasoning first, the answer last).
        api: API that is called: chat messages, or text to be completed.
        max_tokens: Token limit of an answer.
    """

    style: Style = "direct"
    api: Api = "chat"
    max_tokens: int = MAX_TOKENS["direct"]

    def text(self, question: Question, rotation: int = 0) -> str:
        """The prompt."""
        request = _REQUEST[self.style].format(what=_WHAT[question.instruction.kind])
        text = question.text(rotation)
        if self.api == "chat":
            return f"{text}\n\n{request}"
        return f"Question: {text}\n{request}\n{_OPENING[self.style]}"

    def body(self, text: str) -> dict[str, Any]:
        """Fields of the request with this prompt, without the model's name."""
        asked: dict[str, Any] = (
            {"messages": [{"role": "user", "content": text}]}
            if self.api == "chat"
            else {"prompt": text, "stop": [_NEXT_QUESTION]}
        )
        return {**asked, "max_tokens": self.max_tokens, "temperature": 0}


def reduced(
    exam: AptitudeTest,
    *,
    tasks: int | None = None,
    shots: int | None = None,
    named: Sequence[str] = (),
) -> tuple[ExamTask, ...]:
    """The first tasks of an exam with the first items of each: the same for every candidate.

    Args:
        exam: The exam.
        tasks: How many tasks; all by default.
        shots: How many items of each; all by default.
        named: Only tasks whose name contains one of these, whatever the case.

    Raises:
        DataError: There are fewer tasks, or none of that name.
    """
    chosen = list(exam.tasks)
    for name in named:
        if not any(name.casefold() in task.name.casefold() for task in chosen):
            raise DataError(
                f"exam {exam.name}: no task has {name!r} in its name; it has {', '.join(t.name for t in chosen)}."
            )
    if named:
        wanted = [name.casefold() for name in named]
        chosen = [task for task in chosen if any(name in task.name.casefold() for name in wanted)]
    if tasks is not None and tasks > len(chosen):
        raise DataError(f"exam {exam.name}: has {len(chosen)} tasks, not {tasks}; ask for fewer.")
    return tuple(replace(task, items=task.items[:shots]) for task in chosen[:tasks])


def read_texts(source: Path) -> tuple[Instruction, ...]:
    """Read the texts that a blueprint leaves out.

    Args:
        source: A `.parquet` or `.jsonl` file of instructions, or a folder with one named `instructions`.

    Raises:
        DataError: There is no such file, or a row is malformed.
    """
    if source.is_dir():
        found = [path for ending in ENDINGS if (path := source / f"instructions{ending}").is_file()]
        if not found:
            raise DataError(f"{source}: no instructions.parquet or instructions.jsonl there; name the file.")
        source = found[0]
    if not source.exists():
        raise DataError(f"{source}: no such file; check the path.")
    return read_instructions(source)


def find_questions(
    exam: AptitudeTest, tasks: Sequence[ExamTask], texts: Sequence[Instruction], *, where: str
) -> list[Question]:
    """Give every item of some tasks its text.

    Args:
        exam: The exam, for its name.
        tasks: Tasks to ask, e.g. from `reduced`.
        texts: Instructions that include the items; found by content hash, whatever their ids are.
        where: Name of the texts in errors.

    Returns:
        The first item of each task, then the second of each, and so on: stopped early, an exam has asked as much
        of one task as of another.

    Raises:
        DataError: A text is missing or differs from the exam's, or has no usable reference answer.
    """
    wanted = {item.content_hash for task in tasks for item in task.items}
    by_hash: dict[str, Instruction] = {}
    ids: set[str] = set()
    for text in texts:
        ids.add(text.id)
        digest = content_hash(text.text, text.choices)
        if digest in wanted:
            known = by_hash.get(digest)
            if known is None or known.answer is None:
                by_hash[digest] = text
    questions = []
    for shot in range(max(len(task.items) for task in tasks)):
        for task in tasks:
            if shot < len(task.items):
                item = task.items[shot]
                found = by_hash.get(item.content_hash)
                if found is None:
                    raise DataError(_missing(exam, item, where, same_id=item.id in ids))
                _check_answer(found, where)
                questions.append(Question(item=item, task=task.name, instruction=found))
    return questions


def _missing(exam: AptitudeTest, item: ExamItem, where: str, *, same_id: bool) -> str:
    if same_id:
        return (
            f"{where}: item {item.id!r} is not the question that the exam {exam.name!r} asks (its content hash "
            "differs); use the texts that the exam was built from."
        )
    return (
        f"{where}: item {item.id!r} of exam {exam.name!r} is not there; "
        f"give the texts of {exam.dataset or 'its dataset'} with --source."
    )


def _check_answer(text: Instruction, where: str) -> None:
    if text.kind == "code":
        return
    if not (text.answer or "").strip():
        raise DataError(
            f"{where}: item {text.id!r} has no reference answer; its answers could not be graded."
        )
    if len(text.choices) > len(ascii_uppercase):
        raise DataError(
            f"{where}: item {text.id!r} has {len(text.choices)} options; at most 26 have letters."
        )
    if text.choices and text.answer not in tuple(ascii_uppercase[: len(text.choices)]):
        raise DataError(
            f"{where}: item {text.id!r} has the answer {text.answer!r}; expected a letter from A to "
            f"{ascii_uppercase[len(text.choices) - 1]}."
        )
