"""Who answers when candidates do not, and what the client is told when nobody does."""

import asyncio
import json

import pytest

from modelsat.endpoints.client import TransportError
from tests.gateway.parts import Asked, Clock, Pieces, Response, answer_body, running

pytestmark = pytest.mark.anyio

FAULTS = {
    "no connection": TransportError("no connection", sent=False),
    "no connection in time": TransportError("no connection in time", sent=False, late=True),
    "connection lost": TransportError("connection lost"),
    "no proper HTTP answer": TransportError("no proper HTTP answer"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_candidate_that_cannot_be_reached_is_passed_over(fault: str) -> None:
    async with running() as client:
        client.endpoints.fails("strong", FAULTS[fault])
        reply = await client.chat()
    assert (reply.status, reply.json()) == (200, answer_body())
    assert reply.headers["x-modelsat-candidate"] == "middle"
    assert reply.headers["x-modelsat-origin"] == "fallback"
    assert float(reply.headers["x-modelsat-score"]) == pytest.approx(0.7)
    (decision,), (usage,) = client.decisions, client.usages
    assert (decision.candidate, usage.candidate, usage.fallbacks) == ("strong", "middle", 1)


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503, 529])
async def test_a_status_that_another_may_do_better_than_is_passed_over(status: int) -> None:
    async with running() as client:
        client.endpoints.answers("strong", status, text="no")
        reply = await client.chat()
    assert (reply.status, client.endpoints.asked) == (200, ["strong", "middle"])


async def test_a_candidate_that_hangs_is_passed_over() -> None:
    async with running(first_byte_timeout_s=0.02) as client:
        client.endpoints.hangs("strong")
        reply = await client.chat()
    assert (reply.status, client.endpoints.asked) == (200, ["strong", "middle"])


async def test_an_answer_that_fails_before_its_first_byte_is_passed_over() -> None:
    async with running() as client:
        stream = Pieces(TransportError("connection lost"))
        client.endpoints.answers("strong", stream=stream)
        reply = await client.chat()
    assert (reply.status, client.endpoints.asked) == (200, ["strong", "middle"])
    assert stream.closed.is_set()


async def test_the_way_down_ends_somewhere() -> None:
    async with running(max_fallbacks=1) as client:
        for name in ("strong", "middle"):
            client.endpoints.answers(name, 500)
        reply = await client.chat()
    assert client.endpoints.asked == ["strong", "middle"]
    assert (reply.status, reply.error["code"]) == (502, "candidates_failed")
    assert reply.error["message"] == "No candidate answered. strong: HTTP 500; middle: HTTP 500."
    assert reply.headers["x-modelsat-decision-id"] == client.decisions[0].id
    assert [(usage.status, usage.fallbacks) for usage in client.usages] == [(502, 2)]


async def test_constraints_hold_on_the_way_down() -> None:
    async with running() as client:
        client.endpoints.answers("strong", 500)
        wanted = {"modelsat": {"candidates": ["strong", "weak"]}}
        reply = await client.chat(metadata=wanted)
    assert (reply.status, client.endpoints.asked) == (200, ["strong", "weak"])


async def test_all_busy_is_busy_and_all_late_is_late() -> None:
    async with running(first_byte_timeout_s=0.02) as client:
        for name, wait in (("strong", "20"), ("middle", "7"), ("weak", "30")):
            client.endpoints.answers(name, 429, headers={"retry-after": wait})
        busy = await client.chat()
        again = await client.chat()
    assert (busy.status, busy.error["code"], busy.headers["retry-after"]) == (429, "candidates_busy", "7")
    # Nobody is asked before the time they named.
    assert (again.status, again.error["code"], len(client.endpoints.requests)) == (
        503,
        "candidates_unavailable",
        3,
    )
    assert 1 <= int(again.headers["retry-after"]) <= 7
    async with running(first_byte_timeout_s=0.02) as client:
        for name in ("strong", "middle", "weak"):
            client.endpoints.hangs(name)
        late = await client.chat()
    assert (late.status, late.error["code"]) == (504, "candidates_late")


async def test_a_named_candidate_is_the_only_one_and_its_words_are_passed_on() -> None:
    async with running() as client:
        client.endpoints.answers("strong", 529, text="overloaded", headers={"retry-after": "9"})
        reply = await client.chat(model="strong")
        client.endpoints.fails("middle", TransportError("no connection", sent=False))
        gone = await client.chat(model="middle")
    assert (reply.status, reply.body, reply.headers["retry-after"]) == (529, b"overloaded", "9")
    assert (gone.status, gone.error["message"]) == (502, "No candidate answered. middle: no connection.")
    assert client.endpoints.asked == ["strong", "middle"]


async def test_a_breaker_opens_and_one_probe_closes_it() -> None:
    clock = Clock()
    async with running(clock=clock, breaker_requests=2, breaker_open_s=10) as client:
        client.endpoints.answers("strong", 500)
        for _ in range(4):
            await client.chat()
        assert client.endpoints.asked.count("strong") == 2
        assert dict(client.gateway.breaker_states()) == {
            "strong": "open",
            "middle": "closed",
            "weak": "closed",
        }
        clock.seconds += 11
        release = asyncio.Event()

        async def slow(request: Asked) -> Response:
            await release.wait()
            return Response(200, json=answer_body())

        client.endpoints.script["strong"] = slow
        probe = asyncio.create_task(client.chat())
        while client.endpoints.asked.count("strong") < 3:
            await asyncio.sleep(0)
        others = [await client.chat() for _ in range(3)]
        assert {other.headers["x-modelsat-candidate"] for other in others} == {"middle"}
        release.set()
        assert (await probe).headers["x-modelsat-candidate"] == "strong"
        assert (await client.chat()).headers["x-modelsat-candidate"] == "strong"


async def test_a_deadline_ends_the_whole_request() -> None:
    async with running(deadline_s=0.05) as client:
        client.endpoints.hangs("strong")
        hung = await client.chat()
        events = {"content-type": "text/event-stream"}
        client.endpoints.answers("strong", stream=Pieces(b"data: 1\n\n", asyncio.Event()), headers=events)
        begun = await client.chat(stream=True)
    assert (hung.status, hung.error["code"]) == (504, "deadline_exceeded")
    assert (begun.status, begun.whole) == (200, False)
    assert json.loads(begun.body.rpartition(b"data: ")[2])["error"]["code"] == "deadline_exceeded"
    assert [usage.status for usage in client.usages] == [504, 504]


async def test_a_stream_that_falls_silent_is_cut() -> None:
    async with running(idle_timeout_s=0.02) as client:
        client.endpoints.answers("strong", stream=Pieces(b"{", asyncio.Event()))
        reply = await client.chat()
    assert (reply.body, reply.whole) == (b"{", False)
    assert client.usages[0].status == 504
