import asyncio
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.endpoints.client import EndpointClient
from modelsat.errors import DataError, EndpointError
from modelsat.exam.client import ExamClient, NoAnswerError
from modelsat.exam.endpoint import Endpoint, Fault, Reply, RetryPolicy, endpoint_of, read_response
from modelsat.testing import Answer, FakeEndpoint, FakeRequest, Persona
from modelsat.types import Candidate
from tests.exam.conftest import QUICK

JSON = {"content-type": "application/json"}
BODY = {"messages": [{"role": "user", "content": "2 + 2?"}], "max_tokens": 8}
OURS = Endpoint(base_url="http://test/v1/", model="ours", params={"seed": 1})


def ask(persona: Persona | Answer, retries: RetryPolicy = QUICK, *, questions: int = 1) -> list[Reply]:
    """Ask one question, or the same one several times at once, the first a little earlier."""

    async def session() -> list[Reply]:
        async with FakeEndpoint(persona, unix_socket=True) as server, EndpointClient() as connections:
            client = ExamClient(replace(OURS, base_url=server.url), connections, retries=retries)
            first = asyncio.create_task(client.ask(BODY))
            await asyncio.sleep(0.02 if questions > 1 else 0)
            return await asyncio.gather(first, *(client.ask(BODY) for _ in range(questions - 1)))

    return asyncio.run(session())


def test_an_answer_is_read_with_its_counts() -> None:
    (reply,) = ask(Answer("Four", input_tokens=9, output_tokens=2, finish_reason="length"))
    assert replace(reply, latency_s=0) == Reply(text="Four", input_tokens=9, output_tokens=2, cut_short=True)
    (uncounted,) = ask(Answer("Four", usage=False))
    assert (uncounted.input_tokens, uncounted.output_tokens) == (None, None)


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


@pytest.mark.parametrize("questions", [1, 2])
def test_a_busy_endpoint_is_left_alone_by_all_questions_as_long_as_it_asks(questions: int) -> None:
    times: list[float] = []

    def busy_at_first(request: FakeRequest) -> Answer:
        times.append(asyncio.get_running_loop().time())
        return Answer(status=429, headers={"retry-after": "0.2"}) if request.number == 0 else Answer()

    assert ask(busy_at_first, questions=questions)[0].attempts == 2
    assert len(times) == questions + 1
    assert min(times[1:]) - times[0] >= 0.2


def test_many_busy_answers_are_no_failure() -> None:
    retries = RetryPolicy(timeout_s=1, attempts=2, first_wait_s=0.001, longest_wait_s=0.01)
    (reply,) = ask(lambda request: Answer(status=429 if request.number < 20 else 200), retries)
    assert reply.attempts == 21


def test_an_endpoint_that_asks_for_a_long_wait_ends_the_exam() -> None:
    with pytest.raises(EndpointError, match="asks to wait 3,600 s; resume later"):
        ask(Answer(status=429, headers={"retry-after": "3600"}))


def test_a_redirect_is_not_followed() -> None:
    with pytest.raises(EndpointError, match="redirects to http://elsewhere"):
        ask(Answer(status=302, body=b"", headers={"location": "http://elsewhere/v1"}))


def test_attempts_that_may_be_charged_are_counted() -> None:
    with pytest.raises(NoAnswerError, match="did not answer within") as silence:
        ask(Answer(delay_s=60), RetryPolicy(timeout_s=0.05, attempts=2, first_wait_s=0))
    assert silence.value.billed_attempts == 2
    with pytest.raises(NoAnswerError, match="answered 500") as refused:
        ask(Answer(status=500), RetryPolicy(attempts=3, first_wait_s=0))
    assert refused.value.billed_attempts == 0


def test_a_network_error_is_tried_again() -> None:
    (reply,) = ask(lambda request: Answer(pieces=0) if request.number < 2 else Answer())
    assert reply.attempts == 3


def test_an_endpoint_that_cannot_be_reached_charges_nothing() -> None:
    async def once() -> None:
        async with EndpointClient() as connections:
            gone = replace(OURS, base_url="http+unix://%2Fnot%2Fthere/v1")
            await ExamClient(gone, connections, retries=QUICK).ask(BODY)

    with pytest.raises(NoAnswerError, match=r"failed: no connection \(No such file or directory\)") as gone:
        asyncio.run(once())
    assert gone.value.billed_attempts == 0


@given(st.integers(1, 1000))
def test_waits_grow_and_stay_bounded(attempt: int) -> None:
    wait = RetryPolicy().wait_s(attempt, random.Random(attempt))
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
    with pytest.raises(DataError, match="holds no key") as refused:
        endpoint_of(Candidate(**base, api_key_env="OUR_KEY"))  # type: ignore[arg-type]
    assert "sk" not in str(refused.value).replace("ask", "")
    with pytest.raises(DataError, match="has no endpoint"):
        endpoint_of(Candidate(name="ours"))
