"""The router in a thread of its own: requests that arrive together are scored together.

The thread that serves requests never waits for a score other than by awaiting it, and gives up when it is late. What
was given up before its turn is not scored, and what cannot be in time is refused at once: under more load than the
machine can score, the thread goes on working for those whom it can still serve.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from modelsat.gateway.pace import ThroughputEstimate
from modelsat.routing.router import Router
from modelsat.routing.scorer import one_row
from modelsat.types import Instruction, ScoreMatrix

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Task:
    """Something to run in the thread: a call, or an instruction to score with a router."""

    future: "Future[Any]"
    arrived: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class _Call(_Task):
    call: Callable[[], Any] = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class _Score(_Task):
    router: Router = field(kw_only=True)
    instruction: Instruction = field(kw_only=True)
    deadline: float = field(kw_only=True)


class RouterBusyError(Exception):
    """An instruction was refused, because it could not have been scored in time."""


class RouterThread:
    """Scores instructions one batch after the other.

    Args:
        wait_ms: How long the first of a batch waits for others.
        batch_size: Instructions scored together at most.
        observe: Called in the thread with the size of each batch.
    """

    def __init__(
        self, *, wait_ms: float, batch_size: int, observe: Callable[[int], None] = lambda size: None
    ) -> None:
        self._wait_s = wait_ms / 1000
        self._batch_size = batch_size
        self._observe = observe
        self._throughput = ThroughputEstimate()
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        # A daemon: weights that are still loading must not keep a stopped process alive.
        self._thread = threading.Thread(target=self._run, name="modelsat-router", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Tasks that have not begun."""
        return self._tasks.qsize()

    async def run(self, call: Callable[[], Result]) -> Result:
        """Run a call in the router's thread: load weights, or work out the cards of a new zoo."""
        future: Future[Result] = Future()
        self._tasks.put(_Call(future, call=call))
        return await asyncio.wrap_future(future)

    async def score(self, router: Router, instruction: Instruction, *, timeout_s: float) -> ScoreMatrix:
        """P(right) of every candidate of the router's zoo, one row.

        Raises:
            TimeoutError: It took longer than `timeout_s`, waiting for its turn included.
            RouterBusyError: It surely would have.
            ModelSatError: The router refused it.
        """
        future: Future[Any] = Future()
        deadline = time.monotonic() + timeout_s
        self._tasks.put(_Score(future, router=router, instruction=instruction, deadline=deadline))
        async with asyncio.timeout(timeout_s):
            scores: ScoreMatrix = await asyncio.wrap_future(future)
            return scores

    def close(self) -> None:
        """Let the thread end after what it is doing."""
        self._tasks.put(None)

    def _run(self) -> None:
        left: _Task | None = None
        while True:
            task = left or self._tasks.get()
            left = None
            if task is None:
                return
            if isinstance(task, _Score):
                if not self._throughput.can_do(1, task.deadline - time.monotonic()):
                    self._refuse(task)
                    continue
                batch, left, ended = self._gather(task)
                self._score(batch)
                if ended:
                    return
            elif isinstance(task, _Call) and task.future.set_running_or_notify_cancel():
                _settle(task.future, task.call)

    def _gather(self, first: _Score) -> tuple[list[_Score], _Task | None, bool]:
        """Those that can be scored with the first one, the task after them, and whether the thread is to end."""
        batch = [first]
        until, deadline = first.arrived + self._wait_s, first.deadline
        while len(batch) < self._batch_size:
            # What piled up while the thread was busy is taken without waiting.
            wait = max(0.0, until - time.monotonic())
            try:
                task = self._tasks.get(timeout=wait) if wait else self._tasks.get_nowait()
            except queue.Empty:
                return batch, None, False
            if task is None:
                return batch, None, True
            if not isinstance(task, _Score) or task.router is not first.router:
                return batch, task, False
            deadline = min(deadline, task.deadline)
            if not self._throughput.can_do(len(batch) + 1, deadline - time.monotonic()):
                return batch, task, False
            batch.append(task)
        return batch, None, False

    def _refuse(self, task: _Score) -> None:
        if task.future.set_running_or_notify_cancel():
            task.future.set_exception(RouterBusyError())

    def _score(self, batch: list[_Score]) -> None:
        wanted = [task for task in batch if task.future.set_running_or_notify_cancel()]
        if not wanted:
            return
        self._observe(len(wanted))
        begun = time.monotonic()
        try:
            scores = wanted[0].router.score([task.instruction for task in wanted])
        except Exception as error:
            if len(wanted) == 1:
                wanted[0].future.set_exception(error)
                return
            # One bad instruction must not spoil the others.
            for task in wanted:
                _settle(task.future, lambda task=task: task.router.score([task.instruction]))  # type: ignore[misc]
            return
        self._throughput.took(len(wanted), time.monotonic() - begun)
        for row, task in enumerate(wanted):
            task.future.set_result(one_row(scores, row))


def _settle(future: "Future[Any]", call: Callable[[], Any]) -> None:
    try:
        future.set_result(call())
    except Exception as error:
        future.set_exception(error)
