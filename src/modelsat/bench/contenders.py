"""Model-SAT as a method, and the same router with the wrong cards."""

from modelsat.bench.arena import Arena
from modelsat.bench.controls import (
    LEVEL_KEPT,
    SHUFFLED,
    control_profiles,
    split_candidates,
    wrong_card_scores,
)
from modelsat.bench.methods import MODEL_SAT, Method
from modelsat.routing.scorer import Scorer

_NOTES = {
    SHUFFLED: "Control: every candidate has another's card",
    LEVEL_KEPT: "Control: every candidate keeps its level, with the strengths of another of similar level",
}


def model_sat(
    arena: Arena, scorer: Scorer, *, note: str, seed: int, shuffles: int = 0, name: str = MODEL_SAT
) -> list[Method]:
    """The router, and its controls with shuffled cards.

    Args:
        arena: The setting.
        scorer: The router.
        note: Which router it is.
        seed: Of the shuffles.
        shuffles: How many are averaged; 0 leaves the controls out.
        name: What tables call the router.
    """
    profiles = arena.held_out.profiles
    swapped = control_profiles(profiles, seed=seed, shuffles=shuffles)
    scores = scorer.score(arena.held_out.table.instructions, (*profiles, *swapped))
    own, wrong = split_candidates(scores, len(profiles))
    methods = [Method(name=name, note=note, scores=(own,), serves_unseen=True)]
    if shuffles:
        methods += [
            Method(
                name=control,
                note=f"{_NOTES[control]}; mean of {shuffles} shuffles.",
                scores=matrices,
                serves_unseen=True,
            )
            for control, matrices in wrong_card_scores(own, wrong, seed=seed).items()
        ]
    return methods
