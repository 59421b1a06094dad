"""A request's way through the gateway and back."""

import asyncio
import json

import pytest

from modelsat.endpoints.client import TransportError
from modelsat.gateway.conversations import read_turn
from tests.gateway.parts import Pieces, Reply, answer_body, chat, running

pytestmark = pytest.mark.anyio


async def test_auto_goes_to_the_best_candidate_and_says_so() -> None:
    async with running() as client:
        reply = await client.chat()
    assert reply.status == 200
    assert reply.json() == answer_body()
    assert client.endpoints.asked == ["strong"]
    assert reply.headers["x-modelsat-candidate"] == "strong"
    assert reply.headers["x-modelsat-policy"] == "best"
    assert float(reply.headers["x-modelsat-score"]) == pytest.approx(0.9)
    assert float(reply.headers["x-modelsat-route-ms"]) > 0
    (decision,), (usage,) = client.decisions, client.usages
    assert reply.headers["x-modelsat-decision-id"] == decision.id == usage.decision_id
    assert [ranked.candidate for ranked in decision.ranking] == ["strong", "middle", "weak"]
    assert (usage.status, usage.input_tokens, usage.output_tokens, usage.fallbacks) == (200, 11, 7, 0)
    assert usage.cost == pytest.approx((11 * 1 + 7 * 10) / 1e6)


@pytest.mark.parametrize(
    ("model", "candidate", "policy"),
    [
        ("auto:best", "strong", "best"),
        ("auto:cheapest-above=0.6", "middle", "cheapest-above=0.6"),
        ("auto:value=0", "weak", "value=0.0"),
        ("middle", "middle", "named"),
    ],
)
async def test_the_model_name_says_who_answers(model: str, candidate: str, policy: str) -> None:
    async with running() as client:
        reply = await client.chat(model=model)
    assert (reply.headers["x-modelsat-candidate"], reply.headers["x-modelsat-policy"]) == (candidate, policy)
    assert reply.headers["x-modelsat-origin"] == ("named" if policy == "named" else "router")
    assert client.endpoints.asked == [candidate]


async def test_only_model_name_and_credentials_change_on_the_way() -> None:
    raw = (
        b'{ "model" : "auto",\n "messages":[{"role":"user","content":"caf\\u00e9 \xc3\xa9"}], "temperature":1.0e0,'
        b'"tools":[{"type":"function","function":{"name":"f"}}],"unknown_field":{"n":12345678901234567890} }'
    )
    sent = {
        "authorization": "Bearer client-key",
        "x-request-source": "test",
        "accept-encoding": "gzip, br",
        "cookie": "session=1",
        "x-forwarded-for": "10.0.0.1",
        "connection": "x-hop",
        "x-hop": "1",
    }
    async with running() as client:
        await client.post("/v1/chat/completions", raw, sent)
    (request,) = client.endpoints.requests
    assert request.content == raw.replace(b'"auto"', b'"strong-8b"')
    assert request.url == "http://strong.example/v1/chat/completions"
    assert dict(request.headers) == {
        "content-type": "application/json",
        "x-request-source": "test",
        "accept-encoding": "gzip",
    }


async def test_an_answer_comes_back_byte_for_byte() -> None:
    body = b'{"choices" : [],\n"usage":{"prompt_tokens":1,"completion_tokens":2}}  '
    headers = {"Content-Type": "application/json", "X-Request-Id": "r1", "Set-Cookie": "a=b", "Date": "x"}
    async with running() as client:
        client.endpoints.answers("strong", 201, stream=Pieces(body[:9], body[9:]), headers=headers)
        reply = await client.chat()
    assert (reply.status, reply.body, reply.whole) == (201, body, True)
    assert reply.headers["x-request-id"] == "r1"
    assert not {"set-cookie", "date"} & set(reply.headers)
    assert client.usages[0].output_tokens == 2


async def test_events_are_relayed_as_they_arrive() -> None:
    first, second = b'data: {"choices":[{"delta":{"content":"Ye"}}]}\n\n', b"data: [DONE]\n\n"
    more = asyncio.Event()
    async with running() as client:
        stream = Pieces(first, more, second)
        client.endpoints.answers("strong", stream=stream, headers={"content-type": "text/event-stream"})
        reply = Reply()
        body = json.dumps(chat(stream=True)).encode()
        headers = {"content-type": "application/json"}
        task = asyncio.create_task(client.request("POST", "/v1/chat/completions", body, headers, reply=reply))
        while not reply.pieces:
            await asyncio.sleep(0)
        assert (reply.body, reply.whole) == (first, False)
        more.set()
        await task
    assert (reply.body, reply.whole) == (first + second, True)
    (usage,) = client.usages
    assert usage.output_tokens is None
    assert usage.cost is not None


@pytest.mark.parametrize("begun", [False, True])
async def test_a_client_that_leaves_cancels_the_upstream_call(begun: bool) -> None:
    never, leave, reply = asyncio.Event(), asyncio.Event(), Reply()
    stream = Pieces(b"data: 1\n\n", never) if begun else Pieces(never)
    async with running() as client:
        client.endpoints.answers("strong", stream=stream, headers={"content-type": "text/event-stream"})
        body, headers = json.dumps(chat(stream=True)).encode(), {"content-type": "application/json"}
        task = asyncio.create_task(
            client.request("POST", "/v1/chat/completions", body, headers, leave=leave, reply=reply)
        )
        while not (reply.pieces if begun else client.endpoints.requests):
            await asyncio.sleep(0)
        leave.set()
        await task
        assert stream.closed.is_set()
        assert client.gateway.admission.working == 0
    assert not reply.whole
    assert [usage.status for usage in client.usages] == [499]


async def test_a_client_that_leaves_after_the_last_event_was_answered() -> None:
    never, leave, reply = asyncio.Event(), asyncio.Event(), Reply()
    stream = Pieces(b"data: {}\n\ndata: [DONE]\n\n", never)
    async with running() as client:
        client.endpoints.answers("strong", stream=stream, headers={"content-type": "text/event-stream"})
        body, headers = json.dumps(chat(stream=True)).encode(), {"content-type": "application/json"}
        task = asyncio.create_task(
            client.request("POST", "/v1/chat/completions", body, headers, leave=leave, reply=reply)
        )
        while not reply.pieces:
            await asyncio.sleep(0)
        leave.set()
        await task
        assert stream.closed.is_set()
        following = [*chat()["messages"], {"role": "assistant"}, {"role": "user", "content": "And then?"}]
        turn = read_turn(following, "None ", key=client.gateway.conversation_key)
        assert client.gateway.conversations.answered_by(turn) == "strong"
    assert [usage.status for usage in client.usages] == [200]


async def test_completions_are_routed_on_their_prompt() -> None:
    async with running() as client:
        reply = await client.post("/v1/completions", {"model": "auto:value=0", "prompt": ["One", "Two"]})
        tokens = await client.post("/v1/completions", {"model": "auto", "prompt": [1, 2, 3]})
    assert reply.headers["x-modelsat-candidate"] == "weak"
    assert client.endpoints.requests[0].url == "http://weak.example/v1/completions"
    # Nothing to read: the best single candidate answers, and no score is claimed.
    assert tokens.headers["x-modelsat-candidate"] == "strong"
    assert "x-modelsat-score" not in tokens.headers
    assert tokens.headers["x-modelsat-origin"] == "level"
    assert client.decisions[1].origin == "level"


async def test_a_client_error_of_the_upstream_is_passed_on() -> None:
    async with running() as client:
        client.endpoints.answers("strong", 400, json={"error": {"message": "bad temperature"}})
        reply = await client.chat()
    assert (reply.status, reply.error["message"]) == (400, "bad temperature")
    assert client.endpoints.asked == ["strong"]
    assert (client.usages[0].status, client.usages[0].cost) == (400, None)


async def test_an_answer_that_breaks_off_is_cut_and_says_why() -> None:
    error = TransportError("no proper HTTP answer")
    async with running() as client:
        events = {"content-type": "text/event-stream"}
        client.endpoints.answers("strong", stream=Pieces(b'data: {"a"', error), headers=events)
        streamed = await client.chat(stream=True)
        client.endpoints.answers("strong", stream=Pieces(b'{"a"', error))
        plain = await client.chat()
    assert not streamed.whole
    begin, event = streamed.body.split(b"\n\ndata: ", 1)
    assert begin == b'data: {"a"'
    assert json.loads(event)["error"]["code"] == "answer_broken_off"
    assert (plain.status, plain.body, plain.whole) == (200, b'{"a"', False)
    assert client.endpoints.asked == ["strong", "strong"]
    assert [usage.status for usage in client.usages] == [502, 502]
