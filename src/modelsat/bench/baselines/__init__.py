"""The rivals: every other way to choose, fitted as well as the data allows.

Those that know candidates by name are fitted on the tuning outcomes of all candidates, also of those that the router
never saw: where they lead among unseen candidates, that is why.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from modelsat.bench import metrics
from modelsat.bench.arena import Arena
from modelsat.bench.baselines.by_name import BestSingle, BestSinglePerGroup, Embed
from modelsat.bench.baselines.factorisation import MatrixFactorisation
from modelsat.bench.baselines.learners import (
    LEARNERS,
    CandidateLearner,
    CandidateRegressions,
    CardLearner,
    Learner,
)
from modelsat.bench.baselines.neighbours import (
    Clusters,
    ExamNeighbours,
    NearestNeighbours,
)
from modelsat.bench.baselines.rerank import Rerank, embedding_relevance
from modelsat.bench.choosing import choose_in
from modelsat.bench.methods import ORACLE, RANDOM, Method
from modelsat.progress import Progress, no_progress
from modelsat.records.table import OutcomeTable
from modelsat.routing.scorer import Level, Scorer
from modelsat.types import Instruction

NEIGHBOURS = (20, 50, 100, 200, 400)
REGULARISATIONS = (0.03, 0.1, 0.3, 1.0)
DECAYS = (1e-4, 2e-4, 4e-4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much work the rivals may be.

    Attributes:
        pairs: Pairs of instruction and candidate that learners with the card learn from.
        trees: Of a random forest.
    """

    pairs: int
    trees: int


def rivals(
    arena: Arena,
    embed: Embed,
    *,
    items: Sequence[Instruction],
    outputs: Mapping[tuple[str, str], str],
    effort: Effort,
    seed: int,
    progress: Progress = no_progress,
) -> list[Method]:
    """Fit every rival and let it score the arena's instructions.

    Args:
        arena: The setting.
        embed: Texts to unit vectors.
        items: Instructions among which the exam's items are.
        outputs: Candidates' answers by (instruction id, candidate); re-ranking needs all of them.
        effort: How much work they may be.
        seed: Of everything random.
        progress: Called with (rivals done, rivals in all).
    """
    instructions, profiles = arena.held_out.table.instructions, arena.held_out.profiles
    fits = {**_by_name(arena, embed, effort, seed), **_by_card(arena, embed, items, effort, seed)}
    if all((row.id, card.candidate) in outputs for row in instructions for card in profiles):
        fits["re-ranking"] = lambda: (
            Rerank(outputs, embedding_relevance(embed)),
            "Reads every candidate's output and chooses the one closest to the instruction by embedding.",
        )
    methods = [
        Method(name=RANDOM, note="A blind choice, by its expectation.", rule="blind", serves_unseen=True)
    ]
    for done, (name, fit) in enumerate(fits.items()):
        progress("fitting baselines", done, len(fits))
        scorer, note = fit()
        methods.append(
            Method(
                name=name,
                note=note,
                scores=(scorer.score(instructions, profiles),),
                serves_unseen=name in _SERVE_UNSEEN,
            )
        )
    methods.append(
        Method(name=ORACLE, note="The best candidate of each instruction, by hindsight.", rule="oracle")
    )
    return methods


_SERVE_UNSEEN = (
    "level only",
    "exam-only kNN",
    "logistic regression + card",
    "MLP + card",
    "random forest + card",
    "re-ranking",
)
_Fit = Callable[[], tuple[Scorer, str]]
Setting = TypeVar("Setting", int, float)


def _by_name(arena: Arena, embed: Embed, effort: Effort, seed: int) -> dict[str, _Fit]:
    learning, held_out = arena.learning, arena.held_out

    def neighbours() -> tuple[Scorer, str]:
        k = _best_setting(arena, NEIGHBOURS, lambda table, k: NearestNeighbours(table, embed, k=k))
        return NearestNeighbours(learning, embed, k=k), f"Mean outcome of the {k} nearest; k {_CHOSEN}."

    def regression() -> tuple[Scorer, str]:
        c = _best_setting(
            arena, REGULARISATIONS, lambda table, c: CandidateRegressions(table, embed, regularisation=c)
        )
        return (
            CandidateRegressions(learning, embed, regularisation=c),
            f"One per candidate on sentence embeddings; C = {c:g} {_CHOSEN}.",
        )

    def factors() -> tuple[Scorer, str]:
        decay = _best_setting(
            arena, DECAYS, lambda table, decay: MatrixFactorisation(table, embed, decay=decay, seed=seed)
        )
        return (
            MatrixFactorisation(learning, embed, decay=decay, seed=seed),
            f"Low rank with one learnt embedding per candidate; decay {decay:g} {_CHOSEN}.",
        )

    group = f"best single per {held_out.group_by}"
    return {
        "best single": lambda: (BestSingle(held_out.tuning), "Chosen on all tuning outcomes."),
        group: lambda: (
            BestSinglePerGroup(held_out.tuning, held_out.group_of, group=held_out.group_by),
            f"Chosen on the tuning outcomes of each {held_out.group_by}; told the true one.",
        ),
        "kNN": neighbours,
        "k-means": lambda: (
            Clusters(learning, embed, seed=seed),
            "Best mean in the nearest of 32 clusters of tuning instructions.",
        ),
        "logistic regression": regression,
        "MLP": lambda: (
            CandidateLearner("MLP", learning, embed, seed=seed),
            "64 hidden units, one output per candidate, on sentence embeddings.",
        ),
        "random forest": lambda: (
            CandidateLearner("random forest", learning, embed, seed=seed, trees=effort.trees),
            f"{effort.trees} trees, one output per candidate, on sentence embeddings.",
        ),
        "matrix factorisation": factors,
    }


def _by_card(
    arena: Arena, embed: Embed, items: Sequence[Instruction], effort: Effort, seed: int
) -> dict[str, _Fit]:
    fits: dict[str, _Fit] = {
        "level only": lambda: (Level(), "The candidate with the best exam, whatever the instruction."),
        "exam-only kNN": lambda: (
            ExamNeighbours(arena.exam, items, embed),
            "Mean result on the 100 nearest exam items; no tuning.",
        ),
    }
    for learner in LEARNERS:
        fits[f"{learner} + card"] = partial(_with_card, learner, arena, embed, effort, seed)
    return fits


def _with_card(learner: Learner, arena: Arena, embed: Embed, effort: Effort, seed: int) -> tuple[Scorer, str]:
    scorer = CardLearner(
        learner,
        arena.learning,
        arena.seen_profiles,
        embed,
        pairs=effort.pairs,
        seed=seed,
        trees=effort.trees,
    )
    pairs = min(effort.pairs, int((~np.isnan(arena.learning.scores)).sum()))
    return scorer, (
        f"One learner on [embedding, card], fitted on {pairs:,} pairs with {len(arena.seen)} candidates; "
        "knows no names."
    )


_CHOSEN = "chosen by the mean over zoos on held-back instructions"


def _best_setting(
    arena: Arena, settings: Sequence[Setting], fit: Callable[[OutcomeTable, Setting], Scorer]
) -> Setting:
    """The setting whose choices are best on the instructions kept for choosing; the last among equals."""
    choosing = arena.choosing
    rows = np.arange(len(choosing))
    reached = []
    for setting in settings:
        scores = fit(arena.fitting, setting).score(choosing.instructions, arena.held_out.profiles)
        picks = [choose_in(scores, rows, members) for members in arena.held_out.zoos.values()]
        reached.append(np.mean([metrics.achieved(choosing.scores, picked).mean() for picked in picks]))
    best = max(range(len(settings)), key=lambda at: (reached[at], at))
    return settings[best]
