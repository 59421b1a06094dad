"""Who is chosen in each zoo, and what that is worth over the zoo's best single candidate."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from modelsat.bench import metrics
from modelsat.bench.heldout import HeldOut
from modelsat.routing.policy import RoutingPolicy, rank
from modelsat.types import ScoreMatrix, column_index


def choose_in_zoos(
    scores: ScoreMatrix, held_out: HeldOut, rows: NDArray[np.intp]
) -> Mapping[str, NDArray[np.intp]]:
    """Chosen column of the whole table per instruction of a part, [instruction], by zoo."""
    return {zoo: choose_in(scores, rows, members) for zoo, members in held_out.zoos.items()}


def choose_in(scores: ScoreMatrix, rows: NDArray[np.intp], members: tuple[str, ...]) -> NDArray[np.intp]:
    """Chosen column of the whole matrix among some candidates, [row]."""
    columns = column_index(scores.candidates, members)
    chosen: NDArray[np.intp] = columns[rank(select(scores, rows, columns), RoutingPolicy())[:, 0]]
    return chosen


def best_single(held_out: HeldOut, zoo: str) -> int:
    """Column of a zoo's best single candidate: on tuning outcomes, or by exam level where there are none."""
    columns = column_index(held_out.table.candidates, held_out.zoos[zoo])
    if len(held_out.tuning):
        best = metrics.best_single(held_out.tuning.scores[:, columns])
    else:
        best = int(np.argmax([held_out.profiles[column].level for column in columns]))
    return int(columns[best])


def gains_over_best_single(
    chosen: Mapping[str, NDArray[np.intp]], held_out: HeldOut, rows: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Score over the best single candidate on the instructions that all zoos share, [instruction, zoo]."""
    truth = held_out.table.scores[rows]
    columns = column_index(held_out.table.candidates, sorted(set().union(*held_out.zoos.values())))
    shared = ~np.isnan(truth[:, columns]).any(axis=1)
    truth = truth[shared]
    return np.stack(
        [
            metrics.achieved(truth, picked[shared]) - truth[:, best_single(held_out, zoo)]
            for zoo, picked in chosen.items()
        ],
        axis=1,
    )


def select(scores: ScoreMatrix, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> ScoreMatrix:
    """Some rows and columns of a matrix."""
    return ScoreMatrix(
        instruction_ids=tuple(scores.instruction_ids[row] for row in rows),
        candidates=tuple(scores.candidates[column] for column in columns),
        logits=scores.logits[np.ix_(rows, columns)],
        probabilities=scores.probabilities[np.ix_(rows, columns)],
    )
