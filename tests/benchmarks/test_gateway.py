"""The load generator: what it counts, and a small run of everything it does."""

import asyncio
import json
import time

import pytest

from benchmarks.gateway import LoadPlan, measure_gateway
from benchmarks.gateway_faults import chat_body, verdict
from benchmarks.http_load import HttpClient, HttpReply, closed_loop, open_loop, quantile
from modelsat.errors import DataError
from modelsat.routing.requests import to_instruction
from modelsat.testing import FAULTS, FakeEndpoint


def reply(status: int, body: bytes = b"{}", *, complete: bool = True) -> HttpReply:
    return HttpReply(status=status, headers={}, body=body, complete=complete, seconds=0.1)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (reply(200), "answer"),
        (reply(200, complete=False), "broken off"),
        (reply(502, b'{"error": {"message": "why"}}'), "error"),
        (reply(502, b'{"error": {}}'), "nothing"),
        (reply(502, b"oops"), "nothing"),
        (reply(502, b'{"error": {"message": "why"}}', complete=False), "nothing"),
        (reply(0), "nothing"),
    ],
)
def test_a_reply_is_an_answer_a_proper_error_or_nothing(given: HttpReply, expected: str) -> None:
    assert verdict(given) == expected


def test_some_requests_have_nothing_to_route_on() -> None:
    messages = json.loads(chat_body("auto", "Why?"))["messages"]
    assert to_instruction(messages).text == "Why?"
    with pytest.raises(DataError, match="no user message"):
        to_instruction(json.loads(chat_body("auto", None))["messages"])
    assert json.loads(chat_body("x", None, stream=True))["stream"] is True


def test_an_open_loop_keeps_its_rate_however_long_answers_take() -> None:
    async def send(number: int, due: float) -> float:
        late = time.perf_counter() - due
        await asyncio.sleep(0.2)
        return late

    started = time.perf_counter()
    lateness = asyncio.run(open_loop(send, rate=100, seconds=0.3))
    took = time.perf_counter() - started
    assert len(lateness) == 30
    assert min(lateness) >= 0
    assert took < 30 * 0.2


def test_a_closed_loop_keeps_a_number_under_way() -> None:
    working, most = 0, 0

    async def send(number: int) -> int:
        nonlocal working, most
        working += 1
        most = max(most, working)
        await asyncio.sleep(0)
        working -= 1
        return number

    assert sorted(asyncio.run(closed_loop(send, concurrency=4, requests=10))) == list(range(10))
    assert most == 4


def test_quantiles_are_values_that_were_seen() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile([7.0], 0.99)) == (51.0, 100.0, 7.0)
    assert quantile([], 0.5) != quantile([], 0.5)


@pytest.mark.slow
@pytest.mark.enable_socket
def test_a_small_run_loses_nothing_and_nobody() -> None:
    plan = LoadPlan(parts=("relay", "faults"), rate=20, seconds=2, requests=1000)
    report = measure_gateway(plan)
    measures = {measure.name: measure for measure in report.measures}
    for name in (
        "relayed, not answered",
        "clients without a usable reply",
        "decisions sent and not stored",
        "memory grown after warm-up",
    ):
        assert measures[name].met, measures[name]
    assert measures["relay overhead p50"].value > 0
    assert measures["gateway CPU per relayed request"].value > 0


@pytest.mark.enable_socket
@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_is_what_came_however_it_ended(stream: bool) -> None:
    async def ask(fault: str | None) -> HttpReply:
        async with (
            FakeEndpoint(FAULTS[fault] if fault else "It depends") as endpoint,
            HttpClient(endpoint.url, timeout_s=0.5) as client,
        ):
            return await client.post("/chat/completions", chat_body("x", "Why?", stream=stream))

    fine = asyncio.run(ask(None))
    assert (fine.status, fine.complete) == (200, True)
    assert "It" in fine.body.decode()
    cut = asyncio.run(ask("reset-in-answer"))
    assert (cut.status, verdict(cut)) == (200, "broken off")
    for fault in ("hang", "reset", "garbage"):
        assert verdict(asyncio.run(ask(fault))) == "nothing"
