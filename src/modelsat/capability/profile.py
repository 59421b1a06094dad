"""The capability representation: a profile in words, as the capability encoder reads it.

Paper: the capability representation c, and perturbation evaluation over its task order.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from modelsat.errors import DataError
from modelsat.types import CapabilityProfile, TaskResult

OPENING = "The model achieves "


def task_phrase(result: TaskResult) -> str:
    """One task in words: `accuracy 40.0% on the task of "Genetics, Mutations, ..."`."""
    return f'accuracy {100 * result.accuracy:.1f}% on the task of "{", ".join(result.keywords)}"'


def task_phrases(
    profile: CapabilityProfile, order: Sequence[int] | NDArray[np.intp] | None = None
) -> list[str]:
    """The representation task by task, for an encoder that must cut it between tasks.

    Args:
        profile: The candidate's results.
        order: Positions of the tasks, each once; the profile's own order by default.

    Raises:
        DataError: The order does not name each task once.
    """
    if order is None:
        return [task_phrase(result) for result in profile.results]
    positions = [int(position) for position in order]
    if sorted(positions) != list(range(len(profile.results))):
        raise DataError(
            f"profile of {profile.candidate}: the order must name each of its {len(profile.results)} tasks "
            f"once; it has {len(positions)} entries."
        )
    return [task_phrase(profile.results[position]) for position in positions]


def represent(profile: CapabilityProfile, order: Sequence[int] | NDArray[np.intp] | None = None) -> str:
    """The capability representation as text: every task in one sentence, then the expert notes.

    Arguments and errors as for `task_phrases`.
    """
    text = f"{OPENING}{', '.join(task_phrases(profile, order))}."
    notes = profile.notes.strip()
    return f"{text} {notes}" if notes else text


def join_exams(profiles: Sequence[CapabilityProfile]) -> CapabilityProfile:
    """One profile of several exams that a candidate sat: the first, with the others as its further exams.

    Raises:
        DataError: Two are of one exam.
    """
    first, *others = profiles
    return replace(first, other_exams=(*first.other_exams, *others))


def perturbed_orders(
    profile: CapabilityProfile, *, times: int = 2, rng: np.random.Generator
) -> list[NDArray[np.intp]]:
    """Random orders of a profile's tasks, to average a score over (paper: two).

    Returns:
        `times` arrays of [task] positions.
    """
    return [rng.permutation(len(profile.results)).astype(np.intp) for _ in range(times)]
