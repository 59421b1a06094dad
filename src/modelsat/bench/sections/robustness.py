"""Accuracy lost when the same request is written differently."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from modelsat.bench.evaluation_set import EvaluationSet
from modelsat.bench.methods import choose_in_zoos
from modelsat.bench.reporting.numbers import percent, points
from modelsat.bench.reporting.rows import among, distinct, number
from modelsat.bench.reporting.words import Finding, judged, listed
from modelsat.bench.results import MEAN_ZOO, BenchmarkResult, Cell, Suite, Table
from modelsat.bench.run import BenchmarkRun
from modelsat.bench.section import Column, Section, TableSpec
from modelsat.records.splits import question_of
from modelsat.routing.scorer import Scorer
from modelsat.statistics import PairedBootstrap

# Instructions that are written differently.
SAMPLE: dict[Suite, int] = {"quick": 20, "full": 200}
_TYPO_RATE = 0.05
_LETTERS = re.compile(r"[A-Za-z]{4,}")
_SYSTEM = "You are a helpful, respectful and honest assistant. Follow the user's instructions carefully.\n\n"

TABLE = TableSpec(
    name="robustness",
    title="Does wording change the choice?",
    columns=(
        Column("perturbation"),
        Column("zoo"),
        Column("accuracy_change", points, "accuracy, points", ("low", "high")),
        Column("changed_share", percent, "choices changed"),
    ),
)


def with_typos(text: str, rng: np.random.Generator) -> str:
    """Swap two neighbouring letters inside one word in twenty."""

    def swapped(word: re.Match[str]) -> str:
        letters = list(word.group())
        if rng.random() < _TYPO_RATE:
            at = int(rng.integers(1, len(letters) - 2)) if len(letters) > 3 else 1
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
        return "".join(letters)

    return _LETTERS.sub(swapped, text)


# Ways to write the same request differently: its answer stays the same.
PERTURBATIONS: dict[str, Callable[[str, np.random.Generator], str]] = {
    "typos": with_typos,
    "prefix 'Please answer:'": lambda text, rng: f"Please answer: {text}",
    "suffix 'Please answer:'": lambda text, rng: f"{text}\nPlease answer:",
    "upper case": lambda text, rng: text.upper(),
    "options removed": lambda text, rng: question_of(text),
    "system prompt in front": lambda text, rng: _SYSTEM + text,
}


def compute(run: BenchmarkRun) -> Iterator[Table]:
    """Perturbed requests of the core set."""
    yield robustness_table(run.core, run.scorer, limit=SAMPLE[run.effort.suite], seed=run.seed)


def robustness_table(routed: EvaluationSet, scorer: Scorer, *, limit: int, seed: int) -> Table:
    """Route perturbed requests and compare with the choices on the originals.

    Args:
        routed: The evaluation set; a sample of its widest part is perturbed.
        scorer: The router.
        limit: Perturb at most so many.
        seed: Of sample, typos and bootstrap.
    """
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.permutation(routed.widest)[:limit])
    originals = [routed.table.instructions[at] for at in sample]
    truth, every = routed.table.scores[sample].astype(np.float64), np.arange(len(sample))
    before = choose_in_zoos(scorer.score(originals, routed.profiles), routed, every)
    bootstrap = PairedBootstrap(len(sample), rng=np.random.default_rng(seed))
    rows: list[tuple[Cell, ...]] = []
    for name, perturb in PERTURBATIONS.items():
        written = [replace(row, text=perturb(row.text, rng)) for row in originals]
        after = choose_in_zoos(scorer.score(written, routed.profiles), routed, every)
        changes = {zoo: truth[every, after[zoo]] - truth[every, before[zoo]] for zoo in after}
        moved = {zoo: after[zoo] != before[zoo] for zoo in after}
        if len(changes) > 1:
            changes[MEAN_ZOO] = np.mean(list(changes.values()), axis=0)
            moved[MEAN_ZOO] = np.stack([moved[zoo] for zoo in after])
        intervals = bootstrap.intervals(np.stack(list(changes.values()), axis=1))
        rows += [
            (name, zoo, interval.mean, interval.low, interval.high, float(moved[zoo].mean()))
            for zoo, interval in zip(changes, intervals, strict=True)
        ]
    return TABLE.table(
        rows,
        f"{len(sample)} instructions, each written differently. Candidates' outcomes are those on the original: only "
        "the router sees the change. Accuracy change against the choice on the original; changed: share of other "
        "choices.",
    )


def findings(result: BenchmarkResult) -> Iterator[Finding]:
    """Perturbations that cost accuracy beyond their interval."""
    rows = result.records("robustness")
    # The mean over zoos stands for all of them if it was computed.
    rows = [row for row in rows if row["zoo"] == MEAN_ZOO] or rows
    harmful = [row for row in rows if judged(row, "accuracy_change", ("low", "high")) == "lost"]
    if harmful:
        lines = [
            f"{row['perturbation']} ({points(number(row, 'accuracy_change'))} points"
            + (")" if row["zoo"] == MEAN_ZOO else f", {among(str(row['zoo']))})")
            for row in harmful
        ]
        yield Finding("fact", f"Accuracy falls, interval below 0, under {listed(lines)}.")
    elif rows:
        kinds = len(distinct(row["perturbation"] for row in rows))
        yield Finding("fact", f"None of {kinds} perturbations costs accuracy beyond its interval.")


SECTION = Section(
    name="robustness",
    order=80,
    heading="Requests written differently",
    reading="Accuracy against the same instruction as it was.",
    tables=(TABLE,),
    compute=compute,
    findings=findings,
)
