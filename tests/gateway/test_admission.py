"""Places, the queue before them, and who is turned away."""

import asyncio

import pytest

from modelsat.gateway.admission import Admission
from modelsat.gateway.errors import GatewayError
from tests.gateway.parts import running

pytestmark = pytest.mark.anyio


async def test_first_come_first_served_within_the_places() -> None:
    admission = Admission(places=2, queue=10, timeout_s=5)
    order, most = [], 0

    async def work(number: int) -> None:
        nonlocal most
        async with admission.place():
            order.append(number)
            most = max(most, admission.working)
            await asyncio.sleep(0.001)

    await asyncio.gather(*(work(number) for number in range(8)))
    assert (order, most, admission.working, admission.waiting) == (list(range(8)), 2, 0, 0)


async def test_a_full_queue_and_a_long_wait_are_told_to_come_again() -> None:
    admission = Admission(places=1, queue=1, timeout_s=0.01)
    async with admission.place():
        waiting = asyncio.create_task(_enter(admission))
        await asyncio.sleep(0)
        with pytest.raises(GatewayError, match="queue is full") as full:
            await _enter(admission)
        with pytest.raises(GatewayError, match="no place within") as late:
            await waiting
    for refused in (full.value, late.value):
        assert refused.status == 429
        assert refused.headers()["retry-after"] == "1"
    await _enter(admission)


@pytest.mark.parametrize("just_called", [False, True])
async def test_who_leaves_the_queue_leaves_no_place_taken(just_called: bool) -> None:
    admission = Admission(places=1, queue=5, timeout_s=5)
    entered = asyncio.Event()
    release = asyncio.Event()

    async def hold() -> None:
        async with admission.place():
            entered.set()
            await release.wait()

    holder = asyncio.create_task(hold())
    await entered.wait()
    leaver, stayer = asyncio.create_task(_enter(admission)), asyncio.create_task(_enter(admission))
    await asyncio.sleep(0)
    assert admission.waiting == 2
    if just_called:
        # The place is handed over and refused in one turn of the loop.
        release.set()
        await asyncio.sleep(0)
    leaver.cancel()
    release.set()
    await asyncio.gather(holder, leaver, stayer, return_exceptions=True)
    assert stayer.exception() is None
    assert (admission.working, admission.waiting) == (0, 0)


async def _enter(admission: Admission) -> None:
    async with admission.place():
        pass


async def test_the_gateway_queues_and_refuses() -> None:
    async with running(max_concurrent=1, max_queue=1) as client:
        client.endpoints.hangs("strong")
        tasks = [asyncio.create_task(client.chat()) for _ in range(2)]
        while client.gateway.admission.waiting < 1:
            await asyncio.sleep(0.001)
        refused = await client.chat()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        client.endpoints.answers("strong")
        fine = await client.chat()
    assert (refused.status, refused.error["code"], refused.headers["retry-after"]) == (
        429,
        "gateway_busy",
        "1",
    )
    assert fine.status == 200
