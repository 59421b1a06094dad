import asyncio
import json
import random
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.errors import DataError, EndpointError
from modelsat.exam.client import Client, NoAnswerError, Patience
from modelsat.exam.endpoint import Endpoint, Fault, Reply, endpoint_of, read_response, retry_after
from modelsat.types import Candidate
from tests.exam.conftest import QUICK
from tests.exam.endpoints import Behaviour, InProcess, Response, answer, completion

JSON = {"content-type": "application/json"}
BODY = {"messages": [{"role": "user", "content": "2 + 2?"}], "max_tokens": 8}
OURS = Endpoint(base_url="http://test/v1/", model="ours", params={"seed": 1})


def ask(behaviour: Behaviour, patience: Patience = QUICK) -> Reply:
    async def once() -> Reply:
        async with Client(OURS, patience=patience, transport=InProcess(behaviour)) as client:
            return await client.ask(BODY)

    return asyncio.run(once())


def test_an_answer_is_read_with_its_counts() -> None:
    reply = read_response(200, JSON, completion("Four", input_tokens=9, output_tokens=2, finish="length"))
    assert reply == Reply(text="Four", input_tokens=9, output_tokens=2, cut_short=True)


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"message": {"content": None}}, ""),
        ({"message": {"content": None, "refusal": "I won't."}}, "I won't."),
        ({"message": {"content": [{"type": "text", "text": "4"}, {"type": "x"}, "y"]}}, "4"),
        ({"text": " 4"}, " 4"),
    ],
)
def test_answers_come_in_several_shapes(choice: dict[str, object], text: str) -> None:
    reply = read_response(200, {}, json.dumps({"choices": [choice]}).encode())
    assert isinstance(reply, Reply) and reply.text == text


@given(st.binary(max_size=200), st.integers(100, 599))
def test_no_bytes_break_the_reading(body: bytes, status: int) -> None:
    assert isinstance(read_response(status, {}, body), Reply | Fault)


Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["choices", "message", "content", "text", "usage", "error"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(Json, st.sampled_from([200, 400, 500]))
def test_no_json_breaks_the_reading(value: object, status: int) -> None:
    assert isinstance(read_response(status, JSON, json.dumps(value).encode()), Reply | Fault)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        (" 0.5 ", 0.5),
        ("Sat, 31 Jan 2026 12:00:30 GMT", 30.0),
        ("Sat, 31 Jan 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        ("nan", None),
        ("9" * 40, None),
    ],
)
def test_retry_after_holds_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, datetime(2026, 1, 31, 12, tzinfo=UTC)) == seconds


def test_a_busy_endpoint_is_left_alone_as_long_as_it_asks() -> None:
    times: list[float] = []

    def busy_at_first(number: int, body: object) -> Response:
        times.append(asyncio.get_running_loop().time())
        return Response(status=429, headers={"retry-after": "0.2"}) if number == 0 else answer("4")

    assert ask(busy_at_first).attempts == 2
    assert times[1] - times[0] >= 0.2


def test_one_busy_answer_holds_the_other_questions_back_too() -> None:
    times: list[float] = []

    def busy_at_first(number: int, body: object) -> Response:
        times.append(asyncio.get_running_loop().time())
        return Response(status=429, headers={"retry-after": "0.2"}) if number == 0 else answer("4")

    async def both() -> None:
        async with Client(OURS, patience=QUICK, transport=InProcess(busy_at_first)) as client:
            first = asyncio.create_task(client.ask(BODY))
            await asyncio.sleep(0.02)
            await asyncio.gather(first, client.ask(BODY))

    asyncio.run(both())
    assert len(times) == 3
    assert min(times[1:]) - times[0] >= 0.2


def test_many_busy_answers_are_no_failure() -> None:
    patience = Patience(timeout_s=1, attempts=2, first_wait_s=0.001, longest_wait_s=0.01)
    busy = Response(status=429)
    assert ask(lambda number, body: busy if number < 20 else answer("4"), patience).attempts == 21


def test_an_endpoint_that_wants_to_be_left_alone_for_long_ends_the_exam() -> None:
    with pytest.raises(EndpointError, match="asks to wait 3,600 s; go on later"):
        ask(lambda number, body: Response(status=429, headers={"retry-after": "3600"}))


def test_a_redirect_is_not_followed() -> None:
    with pytest.raises(EndpointError, match="it points to http://elsewhere"):
        ask(lambda number, body: Response(status=302, headers={"location": "http://elsewhere/v1"}))


def test_attempts_that_may_be_charged_are_counted() -> None:
    with pytest.raises(NoAnswerError, match="did not answer within") as silence:
        ask(lambda number, body: Response(delay_s=60), Patience(timeout_s=0.05, attempts=2, first_wait_s=0))
    assert silence.value.billed_attempts == 2
    with pytest.raises(NoAnswerError, match="answered 500") as refused:
        ask(lambda number, body: Response(status=500), Patience(attempts=3, first_wait_s=0))
    assert refused.value.billed_attempts == 0


def test_a_network_error_is_tried_again() -> None:
    class Unplugged(httpx.AsyncBaseTransport):
        calls = 0

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            self.calls += 1
            if self.calls < 3:
                raise httpx.ConnectError("no route to host")
            return httpx.Response(200, content=completion("4"))

    async def once() -> Reply:
        async with Client(OURS, patience=QUICK, transport=Unplugged()) as client:
            return await client.ask(BODY)

    assert asyncio.run(once()).attempts == 3


@given(st.integers(1, 1000))
def test_waits_grow_and_stay_bounded(attempt: int) -> None:
    patience = Patience()
    wait = patience.wait_s(attempt, random.Random(attempt))
    assert 0.5 * min(60.0, 0.5 * 2.0 ** min(attempt - 1, 30)) <= wait <= 60.0


def test_the_request_names_the_model_and_takes_further_fields() -> None:
    assert OURS.url == "http://test/v1/chat/completions"
    assert json.loads(OURS.request({"max_tokens": None})) == {"model": "ours", "stream": False, "seed": 1}
    whole = Endpoint(base_url="https://x/v1/completions", model="m", api="completions")
    assert whole.url == "https://x/v1/completions"


def test_keys_come_from_where_the_candidate_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text("sk-file\n")
    monkeypatch.setenv("OUR_KEY", "sk-env")
    base = {"name": "ours", "endpoint": "http://test/v1"}
    assert endpoint_of(Candidate(**base, api_key_file=str(file))).api_key == "sk-file"  # type: ignore[arg-type]
    found = endpoint_of(Candidate(**base, api_key_env="OUR_KEY"))  # type: ignore[arg-type]
    assert found.api_key == "sk-env"
    assert "sk-env" not in repr(found)
    monkeypatch.setenv("OUR_KEY", "sk\nenv: x")
    with pytest.raises(DataError, match="spaces or unusual characters") as refused:
        endpoint_of(Candidate(**base, api_key_env="OUR_KEY"))  # type: ignore[arg-type]
    assert "sk" not in str(refused.value).replace("ask", "")
    with pytest.raises(DataError, match="has no endpoint"):
        endpoint_of(Candidate(name="ours"))
