"""A small exam with texts, and a candidate that knows some of the answers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelsat.capability.aptitude import AptitudeTest, ExamItem, ExamTask
from modelsat.exam.endpoint import RetryPolicy
from modelsat.exam.questions import Question, find_questions
from modelsat.testing import FAULTS as COMMON_FAULTS
from modelsat.testing import Answer, FakeRequest
from modelsat.types import CapabilityProfile, Instruction, TaskResult

TASKS, SHOTS, OPTIONS = 4, 5, 4
QUICK = RetryPolicy(timeout_s=0.3, attempts=4, first_wait_s=0.001, longest_wait_s=1.0, largest_answer=2**17)


def instructions(tasks: int = TASKS, shots: int = SHOTS) -> list[Instruction]:
    """Lettered sums; the right option moves from item to item."""
    made = []
    for task in range(tasks):
        for shot in range(shots):
            total = 100 * task + shot
            right = shot % OPTIONS
            choices = tuple(str(total + at - right) for at in range(OPTIONS))
            lettered = "".join(f"\n{'ABCD'[at]}. {choice}" for at, choice in enumerate(choices))
            made.append(
                Instruction(
                    id=f"sums/{task}/{shot}",
                    text=f"What is {100 * task} plus {shot}?{lettered}",
                    dataset="sums",
                    task=f"task {task}",
                    kind="multiple_choice",
                    choices=choices,
                    answer="ABCD"[right],
                )
            )
    return made


def exam_of(texts: list[Instruction], name: str = "sums") -> AptitudeTest:
    """The exam that asks these."""
    tasks = dict.fromkeys(text.task for text in texts)
    return AptitudeTest(
        name=name,
        dataset="sums",
        tasks=tuple(
            ExamTask(
                name=task,
                keywords=(task, "sums"),
                items=tuple(ExamItem.of(text) for text in texts if text.task == task),
            )
            for task in tasks
        ),
    )


def cards(exam: AptitudeTest, answers: np.ndarray) -> list[CapabilityProfile]:
    """Cards of recorded answers, [candidate, item]."""
    made = []
    for number, row in enumerate(answers):
        items = row.reshape(len(exam.tasks), -1)
        made.append(
            CapabilityProfile(
                candidate=f"c{number}",
                exam=exam.name,
                exam_hash=exam.hash,
                results=tuple(
                    TaskResult(
                        task=task.name,
                        keywords=task.keywords,
                        accuracy=float(scores.mean()),
                        shots=len(scores),
                        items=tuple(float(score) for score in scores),
                    )
                    for task, scores in zip(exam.tasks, items, strict=True)
                ),
            )
        )
    return made


@pytest.fixture
def texts() -> list[Instruction]:
    return instructions()


@pytest.fixture
def exam(texts: list[Instruction]) -> AptitudeTest:
    return exam_of(texts)


@pytest.fixture
def questions(exam: AptitudeTest, texts: list[Instruction]) -> list[Question]:
    return find_questions(exam, exam.tasks, texts, where="the texts")


def right_letter(prompt: str) -> str:
    """The letter of the right option, read off the prompt as a model would."""
    first, second = prompt.split("What is ")[1].split("?")[0].split(" plus ")
    total = str(int(first) + int(second))
    line = next(line for line in prompt.splitlines() if line.endswith(f". {total}"))
    return line[0]


def knows(tasks: Callable[[int], bool]) -> Callable[[FakeRequest], Answer]:
    """A candidate that is right in some tasks and wrong in the others."""

    def persona(request: FakeRequest) -> Answer:
        task = int(request.prompt.split("What is ")[1].split(" plus ")[0]) // 100
        right = right_letter(request.prompt)
        return answer(right if tasks(task) else "ABCD"[("ABCD".index(right) + 1) % OPTIONS])

    return persona


def answer(text: str | None, **fields: Any) -> Answer:
    """An answer for which 20 tokens were read and 3 written."""
    return Answer(text, **{"input_tokens": 20, "output_tokens": 3, **fields})


# Everything that has been seen to go wrong with endpoints.
FAULTS: dict[str, Answer] = {
    **{name: COMMON_FAULTS[name] for name in ("hang", "reset", "reset-in-answer", "500", "garbage")},
    "too many": Answer("slow", status=429, headers={"retry-after": "0"}),
    "bad gateway page": Answer(status=502, headers={"content-type": "text/html"}, body=b"<h1>502</h1>"),
    "truncated": Answer(body=b'{"choices": [{"index": 0, "message": {"ro'),
    "web page": Answer(headers={"content-type": "text/html"}, body=b"<html>Welcome</html>"),
    "ten megabytes": Answer(body=b"x" * 10 * 2**20),
    "not UTF-8": Answer(body=b'{"choices": [{"message": {"content": "\xff\xfe\x80"}}]}'),
    "endless": Answer(pieces=1, then="repeat"),
    "no choices": Answer(body=b'{"choices": []}'),
    "error as answer": Answer(body=b'{"error": {"message": "overloaded"}}'),
    "a list": Answer(body=b"[1, 2]"),
    "very deep": Answer(body=b"[" * 200_000),
    "an image": Answer(body=b'{"choices": [{"message": {"content": 7}}]}'),
    "compressed unasked": Answer(gzip=True),
    "nothing": Answer(body=b""),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cards"
