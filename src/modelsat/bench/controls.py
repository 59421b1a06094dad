"""Controls: the same router with the wrong cards. A router that reads cards must lose by them.

- Shuffled cards: every candidate gets another's card, level and all.
- Level-preserving shuffle: every candidate keeps its level, but what it is better and worse at comes from
  another candidate of similar level. What is lost by it is what the tasks on the card were worth.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from modelsat.types import CapabilityProfile, TaskResult

# Who swaps strengths with whom: groups of few, so that levels are alike; never of one.
GROUP = 4


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

    A candidate's accuracy on a task is its level, plus how easy the task is for all, plus the rest: its own
    strength there. Only that rest is swapped; accuracies are kept within [0, 1]. Single results are left out
    of the new cards, as they would contradict the new accuracies. A task that either of the two did not sit
    stays as it was.

    Args:
        profiles: At least one.
        rng: Randomness.

    Returns:
        New profiles under the same names, in the same order.
    """
    ease = _task_ease(profiles)
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
        _with_strengths(profile, profiles[int(donor)], ease)
        for profile, donor in zip(profiles, donors, strict=True)
    )


def _task_ease(profiles: Sequence[CapabilityProfile]) -> dict[str, float]:
    """How far candidates are above their levels on each task, on average."""
    above: dict[str, list[float]] = {}
    for profile in profiles:
        for result in profile.results:
            above.setdefault(result.task, []).append(result.accuracy - profile.level)
    return {task: float(np.mean(values)) for task, values in above.items()}


def _with_strengths(
    profile: CapabilityProfile, donor: CapabilityProfile, ease: dict[str, float]
) -> CapabilityProfile:
    strengths = {r.task: r.accuracy - donor.level - ease[r.task] for r in donor.results}
    results: list[TaskResult] = []
    for result in profile.results:
        strength = strengths.get(result.task)
        if strength is None:
            results.append(result)
        else:
            accuracy = float(np.clip(profile.level + ease[result.task] + strength, 0.0, 1.0))
            results.append(replace(result, accuracy=accuracy, items=()))
    return replace(profile, results=tuple(results))
