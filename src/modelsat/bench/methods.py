"""What is compared: methods that choose a candidate per instruction, each with its scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelsat.bench import metrics
from modelsat.bench.choosing import choose_in
from modelsat.types import FloatArray, ScoreMatrix, column_index

Rule = Literal["best score", "blind", "oracle"]
MODEL_SAT = "Model-SAT"
RANDOM = "random"
ORACLE = "oracle"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Method:
    """A way to choose, on the instructions of one arena.

    Attributes:
        name: For tables.
        note: How it was fitted, in one sentence.
        scores: Of all candidates on all instructions; several where draws are averaged (shuffled cards).
        rule: Choose the best score, blindly (measured by its expectation), or with hindsight.
        serves_unseen: Whether it serves a candidate that has a card but no tuning outcomes.
    """

    name: str
    note: str
    scores: tuple[ScoreMatrix, ...] = ()
    rule: Rule = "best score"
    serves_unseen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chosen:
    """What a method achieves in one zoo.

    Attributes:
        achieved: [instruction]; expected score of the chosen.
        entropy: Selection entropy from 0 to 1; NaN with hindsight.
        strongest_rate: Share sent to the best single candidate; NaN with hindsight.
    """

    achieved: NDArray[np.float64]
    entropy: float
    strongest_rate: float


def choose_with(
    method: Method,
    truth: FloatArray,
    candidates: Sequence[str],
    *,
    rows: NDArray[np.intp],
    members: tuple[str, ...],
    strongest: int,
) -> Chosen:
    """Let a method choose within a zoo.

    Args:
        method: The method.
        truth: [instruction, candidate] of the whole arena.
        candidates: Names of the columns.
        rows: Instructions to route.
        members: The zoo.
        strongest: Column of its best single candidate.
    """
    columns = column_index(candidates, members)
    inside = truth[np.ix_(rows, columns)].astype(np.float64)
    if method.rule == "oracle":
        nothing = float("nan")
        return Chosen(achieved=inside.max(axis=1), entropy=nothing, strongest_rate=nothing)
    if method.rule == "blind":
        return Chosen(achieved=inside.mean(axis=1), entropy=1.0, strongest_rate=1 / len(members))
    picks = [choose_in(scores, rows, members) for scores in method.scores]
    entropies = [
        metrics.selection_entropy(np.searchsorted(np.sort(columns), picked), len(members)) for picked in picks
    ]
    return Chosen(
        achieved=np.mean([truth[rows, picked].astype(np.float64) for picked in picks], axis=0),
        entropy=float(np.mean(entropies)),
        strongest_rate=float(np.mean([metrics.strongest_call_rate(picked, strongest) for picked in picks])),
    )
