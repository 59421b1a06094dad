"""The gateway on real sockets: the official client, misbehaving endpoints, and the bytes on the wire."""

import asyncio
import json
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import openai
import pytest

from modelsat.gateway.records import DecisionRecord, UsageRecord
from modelsat.testing import FAULTS, Answer, FakeEndpoint, completion
from tests.gateway.live import Live, context, request, served
from tests.gateway.parts import chat

pytestmark = [pytest.mark.slow, pytest.mark.enable_socket]

WORDS = Answer().words
ANSWER = "".join(WORDS)
MESSAGES = [{"role": "user", "content": "Is this lawful?"}]
TOOLS = [
    {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
]


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    with served() as running:
        yield running


def client(live: Live) -> Any:
    """The official client; its own types are not what is tested here."""
    return openai.OpenAI(base_url=live.url, api_key="client-key", max_retries=0)


def test_the_official_client_notices_nothing(live: Live) -> None:
    with client(live) as sdk:
        answer = sdk.chat.completions.create(model="auto", messages=MESSAGES, seed=7, n=1)
        assert (answer.choices[0].message.content, answer.model) == (ANSWER, "strong")
        assert answer.usage.completion_tokens == len(WORDS)
        raw = sdk.chat.completions.with_raw_response.create(model="auto:value=0", messages=MESSAGES)
        assert raw.headers["x-modelsat-candidate"] == "strong"
        assert raw.headers["x-modelsat-decision-id"].startswith("dec-")
        legacy = sdk.completions.create(model="weak", prompt="Once upon a time")
        assert legacy.choices[0].text == ANSWER
        assert [model.id for model in sdk.models.list()] == ["auto", "strong", "middle", "weak"]
        assert sdk.models.retrieve("middle").id == "middle"
    assert live.endpoints["strong"].requests[-1].headers.get("authorization") is None


def test_the_official_client_streams(live: Live) -> None:
    with client(live) as sdk:
        options = {"include_usage": True}
        events = list(
            sdk.chat.completions.create(model="auto", messages=MESSAGES, stream=True, stream_options=options)
        )
        legacy = list(sdk.completions.create(model="auto", prompt="Once", stream=True))
    texts = [event.choices[0].delta.content for event in events if event.choices]
    assert [text for text in texts if text] == list(WORDS)
    assert events[-1].usage is not None
    assert events[-1].usage.completion_tokens == len(WORDS)
    assert "".join(event.choices[0].text for event in legacy) == ANSWER


def test_the_official_client_calls_tools(live: Live) -> None:
    with client(live) as sdk:
        answer = sdk.chat.completions.create(model="auto", messages=MESSAGES, tools=TOOLS, tool_choice="auto")
        call = answer.choices[0].message.tool_calls[0]
        assert call.function.name == "look_up"
        turns = [
            *MESSAGES,
            answer.choices[0].message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.id, "content": "42"},
        ]
        again = sdk.chat.completions.create(model="auto", messages=turns)
    assert again.choices[0].message.content == ANSWER
    sent = json.loads(live.endpoints["strong"].requests[-1].body)
    assert sent["messages"][2] == turns[2]


def test_the_official_async_client_many_at_once(live: Live) -> None:
    async def ask_all() -> list[Any]:
        sdk: Any = openai.AsyncOpenAI(base_url=live.url, api_key="k", max_retries=0)
        async with sdk:

            async def ask(stream: bool) -> Any:
                if not stream:
                    answer = await sdk.chat.completions.create(model="auto", messages=MESSAGES)
                    return answer.choices[0].message.content
                events = await sdk.chat.completions.create(model="auto", messages=MESSAGES, stream=True)
                return "".join([event.choices[0].delta.content or "" async for event in events])

            return await asyncio.gather(*(ask(number % 2 == 0) for number in range(40)))

    assert asyncio.run(ask_all()) == [ANSWER] * 40


def test_the_official_client_understands_errors(live: Live) -> None:
    with client(live) as sdk:
        with pytest.raises(openai.NotFoundError, match="There is no model 'gpt-9'"):
            sdk.chat.completions.create(model="gpt-9", messages=MESSAGES)
        with pytest.raises(openai.BadRequestError, match="No candidate can take this request") as refused:
            sdk.chat.completions.create(
                model="auto",
                messages=[
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}
                ],
            )
        assert refused.value.code == "no_candidate"
        told = sdk.post("/route", body={"text": "Is this lawful?"}, cast_to=dict)
        assert told["candidate"] == "strong"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["hang", "reset", "garbage", "429", "500"])
def test_a_misbehaving_endpoint_is_passed_over(fault: str, stream: bool) -> None:
    endpoint = FakeEndpoint(replace(FAULTS[fault], headers={"retry-after": "1"}))
    with served({"strong": endpoint}, first_byte_timeout_s=0.3) as live, client(live) as sdk:
        if stream:
            events = sdk.chat.completions.create(model="auto", messages=MESSAGES, stream=True)
            text = "".join(event.choices[0].delta.content or "" for event in events)
        else:
            text = sdk.chat.completions.create(model="auto", messages=MESSAGES).choices[0].message.content
    assert text == ANSWER
    assert (endpoint.asked, live.endpoints["middle"].asked) == (1, 1)
    (usage,) = [record for record in live.journal.records if isinstance(record, UsageRecord)]
    assert (usage.candidate, usage.fallbacks) == ("middle", 1)


@pytest.mark.parametrize("fault", ["drip", "malformed", "gzip"])
@pytest.mark.parametrize("stream", [False, True])
def test_odd_answers_are_relayed_as_they_are(fault: str, stream: bool) -> None:
    endpoint = FakeEndpoint(FAULTS[fault])
    body = json.dumps(chat(model="strong", stream=stream)).encode()
    with served({"strong": endpoint}) as live:
        relayed = context(live.url, request(body, "accept-encoding: gzip"))
        direct = context(_endpoint(live), request(body, "accept-encoding: gzip"))
    assert _body(relayed) == _body(direct)
    assert (b"content-encoding: gzip" in relayed) == (fault == "gzip")


def test_gzip_is_counted_and_read_by_the_official_client() -> None:
    endpoint = FakeEndpoint(FAULTS["gzip"])
    with served({"strong": endpoint}) as live, client(live) as sdk:
        answer = sdk.chat.completions.create(model="auto", messages=MESSAGES)
        events = sdk.chat.completions.create(model="auto", messages=MESSAGES, stream=True)
        assert "".join(event.choices[0].delta.content or "" for event in events) == ANSWER
    assert answer.choices[0].message.content == ANSWER
    first = next(record for record in live.journal.records if isinstance(record, UsageRecord))
    assert first.output_tokens == len(WORDS)


def test_a_stream_that_is_reset_raises_in_the_official_client() -> None:
    endpoint = FakeEndpoint(FAULTS["reset-in-answer"])
    with served({"strong": endpoint}) as live, client(live) as sdk:
        events = sdk.chat.completions.create(model="auto", messages=MESSAGES, stream=True)
        seen = []
        with pytest.raises(openai.APIError, match="broke off"):
            for event in events:
                seen.append(event.choices[0].delta.content)
        assert seen == list(WORDS[:2])
        with pytest.raises(openai.APIConnectionError):
            sdk.chat.completions.create(model="auto", messages=MESSAGES)
    assert live.endpoints["middle"].asked == 0


def test_events_arrive_one_by_one() -> None:
    endpoint = FakeEndpoint(Answer(event_s=0.15))
    with served({"strong": endpoint}) as live, client(live) as sdk:
        events = sdk.chat.completions.create(model="auto", messages=MESSAGES, stream=True)
        times = [time.monotonic() for event in events if event.choices[0].delta.content]
    assert len(times) == len(WORDS)
    assert times[-1] - times[0] > 0.1 * len(WORDS)


def test_a_client_that_leaves_cancels_the_call_upstream() -> None:
    endpoint = FakeEndpoint(Answer(100 * f"{ANSWER} ", event_s=0.05))
    with served({"strong": endpoint}) as live:
        with client(live) as sdk:
            events = sdk.chat.completions.create(model="auto", messages=MESSAGES, stream=True)
            next(iter(events))
            events.close()
        until = time.monotonic() + 5
        while endpoint.disconnects == 0 and time.monotonic() < until:
            time.sleep(0.02)
    assert endpoint.disconnects == 1
    (usage,) = [record for record in live.journal.records if isinstance(record, UsageRecord)]
    assert usage.status == 499


def test_a_running_answer_ends_before_the_server_does() -> None:
    endpoint = FakeEndpoint(Answer(event_s=0.1))
    with served({"strong": endpoint}) as live:
        sdk = client(live)
        events = iter(sdk.chat.completions.create(model="auto", messages=MESSAGES, stream=True))
        first = next(events)
    # The server was told to stop, and has stopped: the rest of the answer is there.
    rest = "".join(event.choices[0].delta.content or "" for event in events)
    assert (first.choices[0].delta.content or "") + rest == ANSWER
    sdk.close()


def test_bytes_on_the_wire_are_the_endpoints_own(live: Live) -> None:
    body = b'{"model":\t"auto", "messages":[{"role":"user","content":"\\u00e9"}],\n "seed":1e0}'
    relayed = context(live.url, request(body))
    sent = live.endpoints["strong"].requests[-1]
    assert sent.body == body.replace(b'"auto"', b'"strong"')
    assert _body(relayed) == json.dumps(completion(sent)).encode()


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (request(b"{}", "x-large: " + "x" * 40_000), b"400"),
        (request(b"{}", "transfer-encoding: chunked"), b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (request(b"{}").replace(b"content-length: 2", b"content-length: 999999999"), b"413"),
    ],
)
def test_odd_requests_are_refused(live: Live, raw: bytes, status: bytes) -> None:
    assert context(live.url, raw).split(b" ", 2)[1] == status


def test_decisions_and_answers_match_one_to_one(live: Live) -> None:
    decisions = [record.id for record in live.journal.records if isinstance(record, DecisionRecord)]
    usages = [record.decision_id for record in live.journal.records if isinstance(record, UsageRecord)]
    # A decision that was asked for by itself has no answer.
    assert len(decisions) > 40
    assert set(usages) <= set(decisions)
    assert len(usages) == len(set(usages)) == len(decisions) - 1


def _endpoint(live: Live) -> str:
    url = live.gateway.state.zoo["strong"].endpoint
    assert url is not None
    return url


def _body(answer: bytes) -> bytes:
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        pieces = []
        while body:
            size, _, body = body.partition(b"\r\n")
            pieces.append(body[: int(size, 16)])
            body = body[int(size, 16) + 2 :]
        body = b"".join(pieces)
    if b"content-encoding: gzip" not in head.lower():
        return body
    # When it was compressed is part of it.
    return zlib.decompressobj(wbits=31).decompress(body)
