"""Choosing the exam's tasks and items: those that tell candidates apart."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modelsat.capability.aptitude import AptitudeTest, ExamItem, ExamTask
from modelsat.capability.keywords import task_keywords
from modelsat.errors import DataError
from modelsat.records.splits import Splits, split_of, stem_hash
from modelsat.records.table import OutcomeTable
from modelsat.types import FloatArray, Instruction

# Items are drawn in proportion to this power of their discrimination instead of taken from the top: the very
# best items on a score of candidates are best partly by chance, and such an exam misjudges the next
# candidate.
SHARPNESS = 0.5

_COLLECTED = re.compile(r"(?P<source>[A-Za-z]+)-(?P<subject>[A-Za-z]+)")
_WORDS_RUN_TOGETHER = re.compile(r"(?<=[a-z])(?=[A-Z])")


def task_name(instruction: Instruction) -> str:
    """A readable name for the subject of an instruction.

    "law: professional law" for (law, professional_law); where a dataset names the source of a subject before
    a hyphen, the source comes last: "engineering: heat transfer (stemez)".
    """
    category = instruction.category
    subject = instruction.task.removeprefix(f"{category}:") if category else instruction.task
    collected = _COLLECTED.fullmatch(subject)
    if collected is not None:
        words = _WORDS_RUN_TOGETHER.split(collected["subject"])
        subject = " ".join(word if word.isupper() else word.lower() for word in words)
    subject = subject.replace("_", " ").strip()
    name = subject if not category or subject.casefold() == category.casefold() else f"{category}: {subject}"
    return name if collected is None else f"{name} ({collected['source']})"


def tuning_table(table: OutcomeTable, splits: Splits) -> OutcomeTable:
    """The part of a table that an exam may be chosen from: what tuning sees, instructions and candidates."""
    rows = np.array([split_of(row.text) == "tuning" for row in table.instructions], dtype=np.bool_)
    return table.select(rows).columns([name for name in table.candidates if name not in splits.unseen])


def discrimination(scores: FloatArray, subjects: Sequence[str]) -> NDArray[np.float64]:
    """How well each item tells candidates apart in its own subject, from 0 (not at all) to 1.

    An item that half of the candidates solve weighs most; one that nearly all solve or fail weighs nothing.
    It counts in so far as its solvers also do well on the rest of the subject (point-biserial correlation),
    beyond what their overall level explains: an exam of items that merely follow the level could not tell one
    task from another.

    Args:
        scores: [item, candidate]; NaN where a candidate did not sit the item.
        subjects: [item]; the subject of each.

    Returns:
        [item].
    """
    answered = ~np.isnan(scores)
    count = np.maximum(answered.sum(axis=1, keepdims=True), 1)
    filled = np.where(answered, scores, 0.0).astype(np.float64)
    solved = filled.sum(axis=1, keepdims=True) / count
    # Each item's mean is taken off first, so that a candidate who sat only hard items does not look weak.
    residual = np.where(answered, filled - solved, 0.0)
    level = residual.sum(axis=0) / np.maximum(answered.sum(axis=0), 1)
    beyond = _centre(np.where(answered, residual - level, 0.0), answered)
    agreement = np.zeros(len(scores))
    names = np.array(subjects)
    for subject in np.unique(names):
        rows = names == subject
        others = np.maximum(answered[rows].sum(axis=0)[None] - answered[rows], 1)
        rest = _centre((beyond[rows].sum(axis=0)[None] - beyond[rows]) / others, answered[rows])
        norm = np.sqrt((beyond[rows] ** 2).sum(axis=1) * (rest**2).sum(axis=1))
        product = (beyond[rows] * rest).sum(axis=1)
        agreement[rows] = np.divide(product, norm, out=np.zeros(len(norm)), where=norm > 1e-12)
    spread: NDArray[np.float64] = 4 * (solved * (1 - solved))[:, 0]
    return spread * np.clip(agreement, 0.0, 1.0)


def _centre(values: NDArray[np.float64], answered: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Take each item's mean over the candidates that sat it off; 0 where one did not."""
    kept = np.where(answered, values, 0.0)
    mean = kept.sum(axis=1, keepdims=True) / np.maximum(answered.sum(axis=1, keepdims=True), 1)
    return np.where(answered, kept - mean, 0.0)


def select_items(
    table: OutcomeTable,
    *,
    tasks: int = 50,
    shots: int = 20,
    rng: np.random.Generator,
    name: str = "exam",
    dataset: str = "",
) -> AptitudeTest:
    """Build an exam of the most discriminating items of the largest subjects.

    Paper: core task sampling.

    Args:
        table: Outcomes of the candidates and instructions that may be looked at (see `tuning_table`).
        tasks: Number of tasks; a task is one (category, task) of the instructions.
        shots: Items per task.
        rng: Draws among the discriminating items; two seeds give two forms of the exam.
        name: The exam's name.
        dataset: The dataset that the items are from.

    Raises:
        DataError: There are not enough subjects with enough items.
    """
    subjects = [task_name(instruction) for instruction in table.instructions]
    first_of_stem: dict[str, int] = {}
    for row, instruction in enumerate(table.instructions):
        first_of_stem.setdefault(stem_hash(instruction.text), row)
    # A question that was collected twice is one item.
    distinct = np.zeros(len(subjects), dtype=np.bool_)
    distinct[list(first_of_stem.values())] = True
    sizes = Counter(subject for subject, keep in zip(subjects, distinct, strict=True) if keep)
    chosen = [
        subject
        for subject, size in sorted(sizes.items(), key=lambda pair: (-pair[1], pair[0]))
        if size >= shots
    ]
    if len(chosen) < tasks:
        raise DataError(
            f"only {len(chosen)} subjects have {shots} items or more; "
            f"ask for fewer tasks than {tasks}, or fewer shots."
        )
    weights = discrimination(table.scores, subjects)
    subject_array = np.array(subjects)
    exam_items = {
        subject: _draw(np.flatnonzero((subject_array == subject) & distinct), weights, shots, rng)
        for subject in chosen[:tasks]
    }
    texts = {
        subject: [table.instructions[row].text for row in np.flatnonzero(subject_array == subject)]
        for subject in chosen[:tasks]
    }
    keywords = task_keywords(texts)
    return AptitudeTest(
        name=name,
        dataset=dataset,
        tasks=tuple(
            ExamTask(
                name=subject,
                category=table.instructions[exam_items[subject][0]].category,
                keywords=keywords[subject],
                items=tuple(ExamItem.of(table.instructions[row]) for row in exam_items[subject]),
            )
            for subject in chosen[:tasks]
        ),
    )


def _draw(
    rows: NDArray[np.intp], weights: NDArray[np.float64], shots: int, rng: np.random.Generator
) -> Sequence[int]:
    """Draw rows without replacement, in proportion to their weight's power (Gumbel top-k)."""
    # An item without discrimination is a last resort, where a task has too few others.
    keys = SHARPNESS * np.log(np.maximum(weights[rows], 1e-9)) + rng.gumbel(size=len(rows))
    return sorted(int(row) for row in rows[np.argsort(-keys, kind="stable")[:shots]])
