"""What the gateway answers itself."""

from typing import Any

import pytest

from modelsat.gateway.errors import GatewayError
from modelsat.gateway.records import Caller, DecisionRecord, FeedbackRecord, Record
from tests.gateway.parts import candidate, chat, running, zoo

pytestmark = pytest.mark.anyio


class Door:
    """Knows two keys; notes what is charged."""

    open = False

    def __init__(self) -> None:
        self.charged: list[tuple[str | None, float]] = []
        self.counted: list[tuple[str | None, int]] = []

    async def admit(self, authorization: str | None, now: float) -> Caller:
        keys = {
            "Bearer all": Caller(key_id="k1"),
            "Bearer weak": Caller(key_id="k2", allowed_candidates=frozenset({"weak"})),
            "Bearer metrics": Caller(key_id="k3", metrics=True),
        }
        if authorization not in keys:
            raise GatewayError("no such key", status=401, code="invalid_api_key")
        return keys[authorization]

    def count(self, caller: Caller, more: int, now: float) -> None:
        self.counted.append((caller.key_id, more))

    def charge(self, caller: Caller, cost: float) -> None:
        self.charged.append((caller.key_id, cost))


ALL, WEAK = {"authorization": "Bearer all"}, {"authorization": "Bearer weak"}
METRICS = {"authorization": "Bearer metrics"}


async def test_models_are_auto_and_whoever_can_be_called() -> None:
    async with running(zoo(candidate("a"), candidate("b", endpoint=None), candidate("c/d"))) as client:
        listed = (await client.get("/v1/models")).json()
        one, none = await client.get("/v1/models/c/d"), await client.get("/v1/models/b")
    assert [model["id"] for model in listed["data"]] == ["auto", "a", "c/d"]
    assert listed["object"] == "list"
    assert one.json() == {"id": "c/d", "object": "model", "created": 0, "owned_by": "modelsat"}
    assert (none.status, none.error["code"]) == (404, "model_not_found")


async def test_a_decision_without_an_answer_says_why() -> None:
    members = zoo(candidate("a"), candidate("b", tags=("eu",)), candidate("c", endpoint=None, tags=("eu",)))
    async with running(members) as client:
        body = {"text": "Is this lawful?", "policy": "cheapest-above=0.5", "tags": ["eu"]}
        decision = (await client.post("/v1/route", body)).json()
        told = await client.post("/v1/feedback", {"decision_id": decision["id"], "score": 1})
    assert not client.endpoints.requests
    assert decision["candidate"] == "b"
    assert [line["candidate"] for line in decision["ranking"]] == ["b", "c"]
    assert decision["ranking"][0]["expected_cost"] > 0
    assert decision["removed"] == {"a": "without tag eu"}
    assert "The only candidate with P(right) of at least 0.5: 0.70." in decision["reasons"]
    assert told.status == 200
    record, feedback = client.journal.records
    assert isinstance(record, DecisionRecord) and isinstance(feedback, FeedbackRecord)
    assert (record.id, feedback.decision_id, feedback.score) == (decision["id"], decision["id"], 1.0)


async def test_a_batch_of_decisions_keeps_its_order() -> None:
    messages = [{"role": "user", "content": "And this?"}]
    requests: list[dict[str, Any]] = [
        {"text": "One"},
        {"messages": messages, "policy": "value=0"},
        {"text": "Three"},
    ]
    async with running(authenticator=(door := Door())) as client:
        reply = await client.post("/v1/route", {"requests": requests}, ALL)
        bad = await client.post("/v1/route", {"requests": [*requests, {"text": " "}]}, ALL)
    # Each of them is a request to the key's rate.
    assert door.counted == [("k1", 2), ("k1", 3)]
    decisions = reply.json()["decisions"]
    assert [decision["candidate"] for decision in decisions] == ["strong", "weak", "strong"]
    assert len({decision["id"] for decision in decisions}) == 3
    assert bad.status == 400
    assert bad.error["message"].startswith("requests[3]: the instruction is empty")


@pytest.mark.parametrize(
    ("path", "body", "fault"),
    [
        ("/v1/route", {}, "either 'text' or 'messages'"),
        ("/v1/route", {"text": "x", "messages": []}, "either 'text' or 'messages'"),
        ("/v1/route", {"messages": [{"role": "system", "content": "x"}]}, "no user message"),
        ("/v1/route", {"text": "x", "policy": "finest"}, "unknown policy"),
        ("/v1/route", {"text": "x", "candidates": ["nobody"]}, "no candidate 'nobody'"),
        ("/v1/route", {"text": "x", "max_token": 1}, "unknown field 'max_token'"),
        ("/v1/route", {"requests": []}, "'requests'"),
        ("/v1/route", [], "must be a JSON object"),
        ("/v1/route", b"{", "not JSON"),
        ("/v1/route", b'{"text": "\xff"}', "not JSON in UTF-8"),
        ("/v1/feedback", {"decision_id": "x", "score": 2}, "'score' is 2"),
        ("/v1/feedback", {"decision_id": "x"}, "'score' is missing"),
        ("/v1/feedback", b'{"decision_id": "x", "score": NaN}', "'score'"),
    ],
)
async def test_what_must_be_mended_is_named(path: str, body: Any, fault: str) -> None:
    async with running() as client:
        reply = await client.post(path, body)
    assert reply.status == 400
    assert fault in reply.error["message"]


async def test_feedback_is_for_decisions_of_the_same_key() -> None:
    async with running(authenticator=Door()) as client:
        id = (await client.chat(headers=ALL)).headers["x-modelsat-decision-id"]
        body = {"decision_id": id, "score": 0.5}
        statuses = [(await client.post("/v1/feedback", body, key)).status for key in (ALL, WEAK, {})]
        unknown = await client.post("/v1/feedback", body | {"decision_id": "dec-0"}, ALL)
    assert statuses == [200, 404, 401]
    assert (unknown.status, unknown.error["code"]) == (404, "decision_not_found")


async def test_a_key_bounds_who_answers_and_pays() -> None:
    async with running(authenticator=(door := Door())) as client:
        nobody = await client.chat()
        routed = await client.chat(headers=WEAK)
        barred = await client.chat(model="strong", headers=WEAK)
        foreign = await client.chat(metadata={"modelsat": {"candidates": ["strong"]}}, headers=WEAK)
        decided = await client.post("/v1/route", {"text": "Is this lawful?"}, WEAK)
        models = (await client.get("/v1/models", WEAK)).json()
        await client.chat(headers=ALL)
    assert (nobody.status, nobody.error["code"]) == (401, "invalid_api_key")
    assert nobody.headers["www-authenticate"] == "Bearer"
    assert routed.headers["x-modelsat-candidate"] == "weak"
    assert (barred.status, barred.error["type"]) == (403, "permission_error")
    assert (foreign.status, foreign.error["code"]) == (400, "no_candidate")
    assert "weak; this API key may use no other" in foreign.error["message"]
    assert "strong" not in foreign.error["message"]
    assert decided.json()["removed"] == {}
    assert [model["id"] for model in models["data"]] == ["auto", "weak"]
    assert door.charged == [("k2", 0.0), ("k1", pytest.approx(81e-6))]
    assert [record.key_id for record in client.decisions] == ["k2", "k2", "k1"]
    assert "authorization" not in client.endpoints.requests[0].headers


async def test_without_keys_only_this_machine_is_answered() -> None:
    async with running() as client:
        hosts = ("localhost:8000", "127.0.0.1", "[::1]:8000", "attacker.example:8000", "")
        statuses = [(await client.chat(headers={"host": host})).status for host in hosts]
    assert statuses == [200, 200, 200, 403, 403]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": ""}, 415),
        ({"content-type": "application/json; charset=utf-8"}, 200),
        ({"content-encoding": "gzip"}, 415),
        ({"content-length": "99999"}, 413),
        ({"content-length": "nonsense"}, 200),
    ],
)
async def test_bodies_are_plain_json_within_a_limit(headers: dict[str, str], status: int) -> None:
    async with running(max_body_bytes=4096) as client:
        assert (await client.chat(headers=headers)).status == status
        assert (await client.chat("x" * 5000)).status == 413


async def test_paths_and_methods_that_are_not_served() -> None:
    async with running() as client:
        lost = await client.get("/v1/embeddings")
        wrong = await client.get("/v1/chat/completions")
    assert (lost.status, lost.error["code"]) == (404, "not_found")
    assert (wrong.status, wrong.error["code"]) == (405, "method_not_allowed")


async def test_what_users_wrote_is_kept_only_where_that_is_wanted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "modelsat.gateway")
    kept = {}
    for log_prompts in (False, True):
        async with running(log_prompts=log_prompts) as client:
            await client.chat("My secret wish")
            await client.post("/v1/route", {"text": "My secret wish"})
            kept[log_prompts] = [record.prompt for record in client.decisions]
    assert kept == {False: [None, None], True: ["My secret wish"] * 2}
    told = [record.modelsat_fields.get("prompt") for record in caplog.records]  # type: ignore[attr-defined]
    assert told == [None, "My secret wish"]


async def test_in_shadow_mode_a_fixed_candidate_answers_and_the_decision_is_kept() -> None:
    async with running(shadow="middle") as client:
        shadowed = await client.chat()
        named = await client.chat(model="weak")
    assert client.endpoints.asked == ["middle", "weak"]
    assert shadowed.headers["x-modelsat-candidate"] == "middle"
    assert shadowed.headers["x-modelsat-shadow"] == "strong"
    assert shadowed.headers["x-modelsat-origin"] == "router"
    assert "x-modelsat-shadow" not in named.headers
    first, second = client.decisions
    assert (first.candidate, first.shadow, second.shadow) == ("strong", True, False)
    assert [usage.candidate for usage in client.usages] == ["middle", "weak"]


async def test_shadow_mode_gives_no_key_what_it_may_not_have() -> None:
    async with running(shadow="middle", authenticator=Door()) as client:
        barred, free = await client.chat(headers=WEAK), await client.chat(headers=ALL)
    assert (barred.status, barred.error["code"], free.status) == (403, "model_not_allowed", 200)
    assert "middle" not in barred.error["message"]
    assert client.endpoints.asked == ["middle"]


async def test_metrics_tell_what_was_done_and_nothing_that_clients_made_up() -> None:
    async with running() as client:
        await client.chat(model="auto:cheapest-above=0.12345")
        await client.chat(model="nonsense-model")
        client.endpoints.answers("strong", 500)
        await client.chat()
        metrics = (await client.get("/metrics")).body.decode()
    for line in (
        'modelsat_decisions_total{candidate="weak",origin="router",policy="cheapest-above"} 1.0',
        'modelsat_decisions_total{candidate="strong",origin="router",policy="best"} 1.0',
        'modelsat_answers_total{candidate="middle",status="200"} 1.0',
        'modelsat_fallbacks_total{candidate="strong"} 1.0',
        'modelsat_requests_total{path="/v1/chat/completions",status="404"} 1.0',
        'modelsat_tokens_total{candidate="middle",direction="output"} 7.0',
        'modelsat_first_byte_ms_count{candidate="middle"} 1.0',
        'modelsat_breaker_state{candidate="strong"} 0.0',
        "modelsat_requests_waiting 0.0",
        "modelsat_route_ms_count 2.0",
    ):
        assert line in metrics
    assert "0.12345" not in metrics
    assert "nonsense" not in metrics


async def test_metrics_are_for_keys_made_for_them_unless_opened() -> None:
    for opened, statuses in ((False, [401, 403, 200]), (True, [200, 200, 200])):
        async with running(authenticator=Door(), open_metrics=opened) as client:
            assert [(await client.get("/metrics", key)).status for key in ({}, ALL, METRICS)] == statuses
            assert (await client.get("/healthz")).status == 200
            chat, models = await client.chat(headers=METRICS), await client.get("/v1/models", METRICS)
        assert (chat.status, models.status, chat.error["code"]) == (403, 403, "key_not_for_this")


class FullJournal:
    """Takes nothing, and knows everything."""

    backlog = 20_000
    dropped = 3

    def record(self, record: Record) -> bool:
        return False

    async def known_decision(self, decision_id: str, key_id: str | None) -> bool:
        return True

    async def close(self) -> None:
        pass


async def test_an_answer_does_not_wait_for_a_journal_that_is_full() -> None:
    async with running() as client:
        client.gateway.journal = FullJournal()
        reply = await client.chat()
        feedback = await client.post("/v1/feedback", {"decision_id": "dec-1", "score": 1})
        metrics = (await client.get("/metrics")).body.decode()
    assert reply.status == 200
    assert (feedback.status, feedback.error["code"]) == (503, "journal_busy")
    for kind in ("decision", "usage", "feedback"):
        assert f'modelsat_records_dropped_total{{kind="{kind}"}} 1.0' in metrics


async def test_a_fault_of_the_gateway_is_a_plain_500(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as client:
        client.gateway.relay = None  # type: ignore[assignment]
        reply = await client.post("/v1/chat/completions", chat("My secret wish"))
    assert (reply.status, reply.error["code"], reply.error["type"]) == (500, "gateway_fault", "server_error")
    assert any(record.exc_info for record in caplog.records)
    assert "My secret wish" not in caplog.text
    assert [usage.status for usage in client.usages] == [500]
