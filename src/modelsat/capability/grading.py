"""Grading the exam: outcomes on its items become capability profiles."""

from collections.abc import Sequence, Set
from dataclasses import replace

import numpy as np

from modelsat.capability.aptitude import AptitudeTest, ExamTask
from modelsat.errors import DataError
from modelsat.records.outcomes import Outcomes
from modelsat.records.splits import content_hash
from modelsat.records.table import OutcomeTable
from modelsat.types import CapabilityProfile, Instruction, Outcome, TaskResult


def exam_table(
    instructions: Sequence[Instruction],
    outcomes: Sequence[Outcome],
    exam: AptitudeTest,
    *,
    source: str | None = None,
) -> OutcomeTable:
    """Arrange the outcomes on the exam's items alone: a card must not know of any other instruction.

    An item is found by its id or, where no instruction has that id, by its content, so that a log with ids of its own
    serves as well; its row then bears the exam's id.

    Args:
        instructions: Instructions with the exam's items among them.
        outcomes: Their outcomes.
        exam: The exam.
        source: Keep outcomes of this protocol only.

    Raises:
        DataError: There is no outcome on any of the items.
    """
    ids = {item.id for item in exam.items}
    sat = [instruction for instruction in instructions if instruction.id in ids]
    by_content = _by_content(instructions, exam, found={instruction.id for instruction in sat})
    sat += [replace(instruction, id=item) for item, instruction in by_content.items()]
    columns = Outcomes.of(outcomes)
    renamed = {instruction.id: item for item, instruction in by_content.items()}
    columns = replace(
        columns, instruction_ids=tuple(renamed.get(name, name) for name in columns.instruction_ids)
    )
    try:
        return OutcomeTable.from_records(sat, columns, source=source)
    except DataError:
        raise DataError(
            f"exam {exam.name}: no outcome on any of its {len(ids)} items ({len(sat)} of them are among the "
            f"instructions); are these outcomes on the dataset {exam.dataset!r}?"
        ) from None


def _by_content(
    instructions: Sequence[Instruction], exam: AptitudeTest, *, found: Set[str]
) -> dict[str, Instruction]:
    """The items that no instruction has the id of, by their id: an instruction that asks the same question."""
    missing = {item.content_hash: item.id for item in exam.items if item.id not in found}
    matches: dict[str, Instruction] = {}
    for instruction in instructions if missing else ():
        item = missing.get(content_hash(instruction.text, instruction.choices))
        if item is not None:
            matches.setdefault(item, instruction)
    return matches


def grade(
    table: OutcomeTable, exam: AptitudeTest, *, date: str = "", source: str = ""
) -> list[CapabilityProfile]:
    """Measure how often each candidate solves each task of the exam.

    A candidate that sat part of the exam gets a profile of that part; one that sat none of it gets none.

    Args:
        table: Outcomes on the exam's items (see `exam_table`); others are not looked at, but for
            `output_tokens`.
        exam: The exam; an item is found by its id and then checked by its content hash.
        date: When the exam was sat (ISO date).
        source: Where the outcomes come from.

    Returns:
        One profile per candidate with any outcome on the exam's items, in the table's order.

    Raises:
        DataError: An item's text is not the exam's, or no candidate has an outcome on any item.
    """
    row_of_id = {instruction.id: row for row, instruction in enumerate(table.instructions)}
    for item in exam.items:
        row = row_of_id.get(item.id)
        if row is not None:
            instruction = table.instructions[row]
            if content_hash(instruction.text, instruction.choices) != item.content_hash:
                raise DataError(
                    f"exam {exam.name}: item {item.id!r} is another question in these instructions "
                    "(its content hash differs); grade with the dataset that the exam was built from."
                )
    profiles = []
    for column, candidate in enumerate(table.candidates):
        results = [
            result
            for task in exam.tasks
            if (result := _grade_task(table, task, row_of_id, column)) is not None
        ]
        if results:
            tokens = float(table.output_tokens[column])
            profiles.append(
                CapabilityProfile(
                    candidate=candidate,
                    exam=exam.name,
                    exam_hash=exam.hash,
                    results=tuple(results),
                    mean_output_tokens=None if np.isnan(tokens) else round(tokens, 1),
                    date=date,
                    source=source,
                )
            )
    if not profiles:
        raise DataError(
            f"exam {exam.name}: no candidate has an outcome on any of its {len(exam.items)} items."
        )
    return profiles


def _grade_task(
    table: OutcomeTable, task: ExamTask, row_of_id: dict[str, int], column: int
) -> TaskResult | None:
    items: list[float | None] = []
    for item in task.items:
        row = row_of_id.get(item.id)
        score = np.nan if row is None else float(table.scores[row, column])
        items.append(None if np.isnan(score) else round(float(score), 4))
    sat = [score for score in items if score is not None]
    if not sat:
        return None
    return TaskResult(
        task=task.name,
        keywords=task.keywords,
        accuracy=round(sum(sat) / len(sat), 4),
        shots=len(sat),
        items=tuple(items),
        examples=task.examples,
    )
