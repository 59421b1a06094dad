"""Coverage (paper: Figure 1): what small candidates solve together of what the strongest one solves."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from modelsat.bench.arena import Arena
from modelsat.bench.results import Cell, Table
from modelsat.records.models import ModelFacts
from modelsat.types import FloatArray

SMALL = 10.0
_SOLVED = 0.5
_MOST = 10


def coverage_table(arenas: Mapping[str, Arena], facts: Mapping[str, ModelFacts]) -> Table:
    """Greedy unions of small candidates, group by group.

    Who is strongest, and whom to add next, is decided on tuning outcomes; the share is measured on the instructions
    routed.

    Args:
        arenas: By group of candidates that share instructions.
        facts: Sizes; where none is known, all but the strongest count as small.
    """
    rows: list[tuple[Cell, ...]] = []
    told = []
    for group, arena in arenas.items():
        held_out = arena.held_out
        tuning, routed = held_out.tuning.scores >= _SOLVED, held_out.table.scores[arena.widest] >= _SOLVED
        strongest = int(np.nanmean(held_out.tuning.scores, axis=0).argmax())
        small = small_candidates(held_out.table.candidates, strongest, facts)
        order = greedy_cover(tuning[:, strongest], tuning[:, small])[:_MOST]
        covered = np.zeros(int(routed[:, strongest].sum()), dtype=np.bool_)
        for size, at in enumerate(order, start=1):
            covered |= routed[routed[:, strongest], small[at]]
            rows.append((group, size, held_out.table.candidates[small[at]], float(covered.mean())))
        told.append(
            f"{group}: strongest {held_out.table.candidates[strongest]}, {len(small)} small candidates, "
            f"{len(covered)} of {len(routed)} instructions solved by the strongest"
        )
    return Table.of(
        "coverage",
        "What small candidates solve together",
        f"Share of the strongest candidate's solved instructions that at least one of the small ones (up to "
        f"{SMALL:g}B parameters) solves. Order chosen on tuning outcomes. Multiple choice rewards guessing: part of a "
        "union is luck. "
        f"{'; '.join(told)}.",
        rows,
    )


def small_candidates(
    candidates: Sequence[str], strongest: int, facts: Mapping[str, ModelFacts]
) -> NDArray[np.intp]:
    """Columns of the candidates of known small size, the strongest apart; of all others where no size is known."""
    sizes = {at: facts[name].parameters for at, name in enumerate(candidates) if name in facts}
    known = {at: size for at, size in sizes.items() if size is not None}
    chosen = [
        at
        for at in range(len(candidates))
        if at != strongest and (not known or known.get(at, np.inf) <= SMALL)
    ]
    return np.array(chosen, dtype=np.intp)


def greedy_cover(target: NDArray[np.bool_], solved: NDArray[np.bool_] | FloatArray) -> list[int]:
    """Order in which candidates add most to what is covered; the first among equals first.

    Args:
        target: [instruction]; what is to be covered.
        solved: [instruction, candidate].

    Returns:
        Columns of `solved`, until none is left.
    """
    inside = np.asarray(solved, dtype=np.bool_)[target]
    covered = np.zeros(len(inside), dtype=np.bool_)
    order: list[int] = []
    while len(order) < inside.shape[1]:
        added = (inside & ~covered[:, None]).sum(axis=0)
        added[order] = -1
        best = int(added.argmax())
        order.append(best)
        covered |= inside[:, best]
    return order
