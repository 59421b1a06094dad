"""Methods: ways to choose a candidate per instruction, and what they achieve in a zoo."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from modelsat.bench import metrics
from modelsat.bench.controls import LEVEL_KEPT, SHUFFLED, control_profiles, wrong_card_scores
from modelsat.routing.policy import RoutingPolicy, rank
from modelsat.routing.scorer import Scorer
from modelsat.types import ScoreMatrix, column_index

if TYPE_CHECKING:
    from modelsat.bench.evaluation_set import EvaluationSet

Rule = Literal["best score", "blind", "oracle"]
MODEL_SAT = "Model-SAT"
RANDOM = "random"
ORACLE = "oracle"
_CONTROLS = {
    SHUFFLED: "Control: every candidate has another's card",
    LEVEL_KEPT: "Control: every candidate keeps its level, with the strengths of another of similar level",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Method:
    """A way to choose, on the instructions of one evaluation set.

    Attributes:
        name: For tables.
        note: How it was fitted, in one sentence.
        scores: Of all candidates on all instructions; several if draws are averaged (shuffled cards).
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
    """Result of a method in one zoo.

    Attributes:
        achieved: [instruction]; expected score of the chosen candidate.
        entropy: Selection entropy from 0 to 1; NaN with hindsight.
        strongest_rate: Share sent to the best single candidate; NaN with hindsight.
    """

    achieved: NDArray[np.float64]
    entropy: float
    strongest_rate: float


def choose_with(
    method: Method,
    routed: "EvaluationSet",
    rows: NDArray[np.intp],
    members: Sequence[str],
    *,
    strongest: int,
) -> Chosen:
    """Choose within a zoo.

    Args:
        method: The method.
        routed: The evaluation set.
        rows: Instructions to route.
        members: The zoo.
        strongest: Column of its best single candidate.
    """
    truth, columns = routed.table.scores, column_index(routed.table.candidates, members)
    inside = truth[np.ix_(rows, columns)].astype(np.float64)
    if method.rule == "oracle":
        return Chosen(achieved=inside.max(axis=1), entropy=np.nan, strongest_rate=np.nan)
    if method.rule == "blind":
        return Chosen(achieved=inside.mean(axis=1), entropy=1.0, strongest_rate=1 / len(members))
    picks = [choose_in(scores, rows, members) for scores in method.scores]
    entropies = [
        metrics.selection_entropy(np.searchsorted(np.sort(columns), picked), len(members)) for picked in picks
    ]
    return Chosen(
        achieved=np.mean([metrics.achieved(truth[rows], picked) for picked in picks], axis=0),
        entropy=float(np.mean(entropies)),
        strongest_rate=float(np.mean([(picked == strongest).mean() for picked in picks])),
    )


def choose_in(scores: ScoreMatrix, rows: NDArray[np.intp], members: Sequence[str]) -> NDArray[np.intp]:
    """Chosen column of the whole matrix among some candidates, [row]."""
    columns = column_index(scores.candidates, members)
    chosen: NDArray[np.intp] = columns[rank(select(scores, rows, columns), RoutingPolicy())[:, 0]]
    return chosen


def choose_in_zoos(
    scores: ScoreMatrix, routed: "EvaluationSet", rows: NDArray[np.intp]
) -> dict[str, NDArray[np.intp]]:
    """Chosen column of the whole table per instruction, [row], by zoo."""
    return {zoo: choose_in(scores, rows, members) for zoo, members in routed.zoos.items()}


def select(scores: ScoreMatrix, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> ScoreMatrix:
    """Some rows and columns of a matrix."""
    return ScoreMatrix(
        instruction_ids=tuple(scores.instruction_ids[row] for row in rows),
        candidates=tuple(scores.candidates[column] for column in columns),
        logits=scores.logits[np.ix_(rows, columns)],
        probabilities=scores.probabilities[np.ix_(rows, columns)],
    )


def router_methods(
    routed: "EvaluationSet",
    scorer: Scorer,
    *,
    note: str,
    seed: int,
    shuffles: int = 0,
    name: str = MODEL_SAT,
) -> list[Method]:
    """A router, and its controls with shuffled cards.

    Args:
        routed: The evaluation set.
        scorer: The router.
        note: Which router it is.
        seed: Of the shuffles.
        shuffles: How many are averaged; 0 leaves the controls out.
        name: For tables.
    """
    # Real and wrong cards are scored in one go: the controls cost no more passes of the network.
    profiles = (*routed.profiles, *control_profiles(routed.profiles, seed=seed, shuffles=shuffles))
    scores = scorer.score(routed.table.instructions, profiles)
    rows, columns, count = np.arange(len(routed.table)), np.arange(len(profiles)), len(routed.profiles)
    own, wrong = (select(scores, rows, part) for part in (columns[:count], columns[count:]))
    methods = [Method(name=name, note=note, scores=(own,), serves_unseen=True)]
    if shuffles:
        methods += [
            Method(
                name=control,
                note=f"{_CONTROLS[control]}; mean of {shuffles} shuffles.",
                scores=matrices,
                serves_unseen=True,
            )
            for control, matrices in wrong_card_scores(own, wrong, seed=seed).items()
        ]
    return methods
