"""Which outcomes a router is measured on, and which its baselines may learn from.

Held out are: the test split, and every category and dataset that tuning leaves out. The exam's questions are
in none of them, by stem. Validation holds validation instructions only, without the candidates that the final
test sees first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelsat.capability.aptitude import AptitudeTest
from modelsat.errors import DataError
from modelsat.records.splits import Splits, split_of, stem_hash
from modelsat.records.store import OutcomeDirectory
from modelsat.records.table import OutcomeTable
from modelsat.types import CapabilityProfile, Instruction

Part = Literal["test", "validation"]
POOLED = "pooled"
# A candidate with outcomes on fewer of a dataset's instructions would shrink what all others are measured on.
LEAST_COVERAGE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Outcomes to route, and outcomes to learn from.

    Attributes:
        table: Outcomes to route; all candidates of a dataset have one on each of its instructions.
        profiles: One per candidate of the table, in its order.
        parts: Rows of the table by part; the pooled part last, where there is more than one.
        tuning: Tuning outcomes of the same candidates; no rows where the data has none.
        validation: Validation outcomes of the same candidates, for whoever has a setting to choose; no rows where
            validation is what is routed.
        groups: Candidates by whether tuning saw them.
        zoos: Candidates to choose among, by zoo.
        group_by: What the best single candidate per group is grouped by: dataset, or category within one
            dataset.
        datasets: Those of the table.
        notes: What was left out, and why.
    """

    table: OutcomeTable
    profiles: tuple[CapabilityProfile, ...]
    parts: Mapping[str, NDArray[np.intp]]
    tuning: OutcomeTable
    validation: OutcomeTable
    groups: Mapping[str, tuple[str, ...]]
    zoos: Mapping[str, tuple[str, ...]]
    group_by: str
    datasets: tuple[str, ...]
    notes: tuple[str, ...]

    def group_of(self, instructions: Sequence[Instruction]) -> list[str]:
        """Each instruction's dataset or category."""
        if self.group_by == "dataset":
            return [instruction.dataset for instruction in instructions]
        return [instruction.category for instruction in instructions]


def hold_out(
    directory: OutcomeDirectory,
    profiles: Sequence[CapabilityProfile],
    *,
    exam: AptitudeTest,
    splits: Splits | None = None,
    datasets: Sequence[str] | None = None,
    part: Part = "test",
    limit: int | None = None,
    stem_only: bool = False,
    rng: np.random.Generator,
) -> HeldOut:
    """Divide outcomes into what is routed and what is learned from.

    Args:
        directory: Instructions and outcomes.
        profiles: Candidates with a card; the others are left out.
        exam: Its questions are left out.
        splits: Held-out categories, datasets and candidates, and zoos; without it, one zoo of all candidates.
        datasets: Route these only; by default the exam's own if the directory has it, else all.
        part: Held-out test, or validation.
        limit: Route at most so many instructions per part, a random subset.
        stem_only: Drop the lettered options from what is routed.
        rng: For the subset.

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
    excluded = set(splits.unseen_test) if splits is not None and part == "validation" else set()
    everything = OutcomeTable.from_records(directory.instructions, directory.outcomes, dataset=wanted)
    table, notes = covered(everything, [p.candidate for p in profiles if p.candidate not in excluded])
    table = table.select(~exam.overlaps(table.instructions))
    out_of_domain = np.array([_out_of_domain(row, splits) for row in table.instructions], dtype=np.bool_)
    stems = [stem_hash(row.text) for row in table.instructions]
    in_domain = {stem for stem, beyond in zip(stems, out_of_domain, strict=True) if not beyond}
    asked_in_domain = out_of_domain & np.array([stem in in_domain for stem in stems], dtype=np.bool_)
    if part == "test" and asked_in_domain.any():
        notes.append(
            f"{asked_in_domain.sum()} out-of-domain instructions are left out: an in-domain one asks the same."
        )
    split = np.array([split_of(row.text) for row in table.instructions], dtype=np.str_)
    rows: dict[str, NDArray[np.intp]] = {part: np.flatnonzero((split == part) & ~out_of_domain)}
    if part == "test":
        rows["out_of_domain"] = np.flatnonzero(out_of_domain & ~asked_in_domain)
    if limit is not None:
        rows = {name: np.sort(rng.permutation(at)[:limit]) for name, at in rows.items()}
    rows = {name: at for name, at in rows.items() if len(at)}
    if not rows:
        raise DataError(f"{directory.path}: no {part} instruction of {', '.join(wanted)} is left to route.")
    routed = table.select(np.concatenate(list(rows.values())))
    if stem_only:
        routed = replace(routed, instructions=tuple(map(_without_options, routed.instructions)))
    zoos, zoo_notes = _zoos(splits, table.candidates, excluded)
    by_name = {profile.candidate: profile for profile in profiles}
    return HeldOut(
        table=routed,
        profiles=tuple(by_name[name] for name in table.candidates),
        parts=_positions(rows),
        tuning=table.select((split == "tuning") & ~out_of_domain),
        validation=table.select((split == "validation") & ~out_of_domain & (part != "validation")),
        groups=_groups(splits, table.candidates),
        zoos=zoos,
        group_by="dataset" if len(wanted) > 1 else "category",
        datasets=wanted,
        notes=(*notes, *zoo_notes),
    )


def covered(table: OutcomeTable, names: Sequence[str]) -> tuple[OutcomeTable, list[str]]:
    """Candidates that did nearly all of the datasets they are in, on instructions that all of them did."""
    table = table.columns([name for name in table.candidates if name in set(names)])
    if len(table.candidates) < 2:
        raise DataError(
            f"{len(table.candidates)} candidate(s) with a capability card have outcomes here; "
            "routing needs at least two (grade more with  modelsat exam grade)."
        )
    known = ~np.isnan(table.scores)
    dataset = np.array([instruction.dataset for instruction in table.instructions], dtype=np.str_)
    keep_row = np.zeros(len(table), dtype=np.bool_)
    sat = np.zeros(len(table.candidates))
    of = np.zeros(len(table.candidates))
    for name in np.unique(dataset):
        rows = dataset == name
        coverage = known[rows].mean(axis=0)
        sat += known[rows].sum(axis=0)
        of += np.where(coverage > 0, rows.sum(), 0)
        keep_row[rows] = known[np.ix_(rows, coverage >= LEAST_COVERAGE)].all(axis=1)
    share = np.divide(sat, of, out=np.zeros_like(sat), where=of > 0)
    kept = [name for name, covered in zip(table.candidates, share, strict=True) if covered >= LEAST_COVERAGE]
    notes = [
        f"{name} is left out: it has outcomes on {covered:.0%} of the instructions only."
        for name, covered in zip(table.candidates, share, strict=True)
        if covered < LEAST_COVERAGE
    ]
    without = sorted(set(names) - set(table.candidates))
    if without:
        notes.append(f"No outcomes here: {', '.join(without)}.")
    if len(kept) < 2:
        raise DataError(
            "fewer than two candidates have outcomes on nearly all instructions; choose other datasets."
        )
    return table.columns(kept).select(keep_row), notes


def _out_of_domain(instruction: Instruction, splits: Splits | None) -> bool:
    if splits is None:
        return False
    return (
        instruction.category in splits.out_of_domain_categories
        or instruction.dataset in splits.out_of_domain_datasets
    )


def _groups(splits: Splits | None, candidates: Sequence[str]) -> dict[str, tuple[str, ...]]:
    if splits is None:
        return {"all": tuple(candidates)}
    groups = {
        "seen": [name for name in candidates if name not in splits.unseen],
        "unseen": [name for name in candidates if name in splits.unseen_test],
        "unseen in validation": [name for name in candidates if name in splits.unseen_validation],
    }
    return {name: tuple(members) for name, members in groups.items() if members}


def _zoos(
    splits: Splits | None, candidates: Sequence[str], excluded: set[str]
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    zoos: dict[str, tuple[str, ...]] = {}
    notes = []
    for name, members in (splits.zoos if splits else {}).items():
        wanted = [member for member in members if member not in excluded]
        missing = [member for member in wanted if member not in candidates]
        if missing:
            notes.append(f"zoo {name} is left out: {', '.join(missing)} lack a card or outcomes.")
        elif len(wanted) >= 2:
            zoos[name] = tuple(wanted)
    return zoos or {"all": tuple(candidates)}, notes


def _positions(rows: Mapping[str, NDArray[np.intp]]) -> dict[str, NDArray[np.intp]]:
    """Where the parts are, once their rows are put one after another."""
    parts, start = {}, 0
    for name, at in rows.items():
        parts[name] = np.arange(start, start + len(at))
        start += len(at)
    if len(parts) > 1:
        parts[POOLED] = np.arange(start)
    return parts


def _without_options(instruction: Instruction) -> Instruction:
    return replace(instruction, text=instruction.text.split("\nA. ")[0])
