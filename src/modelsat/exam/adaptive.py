"""The adaptive exam: ask what tells most, and leave a task when its accuracy is known closely enough.

A task's accuracy is that of all its items: the answers that are there, and what the candidate's ability lets expect of
the others. Its interval is narrow when few items are left, when they are surely solved or surely failed, or when the
ability in the task is known well.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np

from modelsat.capability.irt import Ability, ItemBank, Vector, estimate_ability
from modelsat.exam.plan import Ask
from modelsat.exam.questions import Question
from modelsat.exam.readers import Grade

__all__ = ["AdaptivePlan", "ItemBank", "TaskEstimates"]

# The first ones of a task are asked whatever the level promises: each task should speak for itself.
FEWEST_SHOTS = 3
_Z95 = 1.959964

Estimates = dict[str, tuple[float, tuple[float, float]]]


class TaskEstimates:
    """What is known of every task's accuracy while answers come in.

    Attributes:
        tasks: Names of the tasks.
        task_of_item: [item] position of each item's task.
        answers: [item] scores from 0 to 1; NaN where an item was not answered.
    """

    def __init__(self, items: Sequence[tuple[str, str]], bank: ItemBank) -> None:
        """Begin without an answer.

        Args:
            items: Id and task of every item that may be asked.
            bank: What is known of them; an item that is not in it is of mean difficulty.
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
        """What the answers so far tell."""
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
        half = _Z95 * np.sqrt(chance + slope**2 * ability.variance) / self.sizes
        return mean, half

    def next_items(self, width: float, under_way: np.ndarray) -> list[int]:
        """The most informative item of every task that is not known to +-`width` yet, and has none under way.

        Args:
            width: Half-width of the interval to reach.
            under_way: [item] bool; asked, but not answered yet.
        """
        ability = self.ability()
        _, half = self.accuracy(ability)
        free = np.isnan(self.answers) & ~under_way
        asked = np.bincount(self.task_of_item, ~free, len(self.tasks))
        # One at a time of each task: its answer decides whether another one is needed.
        busy = np.bincount(self.task_of_item, under_way, len(self.tasks)) > 0
        # What is learned of the ability from an item is slope^2 / p(1-p): largest where the outcome is most open.
        information = ability.slope**2 / np.maximum(ability.solved * (1.0 - ability.solved), 1e-9)
        chosen = []
        for task in np.flatnonzero(((half > width) | (asked < FEWEST_SHOTS)) & ~busy):
            items = np.flatnonzero((self.task_of_item == task) & free)
            if len(items):
                chosen.append(int(items[np.argmax(information[items])]))
        return chosen


class AdaptivePlan:
    """A plan that asks what tells most; see the module's docstring."""

    def __init__(self, questions: Sequence[Question], bank: ItemBank, *, width: float) -> None:
        """Plan to measure every task.

        Args:
            questions: What may be asked.
            bank: How hard the items are.
            width: Half-width of a task's 95% interval at which it is left.
        """
        self._questions = list(questions)
        self._at = {question.item.id: at for at, question in enumerate(self._questions)}
        self._state = TaskEstimates([(q.item.id, q.task) for q in self._questions], bank)
        self._width = width
        self._under_way = np.zeros(len(self._questions), dtype=np.bool_)
        self._queue: deque[int] = deque()
        # Whether anything was learned since the queue was filled.
        self._news = True

    def take(self) -> Ask | None:
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
                return Ask(question=self._questions[at])

    def tell(self, ask: Ask, grade: Grade) -> None:
        """Learn from an answer."""
        at = self._at[ask.question.item.id]
        self._state.answers[at] = grade.score
        self._under_way[at] = False
        self._news = True

    def expected(self) -> int:
        """Answers so far, and what would be needed if the open tasks went on like the ones that are left."""
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
