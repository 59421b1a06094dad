"""The main tables: every method in every zoo, paired against the best single candidate and against Model-SAT."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelsat.bench import metrics
from modelsat.bench.arena import Arena
from modelsat.bench.choosing import best_single, choose_in
from modelsat.bench.methods import MODEL_SAT, Chosen, Method, choose_with
from modelsat.bench.results import MEAN_ZOO, Cell, Table
from modelsat.statistics import PairedBootstrap
from modelsat.types import column_index

_RELIABILITY_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contest:
    """One arena with the methods that were let loose in it, Model-SAT among them.

    Attributes:
        arena: The setting.
        methods: In the order of the tables.
    """

    arena: Arena
    methods: tuple[Method, ...]

    def method(self, name: str = MODEL_SAT) -> Method:
        """A method by name."""
        return next(method for method in self.methods if method.name == name)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Zoo:
    """One zoo on the instructions of one part: best single, oracle, and what each method chose."""

    name: str
    single: NDArray[np.float64]
    best: NDArray[np.float64]
    chosen: dict[str, Chosen]


def zoo_table(contests: Sequence[Contest], *, seed: int) -> Table:
    """Every method in every zoo and part.

    Args:
        contests: One per arena.
        seed: Of the bootstrap.
    """
    rows: list[tuple[Cell, ...]] = []
    for contest in contests:
        for part, instructions in contest.arena.parts.items():
            rows += _part_rows(contest, part, instructions, seed=seed)
    tuning = ", ".join(
        f"{len(contest.arena.held_out.tuning):,} of {contest.arena.name}" for contest in contests
    )
    return Table.of(
        "zoos",
        "Choosing within each zoo",
        f"Gain: over the zoo's best single candidate on tuning outcomes ({tuning}). Lead: Model-SAT minus the method, "
        "on the same instructions. Methods that do not serve unseen candidates were fitted on the tuning outcomes of "
        "all candidates, those that Model-SAT never saw included.",
        rows,
    )


def ranking_table(contests: Sequence[Contest]) -> Table:
    """How well scores tell solved from failed pairs, by part and group of candidates."""
    rows: list[tuple[Cell, ...]] = []
    for contest in contests:
        held_out = contest.arena.held_out
        for method in contest.methods:
            if method.rule != "best score":
                continue
            for part, at in contest.arena.parts.items():
                for group, members in held_out.groups.items():
                    columns = column_index(held_out.table.candidates, members)
                    truth = held_out.table.scores[np.ix_(at, columns)]
                    values = [
                        (
                            metrics.auc(truth, scores.logits[np.ix_(at, columns)]),
                            metrics.within_candidate_auc(truth, scores.logits[np.ix_(at, columns)]),
                            metrics.expected_calibration_error(
                                truth, scores.probabilities[np.ix_(at, columns)]
                            ),
                        )
                        for scores in method.scores
                    ]
                    # The group of an arena of other candidates is named after it.
                    name = contest.arena.name if group == "all" else group
                    rows.append((method.name, part, name, *np.mean(values, axis=0), int(truth.size)))
    return Table.of(
        "ranking",
        "Telling solved from failed",
        "AUC over all pairs of instruction and candidate; within: mean of each candidate's own AUC; ECE over 15 "
        "equal-mass bins. Unseen: candidates that tuning never saw (methods that know names were fitted on them).",
        rows,
    )


def reliability_table(contest: Contest) -> Table:
    """Model-SAT's probabilities against what happened, in equal-mass bins, on the widest part."""
    held_out, (scores,) = contest.arena.held_out, contest.method().scores
    rows: list[tuple[Cell, ...]] = []
    for group, members in held_out.groups.items():
        cells = np.ix_(contest.arena.widest, column_index(held_out.table.candidates, members))
        said, truth = scores.probabilities[cells].ravel(), held_out.table.scores[cells].ravel()
        for part in np.array_split(np.argsort(said, kind="stable"), _RELIABILITY_BINS):
            if len(part):
                inside = said[part].astype(np.float64)
                rows.append((group, inside.min(), inside.max(), inside.mean(), truth[part].mean(), len(part)))
    return Table.of(
        "reliability",
        "Are the probabilities honest?",
        "Model-SAT's Pr(Yes) in ten bins of equally many pairs, beside the share that was solved.",
        rows,
    )


def choices_table(contest: Contest) -> Table:
    """Whom Model-SAT chooses, by subject, on the widest part."""
    held_out, at, (scores,) = contest.arena.held_out, contest.arena.widest, contest.method().scores
    subjects = np.array(held_out.group_of([held_out.table.instructions[row] for row in at]), dtype=np.str_)
    rows: list[tuple[Cell, ...]] = []
    for zoo, members in held_out.zoos.items():
        columns = column_index(held_out.table.candidates, members)
        picked = choose_in(scores, at, members)
        for subject in np.unique(subjects):
            inside = picked[subjects == subject]
            for member, column in zip(members, columns, strict=True):
                rows.append((zoo, str(subject), member, float((inside == column).mean())))
    return Table.of(
        "choices", "Whom Model-SAT chooses", "Share of each subject's instructions, by zoo.", rows
    )


def _part_rows(contest: Contest, part: str, rows: NDArray[np.intp], *, seed: int) -> list[tuple[Cell, ...]]:
    zoos = [_choose_all(contest, zoo, rows) for zoo in contest.arena.held_out.zoos]
    if len(zoos) > 1:
        zoos.append(_mean_of(zoos))
    bootstrap = PairedBootstrap(len(rows), rng=np.random.default_rng(seed))
    cells: list[tuple[Cell, ...]] = []
    for zoo in zoos:
        achieved = np.stack([zoo.chosen[method.name].achieved for method in contest.methods], axis=1)
        gains = bootstrap.intervals(achieved - zoo.single[:, None])
        own = zoo.chosen[MODEL_SAT].achieved
        leads = bootstrap.intervals(own[:, None] - achieved)
        for method, gain, lead in zip(contest.methods, gains, leads, strict=True):
            chosen = zoo.chosen[method.name]
            rival = method.name != MODEL_SAT
            cells.append(
                (
                    method.name,
                    zoo.name,
                    part,
                    len(rows),
                    float(chosen.achieved.mean()),
                    gain.mean,
                    gain.low,
                    gain.high,
                    metrics.gap_closed(
                        float(chosen.achieved.mean()), float(zoo.single.mean()), float(zoo.best.mean())
                    ),
                    float((zoo.best - chosen.achieved).mean()),
                    chosen.entropy,
                    chosen.strongest_rate,
                    lead.mean if rival else None,
                    lead.low if rival else None,
                    lead.high if rival else None,
                    method.serves_unseen,
                )
            )
    return cells


def _choose_all(contest: Contest, zoo: str, rows: NDArray[np.intp]) -> _Zoo:
    held_out = contest.arena.held_out
    table, members = held_out.table, held_out.zoos[zoo]
    strongest = best_single(held_out, zoo)
    columns = column_index(table.candidates, members)
    return _Zoo(
        name=zoo,
        single=table.scores[rows, strongest].astype(np.float64),
        best=table.scores[np.ix_(rows, columns)].max(axis=1).astype(np.float64),
        chosen={
            method.name: choose_with(
                method, table.scores, table.candidates, rows=rows, members=members, strongest=strongest
            )
            for method in contest.methods
        },
    )


def _mean_of(zoos: Sequence[_Zoo]) -> _Zoo:
    """All zoos as one: on every instruction the mean over them, so that the interval knows they hang together."""

    def mean(name: str) -> Chosen:
        each = [zoo.chosen[name] for zoo in zoos]
        return Chosen(
            achieved=np.mean([chosen.achieved for chosen in each], axis=0),
            entropy=float(np.mean([chosen.entropy for chosen in each])),
            strongest_rate=float(np.mean([chosen.strongest_rate for chosen in each])),
        )

    return _Zoo(
        name=MEAN_ZOO,
        single=np.mean([zoo.single for zoo in zoos], axis=0),
        best=np.mean([zoo.best for zoo in zoos], axis=0),
        chosen={name: mean(name) for name in zoos[0].chosen},
    )
