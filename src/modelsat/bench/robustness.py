"""What is lost when the same request is written differently."""

from dataclasses import replace

import numpy as np

from modelsat.bench.arena import Arena
from modelsat.bench.choosing import choose_in
from modelsat.bench.perturbations import PERTURBATIONS
from modelsat.bench.results import MEAN_ZOO, Cell, Table
from modelsat.routing.scorer import Scorer
from modelsat.statistics import PairedBootstrap
from modelsat.types import ScoreMatrix


def robustness_table(arena: Arena, scorer: Scorer, own: ScoreMatrix, *, limit: int, seed: int) -> Table:
    """Route perturbed requests and compare with the choices on the originals.

    Args:
        arena: The setting; a sample of its widest part is perturbed.
        scorer: The router.
        own: Its scores on the arena's instructions as they are.
        limit: Perturb at most so many.
        seed: Of sample, typos and bootstrap.
    """
    held_out = arena.held_out
    rng = np.random.default_rng(seed)
    sample = np.sort(rng.permutation(arena.widest)[:limit])
    truth = held_out.table.scores[sample].astype(np.float64)
    before = {zoo: choose_in(own, sample, members) for zoo, members in held_out.zoos.items()}
    bootstrap = PairedBootstrap(len(sample), rng=np.random.default_rng(seed))
    every = np.arange(len(sample))
    rows: list[tuple[Cell, ...]] = []
    for name, perturb in PERTURBATIONS.items():
        instructions = [
            replace(row, text=perturb(row.text, rng))
            for row in (held_out.table.instructions[at] for at in sample)
        ]
        scores = scorer.score(instructions, held_out.profiles)
        after = {zoo: choose_in(scores, every, members) for zoo, members in held_out.zoos.items()}
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
    return Table.of(
        "robustness",
        "Does wording move the choice?",
        f"{len(sample)} instructions, each written differently. Candidates' outcomes are those on the original: only "
        "the router sees the change. Accuracy change against the choice on the original; changed: share "
        "of other choices.",
        rows,
    )
