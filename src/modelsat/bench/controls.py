"""Controls: the same router with the wrong cards. A router that uses cards must lose accuracy.

- Shuffled cards: every candidate gets another's card, level and all.
- Level-preserving shuffle: every candidate keeps its level, but its strengths and weaknesses come from
  another candidate of similar level. The loss is what the tasks on the card were worth.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from modelsat.types import CapabilityProfile, ScoreMatrix, TaskResult

# Candidates that swap strengths: few, so that levels are alike; never one alone.
GROUP = 4
SHUFFLES = 8

SHUFFLED = "shuffled cards"
LEVEL_KEPT = "level-preserving shuffle"


def derangement(count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """A permutation that leaves nothing in its place (a single thing stays), [count]."""
    order = rng.permutation(count)
    permutation = np.empty(count, dtype=np.intp)
    # One cycle through all, in random order, moves everything.
    permutation[order] = np.roll(order, 1)
    return permutation


def shuffle_levels_kept(
    profiles: Sequence[CapabilityProfile], rng: np.random.Generator
) -> tuple[CapabilityProfile, ...]:
    """Permute strengths and weaknesses among candidates of similar level.

    Where both have single results, a candidate gets the donor's, and then random ones are flipped until it has
    solved as many as before: for a router that uses single items it is a whole exam that someone of this level
    might have written. Where there are only accuracies, the candidate is as far above or below its own
    level as the donor is above or below the donor's, within [0, 1]. Tasks that either of the two did not
    sit stay as they were.

    Args:
        profiles: At least one.
        rng: Randomness.

    Returns:
        New profiles under the same names, in the same order, with the same shots.
    """
    by_level = sorted(
        range(len(profiles)), key=lambda index: (profiles[index].level, profiles[index].candidate)
    )
    donors = np.arange(len(profiles))
    # The last group takes the rest, so that no candidate is left alone.
    starts = list(range(0, max(1, len(by_level) - GROUP + 1), GROUP))
    for start, stop in zip(starts, [*starts[1:], len(by_level)], strict=True):
        members = np.array(by_level[start:stop])
        donors[members] = members[derangement(len(members), rng)]
    return tuple(
        _with_strengths(profile, profiles[int(donor)], rng)
        for profile, donor in zip(profiles, donors, strict=True)
    )


def _with_strengths(
    profile: CapabilityProfile, donor: CapabilityProfile, rng: np.random.Generator
) -> CapabilityProfile:
    given = {result.task: result for result in donor.results}
    by_item = {
        result.task: given[result.task].items
        for result in profile.results
        if profile.exam_hash == donor.exam_hash
        and result.task in given
        and 0 < len(result.items) == len(given[result.task].items)
    }
    own = [score for result in profile.results if result.task in by_item for score in result.items]
    answers = iter(_swapped_answers(own, [score for items in by_item.values() for score in items], rng))
    results: list[TaskResult] = []
    for result in profile.results:
        if result.task in by_item:
            items = tuple(islice(answers, len(result.items)))
            accuracy = float(np.mean([score for score in items if score is not None]))
            results.append(replace(result, accuracy=accuracy, items=items))
        elif result.task in given:
            accuracy = float(np.clip(profile.level + given[result.task].accuracy - donor.level, 0.0, 1.0))
            results.append(replace(result, accuracy=accuracy, items=()))
        else:
            results.append(result)
    return replace(profile, results=tuple(results))


def _swapped_answers(
    own: Sequence[float | None], given: Sequence[float | None], rng: np.random.Generator
) -> list[float | None]:
    """Scores of `given` on the items of `own`, random ones changed until their sum is that of `own`."""
    sat = np.array([at for at, score in enumerate(own) if score is not None], dtype=np.intp)
    answers = [
        mine if score is None or mine is None else score for mine, score in zip(own, given, strict=True)
    ]
    missing = sum(own[at] or 0.0 for at in sat) - sum(answers[at] or 0.0 for at in sat)
    for at in rng.permutation(sat):
        score = answers[at] or 0.0
        # Scores of 0 and 1 are flipped whole; partial ones take up what is left.
        changed = min(1.0, max(0.0, score + missing))
        answers[at] = changed
        missing -= changed - score
    return answers


def control_profiles(
    profiles: Sequence[CapabilityProfile], *, seed: int = 0, shuffles: int = SHUFFLES
) -> tuple[CapabilityProfile, ...]:
    """Cards with levels kept and strengths swapped: all candidates, shuffle after shuffle."""
    rng = np.random.default_rng(seed)
    return tuple(
        replace(card, candidate=f"{card.candidate} (shuffle {number + 1})")
        for number in range(shuffles)
        for card in shuffle_levels_kept(profiles, rng)
    )


def wrong_card_scores(
    scores: ScoreMatrix, swapped: ScoreMatrix, *, seed: int = 0
) -> dict[str, tuple[ScoreMatrix, ...]]:
    """Scores under every candidate's own name with the wrong card, one matrix per shuffle.

    Args:
        scores: With the real cards.
        swapped: With the cards of `control_profiles`, in their order.
        seed: Of the assignment of cards.
    """
    count = len(scores.candidates)
    rng = np.random.default_rng(seed)
    shuffles = len(swapped.candidates) // count
    # A score depends on the card, not on the name: another's card gives another's score.
    return {
        SHUFFLED: tuple(_columns(scores, scores, derangement(count, rng)) for _ in range(shuffles)),
        LEVEL_KEPT: tuple(
            _columns(scores, swapped, np.arange(start, start + count))
            for start in range(0, shuffles * count, count)
        ),
    }


def _columns(named: ScoreMatrix, source: ScoreMatrix, columns: NDArray[np.intp]) -> ScoreMatrix:
    """Some columns of one matrix under the names of another."""
    return ScoreMatrix(
        instruction_ids=named.instruction_ids,
        candidates=named.candidates,
        logits=source.logits[:, columns],
        probabilities=source.probabilities[:, columns],
    )
