"""What to ask next: a plan gives out questions and learns from the answers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.irt import answer_matrix
from modelsat.errors import DataError
from modelsat.exam.journal import Key
from modelsat.exam.questions import Question
from modelsat.exam.readers import Grade
from modelsat.types import CapabilityProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One question to put, with its options turned by so many places."""

    question: Question
    rotation: int = 0

    @property
    def key(self) -> Key:
        """What the journal knows it by."""
        return self.question.item.id, self.rotation


class Plan(Protocol):
    """Decides what is asked, while answers come in."""

    def take(self) -> Ask | None:
        """The next question; None where there is none now: an answer under way may bring one."""
        ...

    def tell(self, ask: Ask, grade: Grade) -> None:
        """Learn how a question was answered, whether this plan gave it out or an earlier run did."""
        ...

    def expected(self) -> int:
        """Answers in all when the plan is through, as far as can be told now."""
        ...


class FullPlan:
    """Every question once, in order."""

    def __init__(self, questions: Iterable[Question]) -> None:
        """Plan to ask these questions."""
        asks = [Ask(question=question) for question in questions]
        self._waiting = {ask.key: ask for ask in asks}
        self._expected = len(asks)

    def take(self) -> Ask | None:
        """The next question that was not asked yet."""
        key = next(iter(self._waiting), None)
        return None if key is None else self._waiting.pop(key)

    def tell(self, ask: Ask, grade: Grade) -> None:
        """Do not ask this one again."""
        self._waiting.pop(ask.key, None)

    def expected(self) -> int:
        """As many as there are questions."""
        return self._expected


class CirclePlan(FullPlan):
    """Every question once, and hard ones again in every rotation of their options (paper: circle test).

    A hard question counts as solved only when it is answered rightly in every rotation, so it is asked on only while
    it is: most wrong candidates drop out after one or two calls.
    """

    def __init__(self, questions: Sequence[Question], hard: frozenset[str]) -> None:
        """Plan to ask these questions.

        Args:
            questions: All questions.
            hard: Ids of the items to ask in every rotation.
        """
        super().__init__(questions)
        self._hard = hard
        self._told: set[Key] = set()

    def take(self) -> Ask | None:
        """The next question, or the next rotation of one that was right so far."""
        return super().take()

    def tell(self, ask: Ask, grade: Grade) -> None:
        """Ask a hard question that was answered rightly again, turned by one place more."""
        super().tell(ask, grade)
        self._told.add(ask.key)
        turned = Ask(question=ask.question, rotation=ask.rotation + 1)
        more = ask.question.item.id in self._hard and turned.rotation < ask.question.rotations
        if more and grade.score == 1.0 and turned.key not in self._told:
            self._waiting[turned.key] = turned
            self._expected += 1


def hard_items(exam: AptitudeTest, profiles: Sequence[CapabilityProfile], *, below: float) -> frozenset[str]:
    """Ids of the items that less than a share of the candidates solve.

    Args:
        exam: The exam.
        profiles: Cards; those of this exam with results per item count.
        below: The share.

    Raises:
        DataError: No card of this exam has results per item.
    """
    answers = answer_matrix(exam, profiles)
    if not len(answers):
        raise DataError(
            f"exam {exam.name}: no card of it has results per item, so that hard items are unknown; "
            "give a zoo with such cards by --reference."
        )
    with np.errstate(invalid="ignore"):
        solved = np.nansum(answers, axis=0) / np.maximum((~np.isnan(answers)).sum(axis=0), 1)
    sat = (~np.isnan(answers)).any(axis=0)
    return frozenset(
        item.id for item, share, known in zip(exam.items, solved, sat, strict=True) if known and share < below
    )


def item_scores(
    questions: Sequence[Question], grades: Mapping[Key, Grade], hard: frozenset[str] = frozenset()
) -> dict[str, float]:
    """What each item is worth, by id; an item without a full answer is left out.

    A hard item (circle test) is solved when right in every rotation, failed when wrong in any, and open while it was
    right so far only.
    """
    scores: dict[str, float] = {}
    for question in questions:
        item = question.item.id
        rotations = question.rotations if item in hard else 1
        asked = [grade for turn in range(rotations) if (grade := grades.get((item, turn))) is not None]
        if any(grade.score < 1.0 for grade in asked):
            scores[item] = min(grade.score for grade in asked)
        elif len(asked) == rotations:
            scores[item] = 1.0
    return scores
