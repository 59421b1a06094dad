"""The router's thread: batches, failures, lateness."""

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from modelsat.errors import DataError
from modelsat.gateway.batching import RouterBusyError, RouterThread
from modelsat.gateway.pace import ThroughputEstimate
from modelsat.routing.router import Router
from modelsat.routing.scorer import score_matrix
from modelsat.types import CapabilityProfile, Instruction, ScoreMatrix
from tests.evidence import KnownEvidence, known_parts
from tests.gateway.parts import running, zoo

pytestmark = pytest.mark.anyio


class Lengths:
    """Scores by the text's length; notes its batches, and fails at the word `bad`."""

    name = "lengths"

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.threads: set[str] = set()
        self.go = threading.Event()
        self.go.set()

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        self.go.wait(5)
        self.batches.append(len(instructions))
        self.threads.add(threading.current_thread().name)
        if any("bad" in instruction.text for instruction in instructions):
            raise DataError("bad text")
        lengths = [len(instruction.text) / 100 for instruction in instructions]
        scores = np.tile(np.array(lengths, dtype=np.float32)[:, None], (1, len(profiles)))
        residuals = np.zeros((len(profiles), 1), dtype=np.float32)
        evidence = [
            KnownEvidence(known_parts(tasks=("t",), attention=row[:1], levels=row, residuals=residuals))
            for row in scores
        ]
        matrix = score_matrix(instructions, profiles, logits=scores, probabilities=scores)
        return replace(matrix, evidence=tuple(evidence))


def ask(thread: RouterThread, router: Router, text: str, timeout_s: float = 5) -> "asyncio.Task[ScoreMatrix]":
    instruction = Instruction(id=text, text=text)
    return asyncio.create_task(thread.score(router, instruction, timeout_s=timeout_s))


async def test_requests_that_arrive_together_are_scored_together() -> None:
    scorer = Lengths()
    sizes: list[int] = []
    thread = RouterThread(wait_ms=3, batch_size=4, observe=sizes.append)
    router = Router(scorer=scorer, zoo=zoo())
    scorer.go.clear()
    tasks = [ask(thread, router, "x" * number) for number in range(1, 8)]
    await asyncio.sleep(0.05)
    scorer.go.set()
    rows = await asyncio.gather(*tasks)
    thread.close()
    assert [float(row.probabilities[0, 0]) for row in rows] == pytest.approx([n / 100 for n in range(1, 8)])
    assert [row.instruction_ids for row in rows] == [("x" * number,) for number in range(1, 8)]
    assert all(row.evidence[0].parts([0]).levels == row.logits[0, 0] for row in rows)
    assert sum(scorer.batches) == 7
    assert max(scorer.batches) == 4
    assert sizes == scorer.batches
    assert scorer.threads == {"modelsat-router"}


async def test_one_bad_request_spoils_no_other() -> None:
    scorer = Lengths()
    thread = RouterThread(wait_ms=3, batch_size=8)
    router = Router(scorer=scorer, zoo=zoo())
    scorer.go.clear()
    tasks = [ask(thread, router, text) for text in ("fine", "bad", "good")]
    await asyncio.sleep(0.05)
    scorer.go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    thread.close()
    assert [isinstance(result, DataError) for result in results] == [False, True, False]


async def test_what_was_given_up_is_not_scored() -> None:
    scorer = Lengths()
    thread = RouterThread(wait_ms=0, batch_size=1)
    router = Router(scorer=scorer, zoo=zoo())
    scorer.go.clear()
    first = ask(thread, router, "first")
    await asyncio.sleep(0.02)
    with pytest.raises(TimeoutError):
        await ask(thread, router, "late", timeout_s=0.01)
    scorer.go.set()
    await first
    await ask(thread, router, "next")
    thread.close()
    assert scorer.batches == [1, 1]


async def test_zoos_are_not_mixed_within_a_batch() -> None:
    scorer = Lengths()
    thread = RouterThread(wait_ms=3, batch_size=8)
    old, new = Router(scorer=scorer, zoo=zoo()), Router(scorer=scorer, zoo=zoo().select(["weak"]))
    scorer.go.clear()
    tasks = [ask(thread, router, "x") for router in (old, old, new, old)]
    called = asyncio.create_task(thread.run(threading.get_ident))
    await asyncio.sleep(0.05)
    scorer.go.set()
    rows = await asyncio.gather(*tasks)
    assert [len(row.candidates) for row in rows] == [3, 3, 1, 3]
    assert await called != threading.get_ident()
    thread.close()


async def test_a_router_that_is_late_or_broken_is_replaced_by_the_best_single_candidate() -> None:
    scorer = Lengths()
    async with running(scorer=lambda: scorer, route_timeout_ms=50) as client:
        fine = await client.chat("fine")
        broken = await client.chat("bad")
        scorer.go.clear()
        started = time.monotonic()
        late = await client.chat("late", model="auto:value=0")
        waited = time.monotonic() - started
        scorer.go.set()
        metrics = (await client.get("/metrics")).body.decode()
    assert [reply.status for reply in (fine, broken, late)] == [200, 200, 200]
    assert [reply.headers["x-modelsat-candidate"] for reply in (broken, late)] == ["strong", "weak"]
    assert waited < 2
    assert [decision.origin for decision in client.decisions] == ["router", "level", "level"]
    assert client.decisions[1].score is None
    assert 'modelsat_router_failures_total{reason="error"} 1.0' in metrics
    assert 'modelsat_router_failures_total{reason="timeout"} 1.0' in metrics


class Steady(Lengths):
    """Takes its time for every instruction."""

    def __init__(self, seconds_each: float) -> None:
        super().__init__()
        self.seconds_each = seconds_each

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        time.sleep(self.seconds_each * len(instructions))
        return super().score(instructions, profiles)


async def test_under_more_load_than_can_be_scored_those_in_time_are_served() -> None:
    scorer = Steady(0.03)
    thread = RouterThread(wait_ms=2, batch_size=32)
    router = Router(scorer=scorer, zoo=zoo())
    await ask(thread, router, "first")
    started = time.monotonic()
    tasks = []
    for number in range(60):
        tasks.append(ask(thread, router, f"{number}", timeout_s=0.3))
        await asyncio.sleep(0.01)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    took = time.monotonic() - started
    thread.close()
    served = sum(isinstance(result, ScoreMatrix) for result in results)
    assert all(isinstance(result, ScoreMatrix | TimeoutError | RouterBusyError) for result in results)
    # Three times the load: of what the thread scored, most was in time.
    assert served >= 0.6 * sum(scorer.batches[1:])
    assert served >= 0.5 * took / 0.03


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_what_cannot_be_in_time_is_known_after_two_batches() -> None:
    estimate = ThroughputEstimate(Clock())
    assert estimate.can_do(1_000, 0.0)
    estimate.took(1, 0.1)
    assert estimate.can_do(1_000, 1.0)
    estimate.took(4, 0.4)
    assert estimate.can_do(6, 1.0)
    assert not estimate.can_do(8, 1.0)


@pytest.mark.parametrize("before", [1, 2, 5, 20])
@pytest.mark.parametrize("idle_s", [0.0, 10.0, 100.0])
def test_one_slow_moment_refuses_nothing(before: int, idle_s: float) -> None:
    clock = Clock()
    estimate = ThroughputEstimate(clock)
    for _ in range(before):
        estimate.took(1, 0.05)
    clock.now += idle_s
    estimate.took(1, 8.0)
    assert estimate.can_do(1, 1.0)


def test_a_slow_machine_is_tried_again_after_a_while_whoever_asks() -> None:
    clock = Clock()
    estimate = ThroughputEstimate(clock)
    for _ in range(5):
        estimate.took(1, 2.0)
    assert not estimate.can_do(1, 1.0)
    refused = 0
    while not estimate.can_do(1, 1.0):
        clock.now += 1
        refused += 1
    assert 15 < refused < 30
    estimate.took(1, 2.0)
    assert not estimate.can_do(1, 1.0)
    clock.now += 30
    assert estimate.can_do(1_000, 0.001)


def test_a_machine_that_has_become_fast_is_known_as_such_after_three_batches() -> None:
    estimate = ThroughputEstimate(Clock())
    for seconds in (2.0, 2.0, 2.0, 2.0, 2.0, 0.1, 0.1, 0.1):
        estimate.took(1, seconds)
    assert estimate.can_do(6, 1.0)


async def test_what_is_refused_is_told_from_what_is_late() -> None:
    scorer = Steady(0.2)
    async with running(scorer=lambda: scorer, route_timeout_ms=100) as client:
        for text in ("first", "second", "third"):
            await client.chat(text)
            # The thread is still at work for nobody.
            await asyncio.sleep(0.25)
        decision = (await client.post("/v1/route", {"text": "fourth"})).json()
        metrics = (await client.get("/metrics")).body.decode()
    assert (decision["origin"], decision["reasons"]) == (
        "level",
        ["The router was busy, so overall level decided."],
    )
    assert 'modelsat_router_failures_total{reason="timeout"} 2.0' in metrics
    assert 'modelsat_router_failures_total{reason="busy"} 2.0' in metrics


class Nonsense(Lengths):
    """Gives no number."""

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        scores = super().score(instructions, profiles)
        scores.logits[:] = np.nan
        return scores


async def test_scores_that_are_no_numbers_are_no_scores() -> None:
    async with running(scorer=Nonsense) as client:
        reply = await client.chat()
    assert (reply.status, reply.headers["x-modelsat-candidate"]) == (200, "strong")
    assert client.decisions[0].origin == "level"


async def test_until_the_router_is_loaded_only_names_are_served() -> None:
    scorer = Lengths()
    ready = threading.Event()

    def load() -> Lengths:
        ready.wait(5)
        return scorer

    async with running(scorer=load, ready=False) as client:
        states = [(await client.get("/readyz")).status, (await client.get("/healthz")).status]
        auto, named = await client.chat(), await client.chat(model="middle")
        ready.set()
        while not client.gateway.ready:
            await asyncio.sleep(0.001)
        states.append((await client.get("/readyz")).status)
    assert states == [503, 200, 200]
    assert (auto.status, auto.error["code"], auto.headers["retry-after"]) == (503, "not_ready", "1")
    assert named.status == 200
    assert client.gateway.draining


async def test_a_router_that_cannot_be_loaded_is_told() -> None:
    def load() -> Lengths:
        raise DataError("no weights")

    async with running(scorer=load, ready=False) as client:
        await asyncio.sleep(0.05)
        reply = await client.get("/readyz")
    assert reply.json() == {"status": "loading"}
