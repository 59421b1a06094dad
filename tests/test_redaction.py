"""Secrets in messages, logs, cards and errors, however an endpoint echoes them."""

import base64
import html
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat import redaction
from modelsat.endpoints.answers import error_message
from modelsat.errors import DataError, EndpointError
from modelsat.gateway.errors import GatewayError
from modelsat.gateway.logs import JsonFormatter
from modelsat.records.store import write_instructions
from modelsat.redaction import REDACTED, note_secret, redact
from modelsat.testing import Answer, FakeEndpoint, FakeRequest
from tests.exam.conftest import exam_of, instructions

KEY = 'sk-live/9"f+a<7>3&c1=0d'
VISIBLE = st.characters(min_codepoint=33, max_codepoint=126)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets noted by a test are forgotten after it."""
    monkeypatch.setattr(redaction, "_noted", set())
    redaction._pattern.cache_clear()


@pytest.fixture
def noted() -> str:
    note_secret(KEY)
    return KEY


@given(secret=st.text(VISIBLE, min_size=12, max_size=80), before=st.text(), after=st.text())
def test_a_secret_is_gone_from_any_text(secret: str, before: str, after: str) -> None:
    note_secret(secret)
    assert secret not in redact(f"{before}{secret}{after}")


@pytest.mark.parametrize(
    "write",
    [
        str,
        json.dumps,
        html.escape,
        lambda key: quote(key, safe=""),
        lambda key: base64.b64encode(key.encode()).decode(),
        lambda key: json.dumps(key)[1:-1].replace("/", r"\/"),
    ],
)
def test_every_form_of_a_secret_is_redacted(noted: str, write: Callable[[str], str]) -> None:
    found = redact(f"no such key: Bearer {write(noted)}, sorry")
    assert REDACTED in found
    assert "9" not in found


def test_errors_logs_and_strangers_texts_are_redacted(noted: str) -> None:
    for error in (
        DataError(f"bad {noted}"),
        EndpointError(noted),
        GatewayError(noted, status=502, code="x"),
    ):
        assert noted not in str(error)
    assert noted not in json.dumps(GatewayError(noted, status=502, code="x").body())
    record = logging.LogRecord("modelsat.gateway", logging.INFO, "", 0, "sent %s", (noted,), None)
    record.modelsat_fields = {"failed": [f"a: {noted}"]}
    assert json.loads(JsonFormatter().format(record))["failed"] == [f"a: {REDACTED}"]
    assert noted not in error_message(json.dumps({"error": {"message": f"refused {noted}"}}).encode())
    # Where a message is cut at 200 characters, no part of a secret is left.
    assert noted[:8] not in error_message(json.dumps({"error": "x" * 190 + noted}).encode())


def test_short_values_are_replaced_as_words_only_and_placeholders_never() -> None:
    for value in ("none", "x", "EMPTY", "abc123"):
        note_secret(value)
    assert redact("none x EMPTY") == "none x EMPTY"
    assert redact("key abc123, not xabc123x") == f"key {REDACTED}, not xabc123x"


def test_secrets_of_the_environment_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "hunter2-hunter2-hunter2")
    redaction._pattern.cache_clear()
    assert redact("hunter2-hunter2-hunter2") == REDACTED


@pytest.mark.slow
@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize("where", ["body", "header", "redirect", "reason", "answer"])
def test_an_exam_never_shows_the_key_that_an_endpoint_echoes(tmp_path: Path, where: str) -> None:
    texts = instructions()
    exam_of(texts).save(tmp_path / "exam.json")
    write_instructions(tmp_path / "texts.jsonl", texts)

    def echo(request: FakeRequest) -> Answer:
        sent = request.headers["authorization"]
        return {
            "body": Answer(f"Incorrect API key provided: {sent}", status=401),
            "header": Answer("no", status=401, headers={"x-echo": sent, "www-authenticate": sent}),
            "redirect": Answer("no", status=302, headers={"location": f"http://127.0.0.1/{quote(sent)}"}),
            "reason": Answer(raw=f"HTTP/1.1 401 {sent}\r\ncontent-length: 0\r\n\r\n".encode()),
            "answer": Answer(f"The answer is B. {sent}"),
        }[where]

    command = (
        sys.executable,
        "-m",
        "modelsat",
        "exam",
        "run",
        "--blueprint",
        "exam.json",
        "--source",
        "texts.jsonl",
    )
    with FakeEndpoint(echo) as endpoint:
        options = ("-o", "cards", "--candidate", "ours", "--base-url", endpoint.url, "--api-key-env", "OURS")
        ran = subprocess.run(
            [*command, *options, "--attempts", "1", "--json"],
            cwd=tmp_path,
            env={"PATH": "", "HOME": str(tmp_path), "OURS": KEY, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert endpoint.requests[0].headers["authorization"] == f"Bearer {KEY}"
    written = [path.read_text("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file()]
    for text in (ran.stdout, ran.stderr, *written):
        for form in (KEY, json.dumps(KEY)[1:-1], quote(KEY, safe="")):
            assert form not in text
    assert (ran.returncode == 0) == (where == "answer"), ran.stderr
