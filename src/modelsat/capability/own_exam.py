"""An exam of one's own: every item is written by hand, and all of them are asked.

A blueprint holds no texts; the items as instructions, with options lettered and answers as letters, are what a
candidate is asked from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from modelsat.capability.aptitude import AptitudeTest, ExamItem, ExamTask
from modelsat.capability.keywords import task_keywords
from modelsat.errors import DataError
from modelsat.records.importers import csv_rows, jsonl_rows, renamed_rows, require_writable
from modelsat.records.importers.questions import answer_letter, digest, kind_of, lettered
from modelsat.records.schema import instruction_from_row
from modelsat.records.splits import content_hash, question_of
from modelsat.types import Instruction

# What names a task's questions best is some of them: keywords of a few texts are a poor summary.
EXAMPLES = 5


def read_items(path: Path, *, exam: str, delimiter: str | None = None) -> tuple[Instruction, ...]:
    """Read items from JSONL, or CSV with a header: task and text, and choices, answer, id, category where there are.

    Args:
        path: The file.
        exam: The exam's name; ids that the items do not bring along begin with it.
        delimiter: As for `csv_rows`.

    Returns:
        One instruction per item, its options below its text, its answer as a letter where there are options.

    Raises:
        DataError: A line cannot be read, lacks a task, has an answer that is none of its options, or asks what an
            earlier line asks; names the line.
    """
    rows = (
        csv_rows(path, delimiter=delimiter) if path.suffix.lower() in (".csv", ".tsv") else jsonl_rows(path)
    )
    items: list[Instruction] = []
    line_of: dict[str, int] = {}
    for row in rows:
        where = f"{path}:{row.line}"
        (renamed,) = renamed_rows([row], {}, {"dataset": exam})
        if renamed.values is None:
            raise DataError(f"{where}: {renamed.fault}.")
        item = _item(renamed.values, where)
        if row.values is not None and not (row.values.get("id") or row.values.get("instruction_id")):
            # Made of the options too: one question may be asked with several sets of them.
            item = replace(item, id=f"{exam}/{digest(item.text)}")
        for name in (content_hash(item.text, item.choices), item.id):
            if name in line_of:
                raise DataError(
                    f"{where}: line {line_of[name]} has this question or this id already; remove one of them."
                )
            line_of[name] = row.line
        items.append(item)
    if not items:
        raise DataError(f"{path}: holds no items; write one a line, with task, text, choices and answer.")
    return tuple(items)


def own_exam(items: Sequence[Instruction], *, name: str) -> AptitudeTest:
    """Make an exam of all items; each task is named by the words that set its texts apart from the others'.

    Its first questions stand beside them as examples, without their options.

    Args:
        items: From `read_items`.
        name: The exam's name.
    """
    by_task: dict[str, list[Instruction]] = {}
    for item in items:
        by_task.setdefault(item.task, []).append(item)
    keywords = task_keywords({task: [item.text for item in asked] for task, asked in by_task.items()})
    return AptitudeTest(
        name=name,
        dataset=name,
        tasks=tuple(
            ExamTask(
                name=task,
                category=asked[0].category,
                keywords=keywords[task],
                examples=tuple(question_of(item.text) for item in asked[:EXAMPLES]),
                items=tuple(ExamItem.of(item) for item in asked),
            )
            for task, asked in by_task.items()
        ),
    )


def _item(values: Mapping[str, Any], where: str) -> Instruction:
    if not str(values.get("task") or "").strip():
        raise DataError(f"{where}: task is missing; every item belongs to one.")
    try:
        require_writable(values)
    except DataError as error:
        raise DataError(f"{where}: {error}.") from None
    given = instruction_from_row(values, where)
    answer = answer_letter(given.answer, given.choices)
    text = lettered(given.text.strip(), given.choices)
    if given.choices and answer is not None and answer not in tuple(ascii_uppercase[: len(given.choices)]):
        raise DataError(f"{where}: answer is {given.answer!r}; expected one of the options, or its letter.")
    kind = given.kind if given.kind != "open" else kind_of(given.choices, answer)
    return replace(given, text=text, task=given.task.strip(), kind=kind, answer=answer)
