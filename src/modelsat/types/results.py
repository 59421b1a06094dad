"""What a candidate has shown that it can do."""

from dataclasses import dataclass

import numpy as np

from modelsat.errors import DataError
from modelsat.types.ranges import require_fraction, require_not_negative


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """One candidate's result on one task of an exam.

    Attributes:
        task: The task's name in its exam.
        keywords: The task in a few keywords (paper: five); what the capability representation names it by.
        accuracy: Mean score over the shots it sat, or what they let expect of the whole task (`estimated`).
        shots: How many items it sat (at least 1).
        items: Score per item in the exam's order, None where it did not sit it; empty where only the mean is known.
        estimated: Its items were chosen while it sat them, so that their mean is not its accuracy.
        examples: A few of its questions, where they may be told; with the keywords, they say what it is about.
    """

    task: str
    keywords: tuple[str, ...]
    accuracy: float
    shots: int
    items: tuple[float | None, ...] = ()
    estimated: bool = False
    examples: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        owner = f"task {self.task!r}"
        require_fraction(owner, "accuracy", self.accuracy)
        if self.shots < 1:
            raise DataError(
                f"{owner}: shots is {self.shots}; expected at least 1 (leave out a task that was not sat)."
            )
        sat = [score for score in self.items if score is not None]
        for score in sat:
            require_fraction(owner, "item score", score)
        if self.items and len(sat) != self.shots:
            raise DataError(f"{owner}: shots is {self.shots} but {len(sat)} items have a score.")
        mean = float(np.mean(sat)) if sat else self.accuracy
        if not self.estimated and abs(mean - self.accuracy) > 1e-3:
            raise DataError(f"{owner}: accuracy is {self.accuracy} but its items' mean is {mean:.4f}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityProfile:
    """One candidate's results on an exam: what a capability card holds.

    A candidate may have sat part of an exam only, or another exam than the router was tuned with: `results` then lists
    what it did sit.

    Attributes:
        candidate: The candidate's name.
        exam: The exam's name.
        exam_hash: Content hash of the exam's blueprint; profiles with one hash compare item by item.
        results: One entry per task sat.
        notes: Expert notes, in words.
        mean_output_tokens: Mean tokens per answer; None where unknown.
        date: When the exam was sat (ISO date), or empty.
        source: Where the results come from.
        other_exams: Its profiles on further exams, e.g. one of one's own beside the router's.
    """

    candidate: str
    exam: str
    exam_hash: str
    results: tuple[TaskResult, ...]
    notes: str = ""
    mean_output_tokens: float | None = None
    date: str = ""
    source: str = ""
    other_exams: tuple["CapabilityProfile", ...] = ()

    def __post_init__(self) -> None:
        owner = f"profile of {self.candidate}"
        if not self.results:
            raise DataError(f"{owner}: no results; a candidate must have sat at least one task.")
        names = [result.task for result in self.results]
        if len(set(names)) != len(names):
            raise DataError(f"{owner}: a task appears twice; merge its results.")
        require_not_negative(owner, "mean_output_tokens", self.mean_output_tokens)
        exams = [profile.exam for profile in self.exams]
        if len(set(exams)) != len(exams):
            raise DataError(
                f"{owner}: two cards of the exam {max(exams, key=exams.count)!r}; keep one of them."
            )

    @property
    def exams(self) -> tuple["CapabilityProfile", ...]:
        """This profile and those on further exams."""
        return (self, *self.other_exams)

    @property
    def level(self) -> float:
        """Mean accuracy over all shots sat, from 0 to 1."""
        shots = np.array([result.shots for result in self.results], dtype=np.float64)
        accuracy = np.array([result.accuracy for result in self.results], dtype=np.float64)
        return float((shots * accuracy).sum() / shots.sum())
