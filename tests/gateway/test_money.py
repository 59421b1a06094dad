"""What a key is charged: a budget must hold for those who leave early, compress, or are sent elsewhere."""

import asyncio
import json
from typing import Any

import pytest

from modelsat.endpoints.client import TransportError
from modelsat.gateway import asgi
from modelsat.gateway.errors import GatewayError
from modelsat.gateway.records import Caller
from tests.gateway.parts import Client, Pieces, Reply, answer_body, candidate, chat, running, zoo

pytestmark = pytest.mark.anyio
TEXT = "word " * 400


class CountingDoor:
    """Lets everyone in under one key, and remembers what it is charged."""

    open = False

    def __init__(self, caller: Caller | None = None, *, priced_only: bool = False) -> None:
        self.caller = caller or Caller(key_id="k", priced_only=priced_only)
        self.charged: list[float] = []

    async def admit(self, authorization: str | None, now: float) -> Caller:
        return self.caller

    def count(self, caller: Caller, more: int, now: float) -> None:
        """Any number may come."""

    def charge(self, caller: Caller, cost: float) -> None:
        self.charged.append(cost)


def event(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"


async def leave_after(client: Client, seen: int, **fields: Any) -> Reply:
    """Ask, and leave when so many pieces came."""
    leave, reply = asyncio.Event(), Reply()
    body = json.dumps(chat(**fields)).encode()
    headers, before = {"content-type": "application/json"}, len(client.endpoints.requests)
    request = asyncio.ensure_future(
        client.request("POST", "/v1/chat/completions", body, headers, leave=leave, reply=reply)
    )
    while len(reply.pieces) < seen or len(client.endpoints.requests) == before:
        await asyncio.sleep(0.001)
    leave.set()
    await request
    return reply


async def test_who_leaves_in_the_middle_of_a_stream_pays_for_what_came() -> None:
    door = CountingDoor()
    async with running(authenticator=door) as client:
        stream = Pieces(event(TEXT), asyncio.Event())
        client.endpoints.answers("strong", headers={"content-type": "text/event-stream"}, stream=stream)
        await leave_after(client, 1, stream=True)
    (usage,) = client.usages
    assert usage.status == 499
    assert usage.cost == pytest.approx(len(TEXT) / 4 * 10 / 1e6, rel=0.05)
    assert door.charged == [usage.cost]


async def test_who_leaves_before_the_answer_pays_what_it_was_expected_to_cost() -> None:
    door = CountingDoor()
    async with running(authenticator=door) as client:
        client.endpoints.hangs("strong")
        await leave_after(client, 0)
        await leave_after(client, 0, max_tokens=10)
    full, short = client.usages
    # A card's answers have 100 tokens, at 10 per million.
    assert full.cost == pytest.approx(100 * 10 / 1e6, rel=0.05)
    assert short.cost == pytest.approx(10 * 10 / 1e6, rel=0.2)
    assert door.charged == [full.cost, short.cost]


async def test_an_answer_that_breaks_off_is_paid_for_and_a_refused_request_is_not() -> None:
    async with running(authenticator=CountingDoor()) as client:
        stream = Pieces(event(TEXT), TransportError("connection lost"))
        client.endpoints.answers("strong", headers={"content-type": "text/event-stream"}, stream=stream)
        await client.chat(stream=True)
        client.endpoints.answers("strong", 400, json={"error": {"message": "no"}})
        await client.chat()
    broken, refused = client.usages
    assert (broken.status, refused.status) == (502, 400)
    assert broken.cost == pytest.approx(len(TEXT) / 4 * 10 / 1e6, rel=0.05)
    assert refused.cost is None


@pytest.mark.parametrize(
    ("accepted", "asked"),
    [
        ("gzip, deflate, br, zstd", "gzip, deflate"),
        ("br;q=1.0, gzip;q=0.5", "gzip;q=0.5"),
        ("br", "identity"),
        ("*", "identity"),
    ],
)
async def test_answers_come_in_codings_that_can_be_counted(accepted: str, asked: str) -> None:
    async with running() as client:
        await client.chat(headers={"accept-encoding": accepted})
    assert client.endpoints.requests[0].headers["accept-encoding"] == asked


@pytest.mark.parametrize("model", ["auto", "strong"])
async def test_no_answer_leads_a_client_past_the_gateway(model: str) -> None:
    async with running() as client:
        client.endpoints.answers("strong", 307, headers={"location": "http://elsewhere.example/"})
        reply = await client.chat(model=model)
    assert "location" not in reply.headers
    assert client.endpoints.asked == (["strong", "middle"] if model == "auto" else ["strong"])
    assert reply.status == (200 if model == "auto" else 502)


async def test_a_body_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "BODY_TIMEOUT_S", 0.01)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.004)
        return {"type": "http.request", "body": b" ", "more_body": True}

    with pytest.raises(GatewayError) as caught:
        await asgi.receive_json({"headers": [(b"content-type", b"application/json")]}, receive, limit=10**6)
    assert (caught.value.status, caught.value.code) == (408, "request_timeout")


@pytest.mark.parametrize("count", [10**30, 10**4000, -1, 1.5, True, "7"])
async def test_a_count_that_is_none_is_replaced_by_an_estimate(count: Any) -> None:
    door = CountingDoor()
    said = {**answer_body(TEXT), "usage": {"prompt_tokens": count, "completion_tokens": count}}
    async with running(authenticator=door) as client:
        client.endpoints.answers("strong", json=said)
        await client.chat()
    (usage,) = client.usages
    assert (usage.input_tokens, usage.output_tokens) == (None, None)
    assert door.charged == [pytest.approx(len(TEXT) / 4 * 10 / 1e6, rel=0.05)]


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_cannot_be_read_is_charged_by_its_length(stream: bool) -> None:
    door = CountingDoor()
    kind = "text/event-stream" if stream else "application/json"
    async with running(authenticator=door) as client:
        client.endpoints.answers(
            "strong", headers={"content-type": kind, "content-encoding": "br"}, stream=Pieces(b"x" * 4_000)
        )
        await client.chat(stream=stream)
    assert door.charged == [pytest.approx(1_000 * 10 / 1e6, rel=0.05)]


async def test_a_key_with_a_budget_asks_only_candidates_with_prices() -> None:
    members = zoo(candidate("strong", output_price=None), candidate("middle"), candidate("weak"))
    async with running(members, authenticator=CountingDoor(priced_only=True)) as client:
        assert (await client.chat()).headers["x-modelsat-candidate"] == "middle"
        named = await client.chat(model="strong")
        route = await client.post("/v1/route", {"text": "Is this lawful?"})
    assert (named.status, named.error["code"]) == (400, "no_candidate")
    assert "which a key with a budget needs" in named.error["message"]
    assert route.json()["candidate"] == "middle"
    assert client.endpoints.asked == ["middle"]


@pytest.mark.parametrize(
    ("caller", "status"),
    [
        (Caller(key_id="k", allowed_candidates=frozenset({"strong", "weak"})), 403),
        (Caller(key_id="k", allowed_candidates=frozenset({"middle", "weak"})), 200),
    ],
)
async def test_shadow_mode_gives_a_key_nothing_that_it_may_not_have(caller: Caller, status: int) -> None:
    async with running(shadow="middle", authenticator=CountingDoor(caller)) as client:
        reply = await client.chat()
    assert reply.status == status
    assert len(client.decisions) == len(client.endpoints.requests) == (status == 200)


async def test_shadow_mode_keeps_required_tags() -> None:
    members = zoo(candidate("strong", tags=("eu-only",)), candidate("middle"))
    async with running(members, shadow="middle", require_tags=("eu-only",)) as client:
        reply = await client.chat()
    assert (reply.status, client.endpoints.asked) == (400, [])


async def test_an_answer_is_charged_as_the_endpoint_counted() -> None:
    door = CountingDoor()
    async with running(authenticator=door) as client:
        client.endpoints.answers("strong", json=answer_body(TEXT))
        await client.chat()
    assert door.charged == [pytest.approx((11 * 1 + 7 * 10) / 1e6)]
