"""What tuning may see: instructions, outcomes, cards, and which part each belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.grading import exam_table, grade
from modelsat.errors import DataError
from modelsat.records.splits import Splits, split_of, stem_hash
from modelsat.records.store import OutcomeDirectory
from modelsat.records.table import OutcomeTable
from modelsat.types import CapabilityProfile, FloatArray, Instruction

# A task of another dataset with a larger share of held-out questions is the same subject under another name.
_SHARED_QUESTIONS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """Instructions with the outcomes of some candidates.

    Attributes:
        instructions: The rows.
        scores: [instruction, candidate]; NaN where unknown.
        profiles: One per candidate.
    """

    instructions: tuple[Instruction, ...]
    scores: FloatArray
    profiles: tuple[CapabilityProfile, ...]

    def texts(self) -> list[str]:
        """The instructions' texts."""
        return [instruction.text for instruction in self.instructions]

    def stems(self) -> list[str]:
        """The same without lettered options."""
        return [without_options(text) for text in self.texts()]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TuningData:
    """Everything that tuning reads.

    Attributes:
        exam: The exam of the cards.
        item_texts: [item] texts of its items, for their keys.
        tuning: Tuning instructions x seen candidates.
        validation: Validation instructions x seen candidates, then validation candidates.
        held_out: [validation column] bool; which are validation candidates (all, where none is held out).
    """

    exam: AptitudeTest
    item_texts: tuple[str, ...]
    tuning: Part
    validation: Part
    held_out: NDArray[np.bool_]

    def summary(self) -> str:
        """How much there is, in words."""
        silent = int(np.isnan(self.tuning.scores).all(1).sum())
        labelled, judged = len(self.tuning.instructions) - silent, self.validation
        return (
            f"{labelled} tuning instructions x {len(self.tuning.profiles)} candidates, "
            + (f"{silent} more without outcomes, " if silent else "")
            + f"{len(judged.instructions)} validation instructions x {len(judged.profiles)} candidates"
        )

    def item_categories(self) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
        """Categories of items [item] and of tuning instructions [instruction], and how many there are.

        A task without a category is a category of its own.
        """
        of_task = [task.category or task.name for task in self.exam.tasks]
        of_row = [row.category or row.task for row in self.tuning.instructions]
        names = {name: at for at, name in enumerate(sorted({*of_task, *of_row}))}
        items = [names[name] for name, task in zip(of_task, self.exam.tasks, strict=True) for _ in task.items]
        return (
            np.array(items, dtype=np.intp),
            np.array([names[name] for name in of_row], dtype=np.intp),
            len(names),
        )


def without_options(text: str) -> str:
    """A question without its lettered options."""
    return text.split("\nA. ")[0]


def read_tuning_data(
    directory: OutcomeDirectory,
    exam: AptitudeTest,
    *,
    splits: Splits,
    datasets: Sequence[str] | None = None,
    unlabelled: Sequence[str] = (),
    limit: int | None = None,
    rng: np.random.Generator,
) -> TuningData:
    """Take from a directory what tuning may see: no test, no out-of-domain, no exam question, no held-out candidate.

    Args:
        directory: Instructions and outcomes, the exam's items among them.
        exam: Cards are graded on it.
        splits: What is held out.
        datasets: Datasets to tune on; the exam's by default.
        unlabelled: Datasets whose instructions are added without their outcomes; see `add_unlabelled`.
        limit: Use at most so many tuning, validation and unlabelled instructions each.
        rng: For the limit.

    Raises:
        DataError: No instruction, or no candidate with a card, is left.
    """
    wanted = tuple(datasets or [exam.dataset])
    banned = set(wanted) & set(splits.out_of_domain_datasets)
    if banned:
        raise DataError(f"dataset {sorted(banned)[0]} is held out of tuning by the splits; choose another.")
    profiles = {
        p.candidate: p for p in grade(exam_table(directory.instructions, directory.outcomes, exam), exam)
    }
    table = OutcomeTable.from_records(directory.instructions, directory.outcomes, dataset=wanted)
    names = [name for name in table.candidates if name in profiles and name not in splits.unseen_test]
    seen = [name for name in names if name not in splits.unseen]
    held_out = [name for name in names if name in splits.unseen_validation]
    if len(seen) < 2:
        raise DataError(
            f"{directory.path}: {len(seen)} candidates with a card may be tuned on; tuning needs 2."
        )
    allowed = np.array(
        [row.category not in splits.out_of_domain_categories for row in table.instructions], dtype=np.bool_
    ) & ~exam.overlaps(table.instructions)
    split = np.array([split_of(row.text) for row in table.instructions], dtype=np.str_)
    parts = {}
    for part, candidates in (("tuning", seen), ("validation", [*seen, *held_out])):
        columns = table.columns(candidates)
        rows = np.flatnonzero(allowed & (split == part) & ~np.isnan(columns.scores).all(1))
        if limit is not None:
            rows = np.sort(rng.permutation(rows)[:limit])
        if not len(rows):
            raise DataError(f"{directory.path}: no {part} instruction of {', '.join(wanted)} is left.")
        chosen = columns.select(rows)
        parts[part] = Part(
            instructions=chosen.instructions,
            scores=chosen.scores,
            profiles=tuple(profiles[name] for name in candidates),
        )
    data = TuningData(
        exam=exam,
        item_texts=_item_texts(directory.instructions, exam),
        tuning=parts["tuning"],
        validation=parts["validation"],
        held_out=np.array([not held_out] * len(seen) + [True] * len(held_out), dtype=np.bool_),
    )
    return add_unlabelled(data, directory, splits=splits, datasets=unlabelled, limit=limit, rng=rng)


def add_unlabelled(
    data: TuningData,
    directory: OutcomeDirectory,
    *,
    splits: Splits,
    datasets: Sequence[str],
    limit: int | None = None,
    rng: np.random.Generator,
) -> TuningData:
    """Tuning data with instructions whose outcomes are not looked at, for a teacher to judge.

    Left out is whatever tuning must not see: other splits, what is out of domain, exam questions, and questions that
    tuning has already. A task that shares more than one question in twenty with what is out of domain counts as out of
    domain too, whatever its dataset calls it.

    Args:
        data: Of `read_tuning_data`.
        directory: Instructions.
        splits: What is held out.
        datasets: Where to take instructions from.
        limit: Take at most so many.
        rng: For the limit.

    Raises:
        DataError: A dataset is held out, or is not there.
    """
    if not datasets:
        return data
    there = {row.dataset for row in directory.instructions}
    for name in datasets:
        if name in splits.out_of_domain_datasets:
            raise DataError(f"dataset {name} is held out of tuning by the splits; choose another.")
        if name not in there:
            raise DataError(f"{directory.path}: no dataset {name}; it has {', '.join(sorted(there))}.")
    beyond = {
        stem_hash(row.text)
        for row in directory.instructions
        if row.category in splits.out_of_domain_categories or row.dataset in splits.out_of_domain_datasets
    }
    offered = [row for row in directory.instructions if row.dataset in datasets]
    held_out: dict[tuple[str, str], list[bool]] = {}
    for row in offered:
        held_out.setdefault((row.dataset, row.task), []).append(stem_hash(row.text) in beyond)
    known = beyond | {stem_hash(row.text) for row in data.tuning.instructions}
    exam = data.exam.overlaps(offered)
    taken = []
    for row, in_exam in zip(offered, exam, strict=True):
        stem, shared = stem_hash(row.text), held_out[row.dataset, row.task]
        if in_exam or stem in known or split_of(row.text) != "tuning" or np.mean(shared) > _SHARED_QUESTIONS:
            continue
        known.add(stem)
        taken.append(row)
    if limit is not None:
        taken = [taken[at] for at in np.sort(rng.permutation(len(taken))[:limit])]
    blank = np.full((len(taken), data.tuning.scores.shape[1]), np.nan, dtype=np.float32)
    return replace(
        data,
        tuning=replace(
            data.tuning,
            instructions=(*data.tuning.instructions, *taken),
            scores=np.concatenate([data.tuning.scores, blank]),
        ),
    )


def _item_texts(instructions: Sequence[Instruction], exam: AptitudeTest) -> tuple[str, ...]:
    texts = {instruction.id: instruction.text for instruction in instructions}
    missing = [item.id for item in exam.items if item.id not in texts]
    if missing:
        raise DataError(
            f"exam {exam.name}: {len(missing)} of its {len(exam.items)} items have no text here, the first is "
            f"{missing[0]!r}; tuning needs the outcomes directory that the exam was built from."
        )
    return tuple(texts[item.id] for item in exam.items)
