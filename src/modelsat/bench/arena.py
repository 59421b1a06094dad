"""Settings in which routers are compared: who routes what, and what the rivals may learn from.

The core arena is the exam's own dataset with the zoos of the splits. A source arena is a protocol of its own, with
other candidates and its own short exam, drawn from its tuning instructions.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from modelsat.bench.heldout import LEAST_COVERAGE, HeldOut, Part, hold_out
from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.grading import exam_table, grade
from modelsat.capability.selection import select_items, task_name
from modelsat.errors import DataError
from modelsat.records.splits import Splits, split_of
from modelsat.records.store import OutcomeDirectory
from modelsat.records.table import OutcomeTable
from modelsat.types import CapabilityProfile

# Names of parts in tables, where they differ from those of `HeldOut`.
_PART_NAMES = {"out_of_domain": "ood_subjects"}
_TASKS = 50
_FEWEST_SHOTS, _MOST_SHOTS = 20, 100
# An exam of few tasks asks more of each, so that level at least is well known.
_ITEMS = 300
_CHOOSING_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arena:
    """A setting.

    Attributes:
        name: Short name.
        held_out: What is routed, by whom, in which zoos; its tuning outcomes choose the best single candidates.
        exam: That the cards are from.
        learning: Tuning outcomes that the rivals learn from; in a quick suite a sample of all.
        fitting: Those of them to fit on while a setting is being chosen.
        choosing: What a setting is chosen on.
        seen: Candidates whose outcomes a rival may use that is to serve candidates it never saw.
    """

    name: str
    held_out: HeldOut
    exam: AptitudeTest
    learning: OutcomeTable
    fitting: OutcomeTable
    choosing: OutcomeTable
    seen: tuple[str, ...]

    @property
    def parts(self) -> dict[str, NDArray[np.intp]]:
        """Rows by part, under the names that tables use."""
        return {_PART_NAMES.get(name, name): rows for name, rows in self.held_out.parts.items()}

    @property
    def widest(self) -> NDArray[np.intp]:
        """Rows of the widest part."""
        return list(self.held_out.parts.values())[-1]

    @property
    def seen_profiles(self) -> tuple[CapabilityProfile, ...]:
        """Cards of the candidates in `seen`."""
        return tuple(card for card in self.held_out.profiles if card.candidate in self.seen)


def core_arena(
    directory: OutcomeDirectory,
    profiles: Sequence[CapabilityProfile],
    *,
    exam: AptitudeTest,
    splits: Splits,
    part: Part,
    limit: int | None,
    learn: int | None,
    rng: np.random.Generator,
) -> Arena:
    """The exam's own dataset: candidates and zoos of the splits.

    Args:
        directory: Instructions and outcomes.
        profiles: Candidates with a card.
        exam: That the cards are from.
        splits: What is held out, and the zoos.
        part: `validation` for development, `test` once.
        limit: Route at most so many instructions per part.
        learn: Let rivals learn from at most so many.
        rng: For both limits.
    """
    held_out = hold_out(directory, profiles, exam=exam, splits=splits, part=part, limit=limit, rng=rng)
    seen = tuple(name for name in held_out.table.candidates if name not in splits.unseen)
    groups = dict(held_out.groups)
    if part == "validation" and "unseen in validation" in groups:
        groups["unseen"] = groups.pop("unseen in validation")
    groups.pop("unseen in validation", None)
    return _arena(exam.dataset, replace(held_out, groups=groups), exam, seen, learn=learn, rng=rng)


def source_arena(
    directory: OutcomeDirectory,
    source: str,
    *,
    name: str,
    splits: Splits,
    part: Part,
    datasets: Sequence[str] | None = None,
    part_name: str | None = None,
    exam_candidates: Sequence[str] | None = None,
    limit: int | None = None,
    learn: int | None = None,
    rng: np.random.Generator,
) -> Arena:
    """One protocol's outcomes, with an exam of its own.

    Args:
        directory: Instructions and outcomes.
        source: The protocol.
        name: Of the arena.
        splits: What is held out; candidates of the final test are left out of validation.
        part: `validation` for development, `test` once.
        datasets: Of the protocol; all by default.
        part_name: What tables call the instructions routed; the part by default.
        exam_candidates: Whose outcomes choose the exam's items, and what card learners learn from; all by default.
        limit: Route at most so many instructions.
        learn: Let rivals learn from at most so many.
        rng: For the limits and the exam.

    Raises:
        DataError: The protocol has too few outcomes for an exam, or nothing is left to route.
    """
    table = _complete(
        OutcomeTable.from_records(
            directory.instructions, directory.outcomes, dataset=datasets, source=source
        ),
        without=splits.unseen_test if part == "validation" else (),
    )
    seen = tuple(
        member for member in table.candidates if exam_candidates is None or member in exam_candidates
    )
    if min(len(table.candidates), len(seen)) < 2:
        raise DataError(f"{source}: fewer than two candidates have outcomes on all of its instructions.")
    split = np.array([split_of(row.text) for row in table.instructions], dtype=np.str_)
    left_out = np.array(
        [datasets is None and row.category in splits.out_of_domain_categories for row in table.instructions],
        dtype=np.bool_,
    )
    tuning = table.select(np.flatnonzero((split == "tuning") & ~left_out))
    exam = _own_exam(tuning.columns(seen), source, rng=rng)
    fresh = ~exam.overlaps(table.instructions)
    # Out-of-domain subjects are for the final test alone.
    routed_rows = np.flatnonzero(fresh & (split == part) & ~(left_out & (part == "validation")))
    if limit is not None:
        routed_rows = np.sort(rng.permutation(routed_rows)[:limit])
    if not len(routed_rows):
        raise DataError(f"{source}: no {part} instruction is left to route.")
    routed = table.select(routed_rows)
    cards = {
        card.candidate: card
        for card in grade(exam_table(tuning.instructions, directory.outcomes, exam), exam)
    }
    routed_datasets = tuple(sorted({row.dataset for row in routed.instructions}))
    held_out = HeldOut(
        table=routed,
        profiles=tuple(cards[member] for member in table.candidates),
        parts={part_name or part: np.arange(len(routed))},
        tuning=tuning.select(~exam.overlaps(tuning.instructions)),
        validation=table.select(
            np.flatnonzero(fresh & ~left_out & (split == "validation") & (part != "validation"))
        ),
        groups={"all": table.candidates},
        zoos={source: table.candidates},
        group_by="dataset" if len(routed_datasets) > 1 else "category",
        datasets=routed_datasets,
        notes=(),
    )
    return _arena(name, held_out, exam, seen, learn=learn, rng=rng)


def _arena(
    name: str,
    held_out: HeldOut,
    exam: AptitudeTest,
    seen: tuple[str, ...],
    *,
    learn: int | None,
    rng: np.random.Generator,
) -> Arena:
    order = rng.permutation(len(held_out.tuning))
    learning = held_out.tuning.select(np.sort(order[:learn]))
    if len(held_out.validation):
        fitting, choosing = learning, held_out.validation
    else:
        # Validation is routed itself: settings are then chosen on tuning instructions that were held back.
        order = rng.permutation(len(learning))
        count = int(_CHOOSING_SHARE * len(learning))
        choosing, fitting = learning.select(np.sort(order[:count])), learning.select(np.sort(order[count:]))
    return Arena(
        name=name,
        held_out=held_out,
        exam=exam,
        learning=learning,
        fitting=fitting,
        choosing=choosing,
        seen=seen,
    )


def _complete(table: OutcomeTable, *, without: Sequence[str]) -> OutcomeTable:
    """Candidates with an outcome nearly everywhere, on the instructions that all of them did."""
    known = ~np.isnan(table.scores)
    kept = [
        name
        for name, coverage in zip(table.candidates, known.mean(axis=0), strict=True)
        if coverage >= LEAST_COVERAGE and name not in without
    ]
    columns = table.columns(kept)
    return columns.select(np.flatnonzero(~np.isnan(columns.scores).any(axis=1)))


def _own_exam(tuning: OutcomeTable, source: str, *, rng: np.random.Generator) -> AptitudeTest:
    """An exam of the protocol's largest subjects; at least half of each stays for learning."""
    sizes = Counter(task_name(row) for row in tuning.instructions)
    subjects = [size for _, size in sizes.most_common(_TASKS) if size >= 2 * _FEWEST_SHOTS]
    if not subjects:
        raise DataError(f"{source}: no subject has the {2 * _FEWEST_SHOTS} instructions that an exam needs.")
    shots = int(np.clip(_ITEMS // len(subjects), _FEWEST_SHOTS, min(_MOST_SHOTS, subjects[-1] // 2)))
    return select_items(
        tuning, tasks=len(subjects), shots=shots, rng=rng, name=f"{source} exam", dataset=source
    )
