"""The leakage check: it runs first, and stops a benchmark whose numbers would flatter.

Every check says how many things were compared and how many were found where they must not be.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelsat.bench.arena import Arena
from modelsat.bench.results import Table
from modelsat.capability.aptitude import AptitudeTest
from modelsat.errors import DataError
from modelsat.records.splits import Splits, split_of, stem_hash
from modelsat.types import Instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        name: What must not happen.
        compared: How many things were looked at.
        found: Names of those that were where they must not be.
    """

    name: str
    compared: int
    found: tuple[str, ...]


def check_leakage(
    arenas: Sequence[Arena],
    *,
    instructions: Sequence[Instruction],
    exam: AptitudeTest,
    splits: Splits,
    tuned_on: Mapping[str, Any],
    development: bool,
) -> Table:
    """Look for test questions, exam questions and held-out candidates where they must not be.

    Args:
        arenas: All settings of the benchmark.
        instructions: All of the data.
        exam: The router's exam.
        splits: What is held out.
        tuned_on: What the checkpoint says of its tuning: `candidates` and `datasets`.
        development: Whether validation is routed; candidates of the final test must then be absent.

    Raises:
        DataError: Something was found; names it.
    """
    checks = [
        *_data_checks(instructions, exam),
        *_checkpoint_checks(splits, tuned_on),
        *(check for arena in arenas for check in _arena_checks(arena, splits, development=development)),
    ]
    leaks = [check for check in checks if check.found]
    if leaks:
        told = "; ".join(
            f"{leak.name}: {len(leak.found)} of {leak.compared:,}, e.g. {leak.found[0]!r}" for leak in leaks
        )
        raise DataError(f"leakage: {told}. No number would mean anything; mend data, splits or checkpoint.")
    return Table.of(
        "leakage",
        "Nothing leaks",
        "Compared: how many questions or candidates were looked at. A benchmark with a finding stops.",
        [(check.name, check.compared, len(check.found)) for check in checks],
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


def _arena_checks(arena: Arena, splits: Splits, *, development: bool) -> Iterable[Check]:
    held_out = arena.held_out
    routed = held_out.table.instructions
    stems = {stem_hash(row.text): row.id for row in routed}
    learnt = (*held_out.tuning.instructions, *arena.learning.instructions, *arena.choosing.instructions)
    yield Check(
        name=f"{arena.name}: routed questions among those that rivals learn from",
        compared=len(stems) + len(learnt),
        found=tuple(sorted({row.id for row in learnt if stem_hash(row.text) in stems})),
    )
    items = {item.stem_hash for item in arena.exam.items}
    yield Check(
        name=f"{arena.name}: routed questions among the exam's",
        compared=len(stems) + len(items),
        found=tuple(sorted(name for stem, name in stems.items() if stem in items)),
    )
    wanted = "validation" if development else "test"
    # Subjects and datasets out of domain are in no tuning whichever split their questions are in.
    in_domain = [row for row in routed if row.category not in splits.out_of_domain_categories]
    yield Check(
        name=f"{arena.name}: routed questions outside the {wanted} split",
        compared=len(in_domain),
        found=tuple(row.id for row in in_domain if split_of(row.text) != wanted),
    )
    if development:
        yield Check(
            name=f"{arena.name}: candidates of the final test in development",
            compared=len(held_out.table.candidates),
            found=tuple(name for name in held_out.table.candidates if name in splits.unseen_test),
        )
