"""Plans decide what is asked next: every item, hard items in every rotation, or the most informative ones.

In adaptive testing a task's accuracy is that of all its items: the answers so far, and for the rest the probability of
a right answer given the candidate's ability. Its interval is narrow when few items are left, when they are surely
solved or surely failed, or when the ability in the task is known well.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from modelsat.capability.aptitude import AptitudeTest
from modelsat.capability.irt import Ability, ItemBank, Vector, answer_matrix, estimate_ability
from modelsat.errors import DataError
from modelsat.exam.answers import Grade
from modelsat.exam.journal import Key
from modelsat.exam.questions import Question
from modelsat.statistics import Z95
from modelsat.types import CapabilityProfile

# The first items of a task are asked whatever the level predicts: each task should be measured itself.
FEWEST_SHOTS = 3

Estimates = dict[str, tuple[float, tuple[float, float]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A question to ask, with its options rotated by so many places."""

    question: Question
    rotation: int = 0

    @property
    def key(self) -> Key:
        """Key of its answer in the journal."""
        return self.question.item.id, self.rotation


class Plan(Protocol):
    """Decides what is asked, while answers come in."""

    def take(self) -> Prompt | None:
        """The next question; None if there is none now: an answer under way may bring one."""
        ...

    def record(self, prompt: Prompt, grade: Grade) -> None:
        """Take note of an answer, from this run or an earlier one."""
        ...

    def expected(self) -> int:
        """Expected number of answers when the plan is complete."""
        ...


class FullPlan:
    """Every question once, in order."""

    def __init__(self, questions: Iterable[Question]) -> None:
        """Plan to ask these questions."""
        prompts = [Prompt(question=question) for question in questions]
        self._waiting = {prompt.key: prompt for prompt in prompts}
        self._expected = len(prompts)

    def take(self) -> Prompt | None:
        """The next question that was not asked yet."""
        key = next(iter(self._waiting), None)
        return None if key is None else self._waiting.pop(key)

    def record(self, prompt: Prompt, grade: Grade) -> None:
        """Do not ask this one again."""
        self._waiting.pop(prompt.key, None)

    def expected(self) -> int:
        """Number of questions."""
        return self._expected


class CirclePlan(FullPlan):
    """Every question once, and hard ones again in every rotation of their options (paper: circle test).

    A hard question counts as solved only if it is answered correctly in every rotation, so it is repeated only while
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
        self._recorded: set[Key] = set()

    def record(self, prompt: Prompt, grade: Grade) -> None:
        """Ask a hard question that was answered correctly again, rotated by one more place."""
        super().record(prompt, grade)
        self._recorded.add(prompt.key)
        question = prompt.question
        turned = Prompt(question=question, rotation=prompt.rotation + 1)
        more = question.item.id in self._hard and turned.rotation < question.rotations
        if more and grade.score == 1.0 and turned.key not in self._recorded:
            self._waiting[turned.key] = turned
            self._expected += 1


class TaskEstimates:
    """Estimates of every task's accuracy while answers come in.

    Attributes:
        tasks: Names of the tasks.
        task_of_item: [item] index of each item's task.
        answers: [item] scores from 0 to 1; NaN where an item was not answered.
    """

    def __init__(self, items: Sequence[tuple[str, str]], bank: ItemBank) -> None:
        """Begin without an answer.

        Args:
            items: Id and task of every item that may be asked.
            bank: Their difficulties; an item that is not in it has the mean difficulty.
        """
        self.bank = bank
        self.tasks = tuple(dict.fromkeys(task for _, task in items))
        position = {task: at for at, task in enumerate(self.tasks)}
        self.task_of_item = np.array([position[task] for _, task in items], dtype=np.intp)
        known = [bank.index.get(item) for item, _ in items]
        self.difficulty = np.array([0.0 if at is None else bank.difficulty[at] for at in known])
        self.variance = np.array([4.0 if at is None else bank.variance[at] for at in known])
        self.answers: Vector = np.full(len(items), np.nan)
        self.sizes = np.bincount(self.task_of_item, minlength=len(self.tasks))

    def ability(self) -> Ability:
        """Ability, estimated from the answers so far."""
        return estimate_ability(
            self.answers,
            self.difficulty,
            self.variance,
            self.task_of_item,
            self.bank,
            tasks=len(self.tasks),
        )

    def accuracy(self, ability: Ability) -> tuple[Vector, Vector]:
        """Accuracy over all items of each task, and half of its 95% interval: both [task]."""
        tasks = len(self.tasks)
        open_items = np.isnan(self.answers)
        expected = np.where(open_items, ability.solved, np.nan_to_num(self.answers))
        mean = np.bincount(self.task_of_item, expected, tasks) / self.sizes
        chance = np.bincount(self.task_of_item, open_items * ability.solved * (1.0 - ability.solved), tasks)
        slope = np.bincount(self.task_of_item, open_items * ability.slope, tasks)
        half = Z95 * np.sqrt(chance + slope**2 * ability.variance) / self.sizes
        return mean, half

    def next_items(self, width: float, under_way: np.ndarray) -> list[int]:
        """The most informative item of every task whose interval is wider than +-`width` and that has none under way.

        Args:
            width: Half-width of the interval to reach.
            under_way: [item] bool; asked but not answered yet.
        """
        ability = self.ability()
        _, half = self.accuracy(ability)
        free = np.isnan(self.answers) & ~under_way
        asked = np.bincount(self.task_of_item, ~free, len(self.tasks))
        # One at a time of each task: its answer decides whether another one is needed.
        busy = np.bincount(self.task_of_item, under_way, len(self.tasks)) > 0
        # The Fisher information of an item about the ability: largest where the outcome is most uncertain.
        information = ability.slope**2 / np.maximum(ability.solved * (1.0 - ability.solved), 1e-9)
        chosen = []
        for task in np.flatnonzero(((half > width) | (asked < FEWEST_SHOTS)) & ~busy):
            items = np.flatnonzero((self.task_of_item == task) & free)
            if len(items):
                chosen.append(int(items[np.argmax(information[items])]))
        return chosen


class AdaptivePlan:
    """Adaptive testing: the most informative item next; a task ends once its interval is narrow enough."""

    def __init__(self, questions: Sequence[Question], bank: ItemBank, *, width: float) -> None:
        """Plan to measure every task.

        Args:
            questions: Questions that may be asked.
            bank: Difficulties of the items.
            width: Half-width of the 95% interval at which a task ends.
        """
        self._questions = list(questions)
        self._at = {question.item.id: at for at, question in enumerate(self._questions)}
        self._state = TaskEstimates([(q.item.id, q.task) for q in self._questions], bank)
        self._width = width
        self._under_way = np.zeros(len(self._questions), dtype=np.bool_)
        self._queue: deque[int] = deque()
        # Whether an answer has come since the queue was filled.
        self._news = True

    def take(self) -> Prompt | None:
        """The next item; chosen for all tasks at once, by all answers so far."""
        while True:
            if not self._queue and self._news:
                self._news = False
                self._queue.extend(self._state.next_items(self._width, self._under_way))
            if not self._queue:
                return None
            at = self._queue.popleft()
            if np.isnan(self._state.answers[at]):
                self._under_way[at] = True
                return Prompt(question=self._questions[at])

    def record(self, prompt: Prompt, grade: Grade) -> None:
        """Update the estimates."""
        at = self._at[prompt.question.item.id]
        self._state.answers[at] = grade.score
        self._under_way[at] = False
        self._news = True

    def expected(self) -> int:
        """Answers so far, and those that open tasks would need if their intervals shrink as expected."""
        answered = ~np.isnan(self._state.answers)
        _, half = self._state.accuracy(self._state.ability())
        counts = np.bincount(self._state.task_of_item, answered, len(self._state.tasks))
        # The variance that is left shrinks about linearly with the items that are left.
        needed = self._state.sizes * np.clip(1.0 - (self._width / np.maximum(half, 1e-9)) ** 2, 0.0, 1.0)
        more = np.where(half > self._width, np.minimum(self._state.sizes - counts, np.ceil(needed)), 0)
        return int(counts.sum() + more.sum())

    def estimates(self) -> Estimates:
        """Accuracy and 95% interval of every task, over all its items."""
        mean, half = self._state.accuracy(self._state.ability())
        return {
            task: (float(at), (max(0.0, float(at - wide)), min(1.0, float(at + wide))))
            for task, at, wide in zip(self._state.tasks, mean, half, strict=True)
        }


def hard_items(exam: AptitudeTest, profiles: Sequence[CapabilityProfile], *, below: float) -> frozenset[str]:
    """Ids of the items that fewer than a share of the candidates solve.

    Args:
        exam: The exam.
        profiles: Cards; only those of this exam with results per item count.
        below: The share.

    Raises:
        DataError: No card of this exam has results per item.
    """
    answers = answer_matrix(exam, profiles)
    if not len(answers):
        raise DataError(
            f"exam {exam.name}: no card of it has results per item, so its hard items are unknown; "
            "pass a zoo with such cards as the setting 'reference'."
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
    """Score of each item, by id; an item without a full answer is left out.

    A hard item (circle test) is solved if right in every rotation, failed if wrong in any, and otherwise open.
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
