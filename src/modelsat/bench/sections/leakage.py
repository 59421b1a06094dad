"""The leakage check: it runs first, and stops a benchmark whose numbers would be too good.

Every check counts the things compared, and those found where they must not be.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelsat.bench.evaluation_set import EvaluationSet
from modelsat.bench.reporting.numbers import count
from modelsat.bench.reporting.words import Finding
from modelsat.bench.results import BenchmarkResult, Table
from modelsat.bench.run import BenchmarkRun
from modelsat.bench.section import Column, Section, TableSpec
from modelsat.capability.aptitude import AptitudeTest
from modelsat.errors import DataError
from modelsat.records.splits import Splits, split_of, stem_hash
from modelsat.types import Instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        name: The condition that must not occur.
        compared: Number of things compared.
        found: Names of those found where they must not be.
    """

    name: str
    compared: int
    found: tuple[str, ...]


TABLE = TableSpec(
    name="leakage",
    title="Nothing leaks",
    columns=(Column("check"), Column("compared", count), Column("found", count)),
)


def compute(run: BenchmarkRun) -> Iterator[Table]:
    """All checks on all sets of a run."""
    yield check_leakage(
        [run.core, *run.beyond, *run.streams.values()],
        instructions=run.directory.instructions,
        exam=run.exam,
        splits=run.splits,
        tuned_on=run.tuned_on,
        development=run.split == "development",
    )


def check_leakage(
    sets: Sequence[EvaluationSet],
    *,
    instructions: Sequence[Instruction],
    exam: AptitudeTest,
    splits: Splits,
    tuned_on: Mapping[str, Any],
    development: bool,
) -> Table:
    """Look for test questions, exam questions and held-out candidates where they must not be.

    Args:
        sets: All evaluation sets of the benchmark.
        instructions: All of the data.
        exam: The router's exam.
        splits: Held-out candidates, categories and datasets.
        tuned_on: The checkpoint's record of its tuning: `candidates` and `datasets`.
        development: Whether validation is routed; candidates of the final test must then be absent.

    Raises:
        DataError: Something was found; names it.
    """
    checks = [
        *_data_checks(instructions, exam),
        *_checkpoint_checks(splits, tuned_on),
        *(check for routed in sets for check in _set_checks(routed, splits, development=development)),
    ]
    leaks = [check for check in checks if check.found]
    if leaks:
        found = "; ".join(
            f"{leak.name}: {len(leak.found)} of {leak.compared:,}, e.g. {leak.found[0]!r}" for leak in leaks
        )
        raise DataError(
            f"leakage: {found}. No number would mean anything; correct data, splits or checkpoint."
        )
    return TABLE.table(
        [(check.name, check.compared, len(check.found)) for check in checks],
        "Compared: number of questions or candidates. A benchmark with a finding stops.",
    )


def _data_checks(instructions: Sequence[Instruction], exam: AptitudeTest) -> Iterable[Check]:
    split_by_stem: dict[str, str] = {}
    straddling = []
    for row in instructions:
        split = split_of(row.text)
        if split_by_stem.setdefault(stem_hash(row.text), split) != split:
            straddling.append(row.id)
    yield Check(
        name="one question in two splits, over all datasets",
        compared=len(instructions),
        found=tuple(straddling),
    )
    texts = {row.id: row.text for row in instructions}
    items = [item.id for item in exam.items if item.id in texts]
    yield Check(
        name="exam questions outside the tuning split",
        compared=len(items),
        found=tuple(item for item in items if split_of(texts[item]) != "tuning"),
    )


def _checkpoint_checks(splits: Splits, tuned_on: Mapping[str, Any]) -> Iterable[Check]:
    candidates = tuple(tuned_on.get("candidates", ()))
    yield Check(
        name="held-out candidates among those that the router was tuned on",
        compared=len(candidates),
        found=tuple(name for name in candidates if name in splits.unseen),
    )
    datasets = tuple(tuned_on.get("datasets", ()))
    yield Check(
        name="out-of-domain datasets among those that the router was tuned on",
        compared=len(datasets),
        found=tuple(name for name in datasets if name in splits.out_of_domain_datasets),
    )


def _set_checks(routed: EvaluationSet, splits: Splits, *, development: bool) -> Iterable[Check]:
    asked = routed.table.instructions
    stems = {stem_hash(row.text): row.id for row in asked}
    learned = (*routed.tuning.instructions, *routed.learning.instructions, *routed.choosing.instructions)
    yield Check(
        name=f"{routed.name}: routed questions among those that baselines learn from",
        compared=len(stems) + len(learned),
        found=tuple(sorted({row.id for row in learned if stem_hash(row.text) in stems})),
    )
    items = {item.stem_hash for item in routed.exam.items}
    yield Check(
        name=f"{routed.name}: routed questions among the exam's",
        compared=len(stems) + len(items),
        found=tuple(sorted(name for stem, name in stems.items() if stem in items)),
    )
    wanted = "validation" if development else "test"
    # Subjects and datasets out of domain are in no tuning whichever split their questions are in.
    in_domain = [row for row in asked if row.category not in splits.out_of_domain_categories]
    yield Check(
        name=f"{routed.name}: routed questions outside the {wanted} split",
        compared=len(in_domain),
        found=tuple(row.id for row in in_domain if split_of(row.text) != wanted),
    )
    if development:
        yield Check(
            name=f"{routed.name}: candidates of the final test in development",
            compared=len(routed.table.candidates),
            found=tuple(name for name in routed.table.candidates if name in splits.unseen_test),
        )


def findings(result: BenchmarkResult) -> Iterator[Finding]:
    """That nothing was found; a benchmark with a leak has no result."""
    checks = result.records("leakage")
    if checks:
        yield Finding("fact", f"All {len(checks)} leakage checks found nothing.")


SECTION = Section(
    name="leakage",
    order=100,
    heading="Leakage",
    reading="Checked before anything else: what exam, tuning and held-out data share must be nothing.",
    tables=(TABLE,),
    compute=compute,
    findings=findings,
    gate=True,
)
