"""Keys of endpoints: where they come from, and that they are shown to nobody else."""

import asyncio
import base64
import gzip
import json
import logging
from pathlib import Path

import pytest

from modelsat.endpoints.client import TransportError
from modelsat.gateway.logs import JsonFormatter
from modelsat.gateway.telemetry import Telemetry
from tests.gateway.parts import Asked, Pieces, Reply, Response, candidate, running, zoo

KEY, FILE_KEY, CLIENT_KEY = "sk-endpoint-7f3a91", "sk-file-55d0c2", "msat-client-0b1e44"
SECRETS = (KEY, FILE_KEY, CLIENT_KEY)


@pytest.mark.anyio
async def test_an_endpoint_is_sent_its_own_key_and_no_other() -> None:
    members = zoo(candidate("a", api_key_env="A_KEY"), candidate("b"))
    async with running(members, environment={"A_KEY": KEY}) as client:
        for name in "ab":
            headers = {
                "authorization": f"Bearer {CLIENT_KEY}",
                "x-api-key": CLIENT_KEY,
                "api-key": CLIENT_KEY,
            }
            await client.chat(model=name, headers=headers)
    first, second = client.endpoints.requests
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in second.headers
    for request in (first, second):
        assert CLIENT_KEY not in repr(request.headers)


@pytest.mark.anyio
async def test_keys_are_shown_nowhere_whatever_happens(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "key"
    file.write_text(FILE_KEY)
    members = zoo(
        candidate("strong", api_key_env="A_KEY"),
        candidate("middle", api_key_file=str(file)),
        candidate("weak"),
    )
    shown: list[object] = []
    async with running(
        members,
        environment={"A_KEY": KEY},
        first_byte_timeout_s=0.02,
        breaker_requests=1000,
        log_prompts=True,
    ) as client:

        async def echo(request: Asked) -> Response:
            # As an endpoint does that repeats a key it refuses, in its body and in a header.
            sent = request.headers.get("authorization", "")
            said = {"error": {"message": f"Incorrect API key provided: {sent}"}}
            return Response(401, json=said, headers={"www-authenticate": sent, "authorization": sent})

        async def leak_in_error(request: Asked) -> Response:
            raise TransportError(
                "connection lost", detail=f"reset after {request.headers.get('authorization')}"
            )

        async def hang(request: Asked) -> Response:
            await asyncio.sleep(3600)
            raise AssertionError

        async def break_off(request: Asked) -> Response:
            return Response(
                200, stream=Pieces(b"{", TransportError("connection lost", detail=str(request.headers)))
            )

        async def fault(request: Asked) -> Response:
            raise RuntimeError("a fault of the transport")

        for answer in (echo, leak_in_error, hang, break_off, fault):
            for name in ("strong", "middle"):
                client.endpoints.script[name] = answer
            for model in ("auto", "strong", "middle"):
                shown.append(
                    await client.chat(model=model, headers={"authorization": f"Bearer {CLIENT_KEY}"})
                )
        for path in ("/v1/models", "/metrics", "/healthz", "/readyz", "/openapi.json"):
            shown.append(await client.get(path))
        shown.append(await client.post("/v1/route", {"text": "Which key?"}))
    assert len(client.endpoints.requests) > 15
    told = [reply.body.decode() + str(reply.headers) for reply in shown if isinstance(reply, Reply)]
    logged = [JsonFormatter().format(record) for record in caplog.records]
    assert any("refused the gateway's credentials (HTTP 401)" in text for text in told)
    assert any("RuntimeError" in line for line in logged)
    everything = "\n".join([*told, *logged, *map(repr, client.journal.records), repr(client.gateway.state)])
    assert not [secret for secret in SECRETS if secret in everything]


@pytest.mark.anyio
@pytest.mark.parametrize("status", [200, 400, 402, 422, 429, 500, 503])
@pytest.mark.parametrize("split", [False, True])
async def test_a_relayed_answer_does_not_show_the_key_that_it_echoes(status: int, split: bool) -> None:
    async def echo(request: Asked) -> Response:
        sent = request.headers["authorization"]
        body = json.dumps(
            {"error": {"message": f"sent {sent} = {base64.b64encode(sent.encode()).decode()}"}}
        ).encode()
        headers = {"x-echo": sent, "x-length": str(len(body))}
        size = 7 if split else len(body)
        pieces = (body[at : at + size] for at in range(0, len(body), size))
        return Response(status, headers=headers, stream=Pieces(*pieces))

    members = zoo(candidate("strong", api_key_env="A_KEY"))
    async with running(members, environment={"A_KEY": KEY}) as client:
        client.endpoints.script["strong"] = echo
        reply = await client.chat(model="strong")
    assert reply.status == status
    assert reply.headers["x-echo"] == "Bearer [redacted]"
    assert len(reply.body) == int(reply.headers["x-length"])
    assert "sent Bearer ***" in reply.json()["error"]["message"]
    told = reply.body.decode() + str(reply.headers)
    assert KEY not in told
    assert base64.b64encode(KEY.encode()).decode()[:-4] not in told
    assert base64.b64encode(b"Bearer " + KEY.encode()).decode() not in told


@pytest.mark.anyio
async def test_answers_of_endpoints_with_a_key_come_uncompressed_so_that_it_can_be_masked() -> None:
    members = zoo(candidate("strong", api_key_env="A_KEY"))
    async with running(members, environment={"A_KEY": KEY}) as client:
        error = gzip.compress(json.dumps({"error": KEY}).encode())
        client.endpoints.answers("strong", 400, stream=Pieces(error), headers={"content-encoding": "gzip"})
        reply = await client.chat(model="strong", headers={"accept-encoding": "gzip, br"})
    assert client.endpoints.requests[0].headers["accept-encoding"] == "identity"
    assert (reply.status, reply.error["message"]) == (502, "No candidate answered. strong: HTTP 400.")


def test_a_log_line_is_one_json_object_with_what_belongs_to_it() -> None:
    record = logging.LogRecord("modelsat.gateway", logging.INFO, "x.py", 1, "answered", None, None)
    record.modelsat_fields = {"decision": "dec-1", "cost": 0.5}
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line) | {"at": ""} == {
        "at": "",
        "level": "info",
        "event": "answered",
        "decision": "dec-1",
        "cost": 0.5,
    }


def test_each_gateway_has_metrics_of_its_own() -> None:
    one, other = Telemetry(), Telemetry()
    one.dropped.labels("usage").inc()
    assert b'kind="usage"' in one.exposition()
    assert b'kind="usage"' not in other.exposition()
