"""One candidate sits the exam: several questions under way at once, every answer in the journal first.

Knows nothing of cards or zoos. However it ends (through, stopped, out of money, refused, network gone), what was
answered is in the journal, and answers that are under way are waited for: they are paid for already.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from modelsat.errors import EndpointError
from modelsat.exam.budget import Budget, Prices, estimated_tokens
from modelsat.exam.client import ExamClient, NoAnswerError
from modelsat.exam.endpoint import Reply
from modelsat.exam.journal import Entry, Journal
from modelsat.exam.plan import Ask, Plan
from modelsat.exam.prompts import Prompting
from modelsat.exam.questions import Question
from modelsat.exam.readers import Grade, grade_reply

SYNC_S = 1.0
PROGRESS_S = 0.1
# Questions in a row without an answer: the endpoint or the network is gone.
OUTAGE = 8
# How long answers that are under way are waited for when an exam ends early.
DRAIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """How far a candidate is.

    Attributes:
        candidate: Its name.
        answered: Answers so far, those of earlier runs included.
        expected: Answers when it is through.
        cost: Money so far.
        unreadable: Answers that could not be read.
        lost: Questions that got no answer.
    """

    candidate: str
    answered: int
    expected: int
    cost: float
    unreadable: int
    lost: int


Progress = Callable[[Snapshot], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a sitting ended.

    Attributes:
        finished: Everything planned was asked.
        reason: Why it ended early, or empty.
        lost: Ids of the items that got no answer.
        seconds: What this run took.
        asked: Answers of this run.
    """

    finished: bool
    reason: str = ""
    lost: tuple[str, ...] = ()
    seconds: float = 0.0
    asked: int = 0


@dataclass(slots=True, kw_only=True)
class Sitting:
    """One candidate, one exam.

    Attributes:
        candidate: The candidate's name.
        questions: Every question it may be asked, by item id.
        plan: Decides what it is asked.
        prompting: How it is asked.
        prices: What it charges.
        journal: Where its answers go.
        skip_refused: Count a question that the endpoint refuses (400, 413, 422) as wrong, instead of ending.
        grades: Of every answer, filled while it sits.
        lost: Ids of the items that got no answer.
        last_loss: Why the last of them got none.
    """

    candidate: str
    questions: dict[str, Question]
    plan: Plan
    prompting: Prompting
    prices: Prices
    journal: Journal
    skip_refused: bool = False
    grades: dict[tuple[str, int], Grade] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    last_loss: str = ""
    _in_a_row: int = 0
    _reported: float = 0.0

    def recall(self, budget: Budget) -> None:
        """Take the journal's answers as given: they are not asked again."""
        for entry in self.journal.entries.values():
            question = self.questions.get(entry.item)
            if question is not None:
                self._tell(Ask(question=question, rotation=entry.rotation), entry)
        budget.begin(spent=self.journal.cost, calls=len(self.grades))

    def snapshot(self) -> Snapshot:
        """How far it is."""
        return Snapshot(
            candidate=self.candidate,
            answered=len(self.grades),
            expected=max(self.plan.expected(), len(self.grades)),
            cost=self.journal.cost,
            unreadable=sum(not grade.parsed for grade in self.grades.values()),
            lost=len(self.lost),
        )

    async def run(
        self,
        client: ExamClient,
        budget: Budget,
        *,
        concurrency: int = 16,
        progress: Progress | None = None,
        stop: asyncio.Event | None = None,
    ) -> Ending:
        """Ask until the plan is through, a limit is reached, or `stop` is set.

        Args:
            client: Asks the candidate's endpoint.
            budget: Limits, perhaps shared with other candidates.
            concurrency: Questions under way at once.
            progress: Told how far it is, a few times a second.
            stop: Set it to ask nothing more; answers under way are still waited for.

        Raises:
            EndpointError: The endpoint refuses, or does not answer any more.
            DataError: The journal cannot be written.
        """
        stopped, closing = stop or asyncio.Event(), asyncio.Event()
        started, before = time.perf_counter(), len(self.grades)
        changed, done = asyncio.Event(), asyncio.Event()
        in_flight: set[Ask] = set()
        short_of_money = False

        async def work() -> None:
            nonlocal short_of_money
            while not (stopped.is_set() or closing.is_set() or short_of_money):
                ask = self.plan.take()
                if ask is None:
                    if not in_flight:
                        return
                    changed.clear()
                    await changed.wait()
                    continue
                in_flight.add(ask)
                try:
                    if not await self._ask(ask, client, budget):
                        short_of_money = True
                finally:
                    in_flight.discard(ask)
                    changed.set()
                if progress:
                    self._report(progress)

        if progress:
            progress(self.snapshot())
        syncing = asyncio.create_task(_sync_now_and_then(self.journal, done))
        try:
            await _all_or_first_error([work() for _ in range(concurrency)], stopped, closing)
        finally:
            done.set()
            await syncing
            if progress:
                progress(self.snapshot())
        reason = "stopped" if stopped.is_set() else budget.exhausted if short_of_money else ""
        return Ending(
            finished=not reason,
            reason=reason,
            lost=tuple(self.lost),
            seconds=time.perf_counter() - started,
            asked=len(self.grades) - before,
        )

    async def _ask(self, ask: Ask, client: ExamClient, budget: Budget) -> bool:
        """Ask one question; False where the budget has no room for it."""
        body = self.prompting.body(ask.question, ask.rotation)
        prompt = self.prompting.prompt(ask.question, ask.rotation) if self.prices.known else ""
        at_most = self.prices.cost_at_most(prompt, self.prompting.max_tokens)
        if not await budget.reserve(at_most):
            return False
        spent, answered = 0.0, False
        try:
            reply = await client.ask(body)
            spent, answered = self._cost(prompt, reply), True
            entry = Entry.of(ask.key, reply, cost=spent)
            self.journal.add(entry)
            self._tell(ask, entry)
            self._in_a_row = 0
        except NoAnswerError as error:
            spent = error.billed_attempts * self._presumed_cost(prompt)
            if error.fault.about_question:
                answered = self._refused(ask, error)
            else:
                self._lose(ask, error, cost=spent)
        except asyncio.CancelledError:
            spent = self._presumed_cost(prompt)
            self.journal.add_loss(ask.key, reason="left alone while it was under way", cost=spent)
            raise
        finally:
            await budget.settle(at_most, spent, answered=answered)
        return True

    def _tell(self, ask: Ask, entry: Entry) -> None:
        grade = (
            Grade(score=0.0, parsed=True)
            if entry.refused
            else grade_reply(ask.question, ask.rotation, entry.text)
        )
        self.grades[ask.key] = grade
        self.plan.tell(ask, grade)

    def _refused(self, ask: Ask, error: NoAnswerError) -> bool:
        if not self.skip_refused:
            raise EndpointError(
                f"{str(error).rstrip('.')}; asked was item {ask.question.item.id!r}. If the endpoint refuses only "
                "some questions, --skip-refused counts them as wrong."
            ) from None
        entry = Entry(item=ask.key[0], rotation=ask.key[1], refused=error.fault.reason)
        self.journal.add(entry)
        self._tell(ask, entry)
        return True

    def _lose(self, ask: Ask, error: NoAnswerError, *, cost: float) -> None:
        self.journal.add_loss(ask.key, reason=error.fault.reason, cost=cost)
        self.lost.append(ask.question.item.id)
        self.last_loss = error.fault.reason
        self._in_a_row += 1
        if self._in_a_row >= OUTAGE:
            raise EndpointError(
                f"{self._in_a_row} questions in a row got no answer; the last: {str(error).rstrip('.')}. "
                "Answers so far are kept: go on with --resume."
            )

    def _cost(self, prompt: str, reply: Reply) -> float:
        if not self.prices.known:
            return 0.0
        read = estimated_tokens(prompt) if reply.input_tokens is None else reply.input_tokens
        written = estimated_tokens(reply.text) if reply.output_tokens is None else reply.output_tokens
        return self.prices.cost(read, written)

    def _presumed_cost(self, prompt: str) -> float:
        """Money for an attempt whose end is not known: as if it had been answered at full length."""
        return self.prices.cost(estimated_tokens(prompt), self.prompting.max_tokens)

    def _report(self, progress: Progress) -> None:
        now = time.perf_counter()
        if now - self._reported >= PROGRESS_S:
            self._reported = now
            progress(self.snapshot())


async def _all_or_first_error(
    work: list[Coroutine[Any, Any, None]], stopped: asyncio.Event, closing: asyncio.Event
) -> None:
    """Run workers to their end; after a stop or a first error, give the others a while to finish what they do."""
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


async def _sync_now_and_then(journal: Journal, done: asyncio.Event) -> None:
    while not done.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), SYNC_S)
        # Off the loop: a disk may take long.
        await asyncio.to_thread(journal.sync)
