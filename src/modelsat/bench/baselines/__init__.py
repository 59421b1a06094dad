"""Baselines: every other way to choose, fitted as well as the data allows.

Those that know candidates by name are fitted on the tuning outcomes of all candidates, including those that the router
never saw: where they lead among unseen candidates, that is why.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from modelsat.bench import metrics
from modelsat.bench.baselines.by_name import BestSingle, BestSinglePerGroup, Embed
from modelsat.bench.baselines.factorisation import MatrixFactorisation
from modelsat.bench.baselines.learners import LEARNERS, CandidateLearner, CandidateRegressions, CardLearner
from modelsat.bench.baselines.neighbours import Clusters, ExamNeighbours, NearestNeighbours
from modelsat.bench.baselines.rerank import Rerank, embedding_relevance
from modelsat.bench.evaluation_set import EvaluationSet
from modelsat.bench.methods import ORACLE, RANDOM, Method, choose_in
from modelsat.progress import Progress, no_progress
from modelsat.records.table import OutcomeTable
from modelsat.routing.scorer import Level, Scorer
from modelsat.types import Instruction

NEIGHBOURS = (20, 50, 100, 200, 400)
REGULARISATIONS = (0.03, 0.1, 0.3, 1.0)
DECAYS = (1e-4, 2e-4, 4e-4)
# Those that take seconds, for a short evaluation.
QUICK = (
    "random",
    "best single",
    "best single per dataset",
    "best single per category",
    "level only",
    "kNN",
    "oracle",
)
_CHOSEN = "chosen by the mean over zoos on held-back instructions"

Fit = Callable[[], tuple[Scorer, str]]
Setting = TypeVar("Setting", int, float)


def fit_baselines(
    routed: EvaluationSet,
    embed: Embed,
    *,
    items: Sequence[Instruction],
    outputs: Mapping[tuple[str, str], str],
    pairs: int,
    trees: int,
    seed: int,
    only: Collection[str] | None = None,
    progress: Progress = no_progress,
) -> list[Method]:
    """Fit every baseline and score the instructions of a set with it.

    Args:
        routed: The evaluation set.
        embed: Texts to unit vectors.
        items: Instructions that include the exam's items; the baseline that needs them is left out without them.
        outputs: Candidates' answers by (instruction id, candidate); re-ranking needs all of them.
        pairs: Pairs of instruction and candidate that learners with the card learn from.
        trees: Of a random forest.
        seed: Of everything random.
        only: Names of the baselines to fit; None fits all.
        progress: Counts baselines.
    """
    instructions, profiles = routed.table.instructions, routed.profiles
    fits = {name: (fit, False) for name, fit in _by_name(routed, embed, trees, seed).items()}
    fits |= {name: (fit, True) for name, fit in _by_card(routed, embed, items, pairs, trees, seed).items()}
    if all((row.id, card.candidate) in outputs for row in instructions for card in profiles):
        reranked = Rerank(outputs, embedding_relevance(embed))
        note = "Reads every candidate's output and chooses the one closest to the instruction by embedding."
        fits["re-ranking"] = (lambda: (reranked, note), True)
    fits = {name: fit for name, fit in fits.items() if only is None or name in only}
    methods = [
        Method(name=RANDOM, note="A blind choice, by its expectation.", rule="blind", serves_unseen=True)
    ]
    for done, (name, (fit, serves_unseen)) in enumerate(fits.items()):
        progress(f"fitting baselines on {routed.name}", done, len(fits))
        scorer, note = fit()
        scores = scorer.score(instructions, profiles)
        methods.append(Method(name=name, note=note, scores=(scores,), serves_unseen=serves_unseen))
    methods.append(
        Method(name=ORACLE, note="The best candidate of each instruction, with hindsight.", rule="oracle")
    )
    return methods


def _by_name(routed: EvaluationSet, embed: Embed, trees: int, seed: int) -> dict[str, Fit]:
    """Baselines fitted on the outcomes of named candidates; none without tuning outcomes."""
    learning = routed.learning
    if not len(routed.tuning) or not len(learning):
        return {}

    def neighbours() -> tuple[Scorer, str]:
        k = _best_setting(routed, NEIGHBOURS, lambda table, k: NearestNeighbours(table, embed, k=k))
        return NearestNeighbours(learning, embed, k=k), f"Mean outcome of the {k} nearest; k {_CHOSEN}."

    def regressions() -> tuple[Scorer, str]:
        c = _best_setting(
            routed, REGULARISATIONS, lambda table, c: CandidateRegressions(table, embed, regularisation=c)
        )
        return (
            CandidateRegressions(learning, embed, regularisation=c),
            f"One per candidate on sentence embeddings; C = {c:g} {_CHOSEN}.",
        )

    def factors() -> tuple[Scorer, str]:
        decay = _best_setting(
            routed, DECAYS, lambda table, decay: MatrixFactorisation(table, embed, decay=decay, seed=seed)
        )
        return (
            MatrixFactorisation(learning, embed, decay=decay, seed=seed),
            f"Low rank with one learned embedding per candidate; decay {decay:g} {_CHOSEN}.",
        )

    group = routed.group_by
    return {
        "best single": lambda: (BestSingle(routed.tuning), "Chosen on all tuning outcomes."),
        f"best single per {group}": lambda: (
            BestSinglePerGroup(routed.tuning, routed.group_of, group=group),
            f"Chosen on the tuning outcomes of each {group}; given the true one.",
        ),
        "kNN": neighbours,
        "k-means": lambda: (
            Clusters(learning, embed, seed=seed),
            "Best mean in the nearest of 32 clusters of tuning instructions.",
        ),
        "logistic regression": regressions,
        "MLP": lambda: (
            CandidateLearner("MLP", learning, embed, seed=seed),
            "64 hidden units, one output per candidate, on sentence embeddings.",
        ),
        "random forest": lambda: (
            CandidateLearner("random forest", learning, embed, seed=seed, trees=trees),
            f"{trees} trees, one output per candidate, on sentence embeddings.",
        ),
        "matrix factorisation": factors,
    }


def _by_card(
    routed: EvaluationSet, embed: Embed, items: Sequence[Instruction], pairs: int, trees: int, seed: int
) -> dict[str, Fit]:
    """Baselines that serve any candidate with a card."""
    fits: dict[str, Fit] = {
        "level only": lambda: (Level(), "The candidate with the best exam, whatever the instruction."),
    }
    known = {row.id for row in items}
    if all(item.id in known for item in routed.exam.items):
        fits["exam-only kNN"] = lambda: (
            ExamNeighbours(routed.exam, items, embed),
            "Mean result on the 100 nearest exam items; no tuning.",
        )
    seen, learning = routed.seen_profiles, routed.learning
    if seen and len(learning):
        count = min(pairs, int((~np.isnan(learning.scores)).sum()))
        note = (
            f"One learner on [embedding, card], fitted on {count:,} pairs with {len(seen)} candidates; independent of "
            "names."
        )
        for learner in LEARNERS:
            build = partial(CardLearner, learner, learning, seen, embed, pairs=pairs, seed=seed, trees=trees)
            fits[f"{learner} + card"] = lambda build=build: (build(), note)  # type: ignore[misc]
    return fits


def _best_setting(
    routed: EvaluationSet, settings: Sequence[Setting], fit: Callable[[OutcomeTable, Setting], Scorer]
) -> Setting:
    """The setting with the best choices on the instructions kept for choosing; the last among equals."""
    choosing = routed.choosing
    if not len(choosing) or not len(routed.fitting):
        return settings[len(settings) // 2]
    rows, reached = np.arange(len(choosing)), []
    for setting in settings:
        scores = fit(routed.fitting, setting).score(choosing.instructions, routed.profiles)
        picks = [choose_in(scores, rows, members) for members in routed.zoos.values()]
        reached.append(np.mean([metrics.achieved(choosing.scores, picked).mean() for picked in picks]))
    best = max(range(len(settings)), key=lambda at: (reached[at], at))
    return settings[best]
