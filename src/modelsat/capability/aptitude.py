"""The aptitude test: named tasks, each with keywords and items, without the items' texts."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from modelsat.errors import DataError
from modelsat.records.files import read_json, write_text
from modelsat.records.splits import content_hash, stem_hash
from modelsat.types import Instruction

FORMAT = "modelsat-exam/1"
SHIPPED = "core"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamItem:
    """One question of the exam, known by what identifies it.

    Attributes:
        id: Its id in the dataset.
        content_hash: Hash over question and choices; a text with another hash is another question.
        stem_hash: Hash over the question alone; instructions with this stem must not be tuned or tested on.
    """

    id: str
    content_hash: str
    stem_hash: str

    @classmethod
    def of(cls, instruction: Instruction) -> "ExamItem":
        """The item that an instruction would be."""
        return cls(
            id=instruction.id,
            content_hash=content_hash(instruction.text, instruction.choices),
            stem_hash=stem_hash(instruction.text),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamTask:
    """One task of the exam.

    Attributes:
        name: Unique within the exam, e.g. "law: professional law".
        keywords: What the task is about (paper: five).
        items: Its questions, in the order of a profile's per-item scores.
        category: The coarser subject it belongs to, where the dataset has one.
        examples: A few of its questions in words, where they may be told (an exam of one's own).
    """

    name: str
    keywords: tuple[str, ...]
    items: tuple[ExamItem, ...]
    category: str = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AptitudeTest:
    """The short exam that every candidate sits.

    Attributes:
        name: What cards call it.
        dataset: The dataset its items are from.
        tasks: Its tasks, in the order of a capability representation.
    """

    name: str
    dataset: str
    tasks: tuple[ExamTask, ...]

    def __post_init__(self) -> None:
        names = [task.name for task in self.tasks]
        if not names:
            raise DataError(f"exam {self.name}: has no tasks.")
        for task in self.tasks:
            if names.count(task.name) > 1:
                raise DataError(f"exam {self.name}: task {task.name!r} appears twice; merge its items.")
            if not task.items:
                raise DataError(f"exam {self.name}: task {task.name!r} has no items.")
        ids = [item.id for item in self.items]
        if len(set(ids)) != len(ids):
            raise DataError(f"exam {self.name}: item {max(ids, key=ids.count)!r} appears twice.")

    @property
    def items(self) -> tuple[ExamItem, ...]:
        """All items, task after task."""
        return tuple(item for task in self.tasks for item in task.items)

    @property
    def shots(self) -> int:
        """Items of the longest task."""
        return max(len(task.items) for task in self.tasks)

    @property
    def hash(self) -> str:
        """Short hash over task names and questions: profiles with one hash compare item by item.

        Keywords and examples are left out, so that editing them does not invalidate cards.
        """
        content = [[task.name, [item.content_hash for item in task.items]] for task in self.tasks]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]

    def overlaps(self, instructions: Sequence[Instruction]) -> NDArray[np.bool_]:
        """Mark the instructions that ask one of the exam's questions, in whichever dataset they are.

        Returns:
            [instruction]; True where it must be kept out of tuning, validation and test.
        """
        stems = {item.stem_hash for item in self.items}
        return np.array(
            [stem_hash(instruction.text) in stems for instruction in instructions], dtype=np.bool_
        )

    def with_keywords(self, keywords: Mapping[str, Sequence[str]]) -> "AptitudeTest":
        """The same exam with other keywords for the tasks named."""
        return replace(
            self,
            tasks=tuple(
                replace(task, keywords=tuple(keywords.get(task.name, task.keywords))) for task in self.tasks
            ),
        )

    @classmethod
    def load(cls, path: Path | str) -> "AptitudeTest":
        """Read a blueprint.

        Raises:
            DataError: The file is missing or malformed; names the file and the field.
        """
        form = read_json(Path(path), _ExamFile)
        try:
            return form.to_exam()
        except DataError as error:
            raise DataError(f"{path}: {error}") from None

    @classmethod
    def shipped(cls, name: str = SHIPPED) -> "AptitudeTest":
        """The blueprint that comes with the package: 50 tasks x 20 shots over school and university subjects.

        Raises:
            DataError: There is no shipped blueprint of this name.
        """
        with as_file(files("modelsat") / "assets" / "exam" / f"{name}.json") as path:
            return cls.load(path)

    @classmethod
    def find(cls, name_or_path: str) -> "AptitudeTest":
        """Read a shipped blueprint by its name, or any blueprint by its path.

        Raises:
            DataError: There is neither, or the file is malformed.
        """
        if name_or_path in shipped_names():
            return cls.shipped(name_or_path)
        if Path(name_or_path).exists():
            return cls.load(name_or_path)
        raise DataError(
            f"no exam {name_or_path!r}; give the path of a blueprint or a name: {', '.join(shipped_names())}."
        )

    def save(self, path: Path | str) -> None:
        """Write the blueprint as JSON, one item a line."""
        tasks = []
        for task in self.tasks:
            items = ",\n        ".join(
                json.dumps(
                    {"id": item.id, "content": item.content_hash, "stem": item.stem_hash}, ensure_ascii=False
                )
                for item in task.items
            )
            tasks.append(
                f'    {{\n      "name": {json.dumps(task.name, ensure_ascii=False)},\n'
                f'      "category": {json.dumps(task.category, ensure_ascii=False)},\n'
                f'      "keywords": {json.dumps(task.keywords, ensure_ascii=False)},\n{_examples(task)}'
                f'      "items": [\n        {items}\n      ]\n    }}'
            )
        head = ",\n  ".join(
            f'"{key}": {json.dumps(value, ensure_ascii=False)}'
            for key, value in (
                ("format", FORMAT),
                ("name", self.name),
                ("dataset", self.dataset),
                ("hash", self.hash),
            )
        )
        write_text(Path(path), f'{{\n  {head},\n  "tasks": [\n' + ",\n".join(tasks) + "\n  ]\n}\n")


def _examples(task: ExamTask) -> str:
    """The line of a task's examples, where it has some."""
    return f'      "examples": {json.dumps(task.examples, ensure_ascii=False)},\n' if task.examples else ""


def require_unedited(path: Path, exam: AptitudeTest) -> None:
    """Refuse to write an exam over what would be lost: keywords or examples edited by hand, another exam, another file.

    Args:
        path: Where the exam is to be written; nothing need be there.
        exam: The exam.

    Raises:
        DataError: Something would be lost; names it.
    """
    if not path.exists():
        return
    mend = "give --force to overwrite it, or another --output"
    try:
        there = AptitudeTest.load(path)
    except DataError:
        raise DataError(f"{path}: is there already, and is no blueprint; {mend}.") from None
    if there.hash != exam.hash:
        raise DataError(f"{path}: holds another exam ({there.name}, hash {there.hash}); {mend}.")
    edited = [old.name for old, new in zip(there.tasks, exam.tasks, strict=True) if old != new]
    if edited:
        raise DataError(
            f"{path}: keywords, examples or categories of {len(edited)} tasks were edited, those of "
            f"{edited[0]!r} for one; {mend}."
        )


def shipped_names() -> list[str]:
    """Names of the blueprints that come with the package."""
    folder = files("modelsat") / "assets" / "exam"
    return sorted(
        entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")
    )


_STRICT = ConfigDict(extra="forbid", frozen=True)
_Text = Annotated[str, Field(min_length=1)]


class _ItemForm(BaseModel):
    model_config = _STRICT
    id: _Text
    content: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    stem: Annotated[str, Field(pattern="^[0-9a-f]{12}$")]


class _TaskForm(BaseModel):
    model_config = _STRICT
    name: _Text
    category: str = ""
    keywords: Annotated[tuple[_Text, ...], Field(min_length=1)]
    examples: tuple[_Text, ...] = ()
    items: Annotated[tuple[_ItemForm, ...], Field(min_length=1)]


class _ExamFile(BaseModel):
    """The blueprint's file format; `hash` is checked, so that an edit of items is noticed."""

    model_config = _STRICT
    format: Literal["modelsat-exam/1"]
    name: _Text
    dataset: str
    hash: str | None = None
    tasks: Annotated[tuple[_TaskForm, ...], Field(min_length=1)]

    def to_exam(self) -> AptitudeTest:
        exam = AptitudeTest(
            name=self.name,
            dataset=self.dataset,
            tasks=tuple(
                ExamTask(
                    name=task.name,
                    category=task.category,
                    keywords=task.keywords,
                    examples=task.examples,
                    items=tuple(
                        ExamItem(id=item.id, content_hash=item.content, stem_hash=item.stem)
                        for item in task.items
                    ),
                )
                for task in self.tasks
            ),
        )
        if self.hash is not None and self.hash != exam.hash:
            raise DataError(
                f"field 'hash' is {self.hash!r} but tasks and items give {exam.hash!r}; "
                "undo the edit of the items, or remove the field to make it a new exam."
            )
        return exam
