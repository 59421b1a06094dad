"""The release stream (paper: Figure 5): models arrive by date, the zoo is the five best so far and the newest.

The router is frozen: tuned on outcomes of models released up to a cutoff, with an exam chosen on those models.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from modelsat.bench.methods import choose_with
from modelsat.bench.results import Cell, Table
from modelsat.bench.zoos import Contest
from modelsat.records.models import ModelFacts
from modelsat.statistics import PairedBootstrap
from modelsat.types import CapabilityProfile

BEST = 5


def cutoff_of(candidates: Sequence[str], facts: Mapping[str, ModelFacts]) -> str:
    """The month by which half of the candidates with a known date were released; empty where none has one."""
    dates = sorted(facts[name].released for name in candidates if name in facts and facts[name].released)
    return dates[(len(dates) - 1) // 2] if dates else ""


def arrivals(
    candidates: Sequence[str], facts: Mapping[str, ModelFacts], cutoff: str
) -> list[tuple[str, str]]:
    """Candidates released after the cutoff with their month, in the order of their release."""
    dated = [(facts[name].released, name) for name in candidates if name in facts]
    return [(name, date) for date, name in sorted(dated) if date > cutoff]


def zoo_at(arrived: Sequence[CapabilityProfile], newest: CapabilityProfile) -> tuple[str, ...]:
    """The five that did best in the exam so far, and the newest."""
    best = sorted(arrived, key=lambda card: (-card.level, card.candidate))[:BEST]
    return (*(card.candidate for card in best), newest.candidate)


def stream_table(
    contests: Mapping[str, Contest], facts: Mapping[str, ModelFacts], *, cutoffs: Mapping[str, str], seed: int
) -> Table:
    """Accuracy of every method after each arrival.

    Args:
        contests: By group of models that share instructions; Model-SAT there is tuned up to the cutoff.
        facts: Release dates.
        cutoffs: By group.
        seed: Of the bootstrap.
    """
    rows: list[tuple[Cell, ...]] = []
    told = []
    for group, contest in contests.items():
        coming = arrivals(contest.arena.held_out.table.candidates, facts, cutoffs[group])
        rows += _group_rows(group, contest, facts, coming, seed=seed)
        told.append(
            f"{group}: cutoff {cutoffs[group]}, {len(contest.arena.seen)} candidates before, {len(coming)} arrivals, "
            f"{len(contest.arena.widest)} instructions"
        )
    return Table.of(
        "stream",
        "Models arrive, the router stays as it is",
        "Zoo: the five best in the exam so far and the newest. Model-SAT is frozen: exam attention on sentence "
        "embeddings (no backbone: tuning that for every cutoff would take hours), tuned on candidates released up to "
        "the cutoff, its exam chosen on them. Methods that know names have all tuning outcomes of every arrival. "
        f"{'; '.join(told)}.",
        rows,
    )


def _group_rows(
    group: str,
    contest: Contest,
    facts: Mapping[str, ModelFacts],
    coming: Sequence[tuple[str, str]],
    *,
    seed: int,
) -> list[tuple[Cell, ...]]:
    held_out, at = contest.arena.held_out, contest.arena.widest
    cards = {card.candidate: card for card in held_out.profiles}
    arriving = {name for name, _ in coming}
    arrived = [card for name, card in cards.items() if name not in arriving and facts.get(name)]
    tuning = dict(
        zip(held_out.tuning.candidates, np.nanmean(held_out.tuning.scores, axis=0).tolist(), strict=True)
    )
    bootstrap = PairedBootstrap(len(at), rng=np.random.default_rng(seed))
    rows: list[tuple[Cell, ...]] = []
    for step, (name, date) in enumerate(coming, start=1):
        members = zoo_at(arrived, cards[name])
        arrived.append(cards[name])
        strongest = held_out.table.candidates.index(max(members, key=lambda member: tuning[member]))
        achieved = [
            choose_with(
                method,
                held_out.table.scores,
                held_out.table.candidates,
                rows=at,
                members=members,
                strongest=strongest,
            ).achieved
            for method in contest.methods
        ]
        intervals = bootstrap.intervals(np.stack(achieved, axis=1))
        rows += [
            (group, step, date, name, method.name, interval.mean, interval.low, interval.high)
            for method, interval in zip(contest.methods, intervals, strict=True)
        ]
    return rows
