"""One participant's exam: several questions under way at once, each answer in the journal before anything else.

However it ends (finished, stopped, out of money, refused, network gone), every answer is in the journal, and answers
under way are waited for, since they may be charged.
"""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from modelsat.errors import EndpointError
from modelsat.exam.answers import Grade, grade_reply
from modelsat.exam.budget import Budget, cost, cost_at_most, estimated_tokens
from modelsat.exam.client import ExamClient, NoAnswerError
from modelsat.exam.endpoint import Reply
from modelsat.exam.journal import Entry, Journal, Key
from modelsat.exam.plan import Plan, Prompt
from modelsat.exam.questions import PromptFormat, Question
from modelsat.exam.settings import ExamSettings, Participant, Planner
from modelsat.progress import Progress, no_progress
from modelsat.routing.pricing import format_money

SYNC_S = 1.0
PROGRESS_S = 0.1
# Questions in a row without an answer: the endpoint or the network is gone.
OUTAGE = 8
# How long answers under way are waited for when an exam ends early.
DRAIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamOutcome:
    """How a participant's exam ended.

    Attributes:
        finished: Whether everything planned was asked.
        reason: Why it ended early, or empty.
        lost: Ids of the items that got no answer.
        seconds: Duration of this run.
        asked: Answers of this run.
    """

    finished: bool
    reason: str = ""
    lost: tuple[str, ...] = ()
    seconds: float = 0.0
    asked: int = 0


@dataclass(slots=True, kw_only=True)
class Sitting:
    """One participant's exam.

    Attributes:
        participant: The candidate and its endpoint.
        questions: All questions that may be asked.
        settings: How they are asked.
        planner: Decides which are asked.
        journal: Keeps the answers.
        plan: This participant's plan.
        prompts: Puts questions into words.
        grades: Grades of all answers so far.
        lost: Ids of the items that got no answer.
        last_loss: Why the last of them got none.
    """

    participant: Participant
    questions: Sequence[Question]
    settings: ExamSettings
    planner: Planner
    journal: Journal
    plan: Plan = field(init=False)
    prompts: PromptFormat = field(init=False)
    grades: dict[Key, Grade] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    last_loss: str = ""
    _in_a_row: int = 0
    _reported: float = 0.0

    def __post_init__(self) -> None:
        self.plan = self.planner.plan(list(self.questions))
        self.prompts = self.settings.prompts

    def recall(self, budget: Budget) -> None:
        """Take the journal's answers as given: they are not asked again."""
        by_id = {question.item.id: question for question in self.questions}
        for entry in self.journal.entries.values():
            question = by_id.get(entry.item)
            if question is not None:
                self._record(Prompt(question=question, rotation=entry.rotation), entry)
        budget.begin(spent=self.journal.cost, calls=len(self.grades))

    async def run(
        self,
        client: ExamClient,
        budget: Budget,
        *,
        progress: Progress = no_progress,
        stop: asyncio.Event | None = None,
    ) -> ExamOutcome:
        """Ask until the plan is complete, a limit is reached, or `stop` is set.

        Args:
            client: Asks the participant's endpoint.
            budget: Limits, perhaps shared with other participants.
            progress: Called a few times a second with answers so far and expected.
            stop: Set it to ask nothing more; answers under way are still waited for.

        Raises:
            EndpointError: The endpoint refuses, or no longer answers.
            DataError: The journal cannot be written.
        """
        stopped, closing = stop or asyncio.Event(), asyncio.Event()
        started, before = time.perf_counter(), len(self.grades)
        changed, done = asyncio.Event(), asyncio.Event()
        in_flight: set[Prompt] = set()
        short_of_money = False

        async def work() -> None:
            nonlocal short_of_money
            while not (stopped.is_set() or closing.is_set() or short_of_money):
                prompt = self.plan.take()
                if prompt is None:
                    if not in_flight:
                        return
                    changed.clear()
                    await changed.wait()
                    continue
                in_flight.add(prompt)
                try:
                    if not await self._ask(prompt, client, budget):
                        short_of_money = True
                finally:
                    in_flight.discard(prompt)
                    changed.set()
                if time.perf_counter() - self._reported >= PROGRESS_S:
                    self._report(progress)

        self._report(progress)
        syncing = asyncio.create_task(_sync_periodically(self.journal, done))
        try:
            workers = [work() for _ in range(self.settings.concurrency)]
            await _all_or_first_error(workers, stopped, closing)
        finally:
            done.set()
            await syncing
            self._report(progress)
        reason = "stopped" if stopped.is_set() else budget.exhausted if short_of_money else ""
        return ExamOutcome(
            finished=not reason,
            reason=reason,
            lost=tuple(self.lost),
            seconds=time.perf_counter() - started,
            asked=len(self.grades) - before,
        )

    async def _ask(self, prompt: Prompt, client: ExamClient, budget: Budget) -> bool:
        """Ask one question; False if the budget has no room for it."""
        candidate, prompts = self.participant.candidate, self.prompts
        text = prompts.text(prompt.question, prompt.rotation)
        at_most = cost_at_most(candidate, text, prompts.max_tokens)
        if not await budget.reserve(at_most):
            return False
        spent, answered = 0.0, False
        try:
            reply = await client.ask(prompts.body(text))
            spent, answered = self._cost(text, reply), True
            entry = Entry.of(prompt.key, reply, cost=spent)
            self.journal.add(entry)
            self._record(prompt, entry)
            self._in_a_row = 0
        except NoAnswerError as error:
            spent = error.billed_attempts * self._presumed(text)
            if error.fault.about_question:
                self._refused(prompt, error)
                answered = True
            else:
                self._lose(prompt, error, cost=spent)
        except asyncio.CancelledError:
            spent = self._presumed(text)
            self.journal.add_loss(prompt.key, reason="abandoned while under way", cost=spent)
            raise
        finally:
            await budget.settle(at_most, spent, answered=answered)
        return True

    def _presumed(self, text: str) -> float:
        """Cost of an attempt whose end is unknown: as if it had been answered at full length."""
        return cost(self.participant.candidate, estimated_tokens(text), self.prompts.max_tokens)

    def _record(self, prompt: Prompt, entry: Entry) -> None:
        grade = (
            Grade(score=0.0, parsed=True)
            if entry.refused
            else grade_reply(prompt.question, prompt.rotation, entry.text)
        )
        self.grades[prompt.key] = grade
        self.plan.record(prompt, grade)

    def _refused(self, prompt: Prompt, error: NoAnswerError) -> None:
        if not self.settings.skip_refused:
            raise EndpointError(
                f"{str(error).rstrip('.')}; the question was item {prompt.question.item.id!r}. If the endpoint refuses "
                "only some questions, --set skip_refused=true counts them as wrong."
            ) from None
        entry = Entry(item=prompt.key[0], rotation=prompt.key[1], refused=error.fault.reason)
        self.journal.add(entry)
        self._record(prompt, entry)

    def _lose(self, prompt: Prompt, error: NoAnswerError, *, cost: float) -> None:
        self.journal.add_loss(prompt.key, reason=error.fault.reason, cost=cost)
        self.lost.append(prompt.question.item.id)
        self.last_loss = error.fault.reason
        self._in_a_row += 1
        if self._in_a_row >= OUTAGE:
            raise EndpointError(
                f"{self._in_a_row} questions in a row got no answer; the last: {str(error).rstrip('.')}. "
                "Answers so far are kept; pass --resume to continue."
            )

    def _cost(self, text: str, reply: Reply) -> float:
        read = estimated_tokens(text) if reply.input_tokens is None else reply.input_tokens
        written = estimated_tokens(reply.text) if reply.output_tokens is None else reply.output_tokens
        return cost(self.participant.candidate, read, written)

    def _report(self, progress: Progress) -> None:
        self._reported = time.perf_counter()
        spent, unreadable = self.journal.cost, sum(not grade.parsed for grade in self.grades.values())
        details = [f"cost {format_money(spent, self.participant.candidate.currency)}"] if spent else []
        details += [f"{unreadable} unreadable"] if unreadable else []
        details += [f"{len(self.lost)} lost"] if self.lost else []
        step = ": ".join([self.participant.candidate.name, *([", ".join(details)] if details else [])])
        progress(step, len(self.grades), max(self.plan.expected(), len(self.grades)))


async def _all_or_first_error(
    work: list[Coroutine[Any, Any, None]], stopped: asyncio.Event, closing: asyncio.Event
) -> None:
    """Run workers to their end; after a stop or a first error, give the others a while to finish."""
    tasks = {asyncio.create_task(one) for one in work}
    stopping = asyncio.create_task(stopped.wait())
    pending: set[asyncio.Task[Any]] = set(tasks)
    try:
        while pending and not stopping.done():
            finished, _ = await asyncio.wait({*pending, stopping}, return_when=asyncio.FIRST_COMPLETED)
            pending -= finished
            if any(task.exception() for task in finished if task is not stopping):
                break
        if pending:
            closing.set()
            await asyncio.wait(pending, timeout=DRAIN_S)
    finally:
        stopping.cancel()
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result


async def _sync_periodically(journal: Journal, done: asyncio.Event) -> None:
    while not done.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), SYNC_S)
        # Off the loop: a disk may take long.
        await asyncio.to_thread(journal.sync)
