"""Evaluation sets: held-out outcomes of one group of candidates, and the outcomes that baselines may learn from.

Held out are the test split, and every category and dataset that tuning leaves out. The exam's questions are in no part,
by stem. Validation holds validation instructions only, without the candidates of the final test.

The core set is the exam's own dataset with the zoos of the splits. A source set is a protocol of its own, with other
candidates and its own short exam, drawn from its tuning instructions.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelsat.bench import metrics
from modelsat.bench.results import ALL_CANDIDATES
from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.grading import exam_table, grade
from modelsat.capability.selection import select_items, task_name
from modelsat.errors import DataError
from modelsat.records.splits import Splits, question_of, split_of, stem_hash
from modelsat.records.store import OutcomeDirectory
from modelsat.records.table import OutcomeTable
from modelsat.types import CapabilityProfile, Instruction, column_index

Part = Literal["test", "validation"]
POOLED = "pooled"
OOD_SUBJECTS = "ood_subjects"
OOD_DATASETS = "ood_datasets"
# A candidate with outcomes on fewer of a dataset's instructions would shrink the set for all others.
LEAST_COVERAGE = 0.95
# Of a source set's own exam. One with few tasks asks more of each, so that level at least is well known.
_TASKS, _ITEMS = 50, 300
_FEWEST_SHOTS, _MOST_SHOTS = 20, 100
_CHOOSING_SHARE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluationSet:
    """Outcomes to route, and outcomes to learn from.

    Attributes:
        name: Short name.
        table: Outcomes to route; all candidates of a dataset have one on each of its instructions.
        profiles: One per candidate of the table, in its order.
        exam: The exam of the cards.
        parts: Rows of the table by part; the pooled part last, if there is more than one.
        groups: Candidates by whether tuning saw them.
        zoos: Candidates to choose among, by zoo.
        seen: Candidates whose outcomes a method may use that serves unseen candidates.
        tuning: Tuning outcomes of the same candidates, on which the best single ones are chosen; maybe no rows.
        learning: Those of them that baselines learn from; in a quick suite a sample.
        fitting: Those of them to fit on while a setting is being chosen.
        choosing: Outcomes that a setting is chosen on.
        group_by: Grouping of the best single candidate per group: dataset, or category within one dataset.
        notes: Candidates, instructions and zoos left out, with the reason.
    """

    name: str
    table: OutcomeTable
    profiles: tuple[CapabilityProfile, ...]
    exam: AptitudeTest
    parts: Mapping[str, NDArray[np.intp]]
    groups: Mapping[str, tuple[str, ...]]
    zoos: Mapping[str, tuple[str, ...]]
    seen: tuple[str, ...]
    tuning: OutcomeTable
    learning: OutcomeTable
    fitting: OutcomeTable
    choosing: OutcomeTable
    group_by: str
    notes: tuple[str, ...] = ()

    @property
    def widest(self) -> NDArray[np.intp]:
        """Rows of the widest part."""
        return list(self.parts.values())[-1]

    @property
    def seen_profiles(self) -> tuple[CapabilityProfile, ...]:
        """Cards of the candidates in `seen`."""
        return tuple(card for card in self.profiles if card.candidate in self.seen)

    def group_of(self, instructions: Sequence[Instruction]) -> list[str]:
        """Each instruction's dataset or category."""
        return [row.dataset if self.group_by == "dataset" else row.category for row in instructions]

    def columns(self, members: Sequence[str]) -> NDArray[np.intp]:
        """Columns of some candidates."""
        return column_index(self.table.candidates, members)

    def best_single(self, zoo: str) -> int:
        """Column of a zoo's best single candidate: on tuning outcomes, or by exam level if there are none."""
        columns = self.columns(self.zoos[zoo])
        if len(self.tuning):
            best = metrics.best_single(self.tuning.scores[:, columns])
        else:
            best = int(np.argmax([self.profiles[column].level for column in columns]))
        return int(columns[best])


def core_set(
    directory: OutcomeDirectory,
    profiles: Sequence[CapabilityProfile],
    *,
    exam: AptitudeTest,
    splits: Splits | None = None,
    datasets: Sequence[str] = (),
    part: Part = "test",
    limit: int | None = None,
    learn: int | None = None,
    stem_only: bool = False,
    rng: np.random.Generator,
) -> EvaluationSet:
    """The exam's own dataset, or others, with the candidates and zoos of the splits.

    Args:
        directory: Instructions and outcomes.
        profiles: Candidates with a card; the others are left out.
        exam: The exam of the cards; its questions are left out.
        splits: Held-out categories, datasets and candidates, and zoos; without it, one zoo of all candidates.
        datasets: Route these only; by default the exam's own if the directory has it, else all.
        part: `validation` for development, `test` once.
        limit: Route at most so many instructions per part, a random subset.
        learn: Let baselines learn from at most so many instructions.
        stem_only: Drop the lettered options from what is routed.
        rng: For the subsets.

    Raises:
        DataError: Fewer than two candidates with a card have outcomes there, or no instruction is left.
    """
    there = {instruction.dataset for instruction in directory.instructions}
    wanted = tuple(datasets or ([exam.dataset] if exam.dataset in there else sorted(there)))
    unknown = sorted(set(wanted) - there)
    if unknown:
        raise DataError(
            f"{directory.path}: no dataset {', '.join(unknown)}; it has {', '.join(sorted(there))}."
        )
    splits = splits or Splits()
    excluded = splits.unseen_test if part == "validation" else ()
    everything = OutcomeTable.from_records(directory.instructions, directory.outcomes, dataset=wanted)
    table, notes = _covered(everything, {card.candidate for card in profiles} - set(excluded))
    table = table.select(~exam.overlaps(table.instructions))
    split = np.array([split_of(row.text) for row in table.instructions], dtype=np.str_)
    beyond = np.array(
        [
            row.category in splits.out_of_domain_categories or row.dataset in splits.out_of_domain_datasets
            for row in table.instructions
        ],
        dtype=np.bool_,
    )
    rows: dict[str, NDArray[np.intp]] = {part: np.flatnonzero((split == part) & ~beyond)}
    if part == "test":
        repeated = beyond & _asked_again(table.instructions, beyond)
        rows[OOD_SUBJECTS] = np.flatnonzero(beyond & ~repeated)
        if repeated.any():
            notes.append(
                f"{repeated.sum()} out-of-domain instructions are left out: an in-domain one asks the same."
            )
    if limit is not None:
        rows = {name: np.sort(rng.permutation(at)[:limit]) for name, at in rows.items()}
    rows = {name: at for name, at in rows.items() if len(at)}
    if not rows:
        raise DataError(f"{directory.path}: no {part} instruction of {', '.join(wanted)} is left to route.")
    routed = table.select(np.concatenate(list(rows.values())))
    if stem_only:
        stems = tuple(replace(row, text=question_of(row.text)) for row in routed.instructions)
        routed = replace(routed, instructions=stems)
    zoos, zoo_notes = _zoos(splits, table.candidates, excluded)
    by_name = {card.candidate: card for card in profiles}
    unseen = splits.unseen_test if part == "test" else splits.unseen_validation
    groups = {
        "seen": tuple(name for name in table.candidates if name not in splits.unseen),
        "unseen": tuple(name for name in table.candidates if name in unseen),
    }
    if not splits.unseen:
        groups = {"all": table.candidates}
    return _with_learning(
        name=exam.dataset,
        table=routed,
        profiles=tuple(by_name[name] for name in table.candidates),
        exam=exam,
        parts=_positions(rows),
        groups={name: members for name, members in groups.items() if members},
        zoos=zoos,
        seen=tuple(name for name in table.candidates if name not in splits.unseen),
        tuning=table.select((split == "tuning") & ~beyond),
        validation=table.select((split == "validation") & ~beyond & (part != "validation")),
        group_by="dataset" if len(wanted) > 1 else "category",
        notes=(*notes, *zoo_notes),
        learn=learn,
        rng=rng,
    )


def source_set(
    directory: OutcomeDirectory,
    source: str,
    *,
    name: str,
    splits: Splits,
    part: Part,
    datasets: Sequence[str] | None = None,
    exam_candidates: Sequence[str] | None = None,
    limit: int | None = None,
    learn: int | None = None,
    rng: np.random.Generator,
) -> EvaluationSet:
    """One protocol's outcomes, with an exam of its own.

    Args:
        directory: Instructions and outcomes.
        source: The protocol.
        name: Of the set.
        splits: Held-out candidates and categories; candidates of the final test are left out of validation.
        part: `validation` for development, `test` once.
        datasets: Of the protocol, none of them in tuning; all of its datasets by default.
        exam_candidates: Their outcomes choose the exam's items, and card learners learn from them; all by default.
        limit: Route at most so many instructions.
        learn: Let baselines learn from at most so many instructions.
        rng: For the subsets and the exam.

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
    rows = np.flatnonzero(fresh & (split == part) & ~(left_out & (part == "validation")))
    if limit is not None:
        rows = np.sort(rng.permutation(rows)[:limit])
    if not len(rows):
        raise DataError(f"{source}: no {part} instruction is left to route.")
    routed = table.select(rows)
    graded = grade(exam_table(tuning.instructions, directory.outcomes, exam), exam)
    cards = {card.candidate: card for card in graded}
    return _with_learning(
        name=name,
        table=routed,
        profiles=tuple(cards[member] for member in table.candidates),
        exam=exam,
        parts={OOD_DATASETS if datasets else part: np.arange(len(routed))},
        groups={name: table.candidates},
        zoos={source: table.candidates},
        seen=seen,
        tuning=tuning.select(~exam.overlaps(tuning.instructions)),
        validation=table.select(fresh & ~left_out & (split == "validation") & (part != "validation")),
        group_by="dataset" if len({row.dataset for row in routed.instructions}) > 1 else "category",
        notes=(),
        learn=learn,
        rng=rng,
    )


def _with_learning(
    *,
    name: str,
    table: OutcomeTable,
    profiles: tuple[CapabilityProfile, ...],
    exam: AptitudeTest,
    parts: Mapping[str, NDArray[np.intp]],
    groups: Mapping[str, tuple[str, ...]],
    zoos: Mapping[str, tuple[str, ...]],
    seen: tuple[str, ...],
    tuning: OutcomeTable,
    validation: OutcomeTable,
    group_by: str,
    notes: tuple[str, ...],
    learn: int | None,
    rng: np.random.Generator,
) -> EvaluationSet:
    """A set whose baselines learn from a sample of tuning outcomes and choose settings on validation.

    If validation is what is routed, settings are chosen on tuning instructions that are held back.
    """
    learning = tuning.select(np.sort(rng.permutation(len(tuning))[:learn]))
    fitting, choosing = learning, validation
    if not len(validation):
        order = rng.permutation(len(learning))
        count = int(_CHOOSING_SHARE * len(learning))
        choosing, fitting = learning.select(np.sort(order[:count])), learning.select(np.sort(order[count:]))
    return EvaluationSet(
        name=name,
        table=table,
        profiles=profiles,
        exam=exam,
        parts=parts,
        groups=groups,
        zoos=zoos,
        seen=seen,
        tuning=tuning,
        learning=learning,
        fitting=fitting,
        choosing=choosing,
        group_by=group_by,
        notes=notes,
    )


def _covered(table: OutcomeTable, names: set[str]) -> tuple[OutcomeTable, list[str]]:
    """Candidates that did nearly all of the datasets they are in, on instructions that all of them did."""
    table = table.columns([name for name in table.candidates if name in names])
    if len(table.candidates) < 2:
        raise DataError(
            f"{len(table.candidates)} candidate(s) with a capability card have outcomes here; "
            "routing needs at least two (grade more with  modelsat exam grade)."
        )
    known = ~np.isnan(table.scores)
    dataset = np.array([instruction.dataset for instruction in table.instructions], dtype=np.str_)
    keep_row = np.zeros(len(table), dtype=np.bool_)
    done, asked = np.zeros(len(table.candidates)), np.zeros(len(table.candidates))
    for name in np.unique(dataset):
        rows = dataset == name
        coverage = known[rows].mean(axis=0)
        done += known[rows].sum(axis=0)
        asked += np.where(coverage > 0, rows.sum(), 0)
        keep_row[rows] = known[np.ix_(rows, coverage >= LEAST_COVERAGE)].all(axis=1)
    share = np.divide(done, asked, out=np.zeros_like(done), where=asked > 0)
    kept = [name for name, covered in zip(table.candidates, share, strict=True) if covered >= LEAST_COVERAGE]
    notes = [
        f"{name} is left out: it has outcomes on only {covered:.0%} of the instructions."
        for name, covered in zip(table.candidates, share, strict=True)
        if covered < LEAST_COVERAGE
    ]
    without = sorted(names - set(table.candidates))
    if without:
        notes.append(f"No outcomes here: {', '.join(without)}.")
    if len(kept) < 2:
        raise DataError(
            "fewer than two candidates have outcomes on nearly all instructions; choose other datasets."
        )
    return table.columns(kept).select(keep_row), notes


def _asked_again(instructions: Sequence[Instruction], beyond: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether an in-domain instruction has the same stem."""
    stems = [stem_hash(row.text) for row in instructions]
    in_domain = {stem for stem, outside in zip(stems, beyond, strict=True) if not outside}
    return np.array([stem in in_domain for stem in stems], dtype=np.bool_)


def _zoos(
    splits: Splits, candidates: Sequence[str], excluded: Sequence[str]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    zoos: dict[str, tuple[str, ...]] = {}
    notes = []
    for name, members in splits.zoos.items():
        wanted = [member for member in members if member not in excluded]
        missing = [member for member in wanted if member not in candidates]
        if missing:
            notes.append(f"Zoo {name} is left out: {', '.join(missing)} lack a card or outcomes.")
        elif len(wanted) >= 2:
            zoos[name] = tuple(wanted)
    return zoos or {ALL_CANDIDATES: tuple(candidates)}, notes


def _positions(rows: Mapping[str, NDArray[np.intp]]) -> dict[str, NDArray[np.intp]]:
    """Positions of the parts once their rows are put one after another."""
    parts, start = {}, 0
    for name, at in rows.items():
        parts[name] = np.arange(start, start + len(at))
        start += len(at)
    if len(parts) > 1:
        parts[POOLED] = np.arange(start)
    return parts


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
