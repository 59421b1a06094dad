"""Secrets in messages, logs, cards and errors, however an endpoint echoes them."""

import base64
import html
import json
import logging
import re
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
from modelsat.redaction import REDACTED, ByteMask, note_secret, redact
from modelsat.testing import Answer, FakeEndpoint, FakeRequest
from tests.exam.conftest import exam_of, instructions

KEY = 'sk-live/9"f+a<7>3&c1=0d'
LEAKS = f"""
import logging, sys, warnings
import typer
from modelsat.cli.output import CommandGroup, console, print_json, print_table, say
from modelsat.redaction import note_secret

KEY = {KEY!r}
app = typer.Typer(cls=CommandGroup, pretty_exceptions_enable=False)

@app.callback()
def main() -> None: ...

@app.command()
def leak() -> None:
    note_secret(KEY)
    print(KEY)
    typer.echo(KEY)
    print_json([KEY])
    print_table(["key"], [[KEY]])
    console().print(KEY, markup=False)
    say(KEY)
    sys.stderr.write(KEY + chr(10))
    logging.getLogger("asyncio").error("lost %s", KEY)
    warnings.warn(KEY)
    raise RuntimeError(KEY)

app()
"""
VISIBLE = st.characters(min_codepoint=33, max_codepoint=126)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets noted by a test are forgotten after it."""
    monkeypatch.setattr(redaction, "_noted", set())
    redaction._known.cache_clear()


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
        quote,
        lambda key: base64.b64encode(key.encode()).decode(),
        lambda key: json.dumps(key)[1:-1].replace("/", r"\/"),
        lambda key: (
            json.dumps(key)[1:-1].replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")
        ),
        lambda key: re.sub("%..", lambda code: code[0].lower(), quote(key, safe="")),
    ],
)
def test_every_form_of_a_secret_is_redacted(noted: str, write: Callable[[str], str]) -> None:
    found = redact(f"no such key: Bearer {write(noted)}, sorry")
    assert REDACTED in found
    assert "9" not in found


@given(
    secret=st.text(VISIBLE, min_size=12, max_size=60),
    before=st.binary(max_size=9),
    after=st.binary(max_size=9),
    encode=st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]),
)
def test_base64_of_a_header_with_a_secret_is_redacted(
    secret: str, before: bytes, after: bytes, encode: Callable[[bytes], bytes]
) -> None:
    note_secret(secret)
    found = redact(encode(before + secret.encode() + after).decode())
    assert REDACTED in found
    shown = "".join(found.split(REDACTED))
    # All but the six bits at either end that neighbours share.
    assert len(shown) <= 4 * (-(-len(before + after) // 3) + 2)


@given(
    secret=st.text(VISIBLE, min_size=12, max_size=40),
    around=st.lists(st.binary(max_size=20), min_size=2, max_size=5),
    size=st.integers(1, 50),
    write=st.sampled_from([str, json.dumps, html.escape]),
)
def test_a_secret_is_masked_in_a_body_however_it_is_split(
    secret: str, around: list[bytes], size: int, write: Callable[[str], str]
) -> None:
    body = write(secret).encode().join(around)
    mask = ByteMask(secret)
    pieces = [mask.feed(body[at : at + size]) for at in range(0, len(body), size)]
    masked = b"".join(pieces) + mask.end()
    assert secret.encode() not in masked
    assert len(masked) == len(body)


@given(
    body=st.binary(max_size=200),
    size=st.integers(1, 50),
    secret=st.sampled_from([None, "x", "local", "hunter2", KEY]),
)
def test_a_body_without_the_secret_is_relayed_as_it_is(body: bytes, size: int, secret: str | None) -> None:
    mask = ByteMask(secret)
    pieces = [mask.feed(body[at : at + size]) for at in range(0, len(body), size)]
    assert b"".join(pieces) + mask.end() == body


def test_events_are_not_held_back() -> None:
    mask = ByteMask("sk-live-0123456789")
    event = b'data: {"choices":[{"delta":{"content":"tasks"}}]}\n\n'
    assert mask.feed(event) == event


def test_errors_logs_and_strangers_texts_are_redacted(noted: str) -> None:
    for error in (
        DataError(f"bad {noted}"),
        EndpointError(noted),
        GatewayError(noted, status=502, code="x"),
    ):
        assert noted not in str(error) + repr(error)
    assert noted not in json.dumps(GatewayError(noted, status=502, code="x").body())
    record = logging.LogRecord("modelsat.gateway", logging.INFO, "", 0, "sent %s", (noted,), None)
    record.modelsat_fields = {"failed": [f"a: {noted}"]}
    assert json.loads(JsonFormatter().format(record))["failed"] == [f"a: {REDACTED}"]
    assert noted not in error_message(json.dumps({"error": {"message": f"refused {noted}"}}).encode())
    # Where a message is cut at 200 characters, no part of a secret is left.
    assert noted[:8] not in error_message(json.dumps({"error": "x" * 190 + noted}).encode())


def test_short_values_are_replaced_as_words_only_and_placeholders_never() -> None:
    for value in ("none", "x", "EMPTY", "ollama", "abc123"):
        note_secret(value)
    assert redact("none x EMPTY ollama") == "none x EMPTY ollama"
    assert redact("key abc123, not xabc123x") == f"key {REDACTED}, not xabc123x"


def test_secrets_of_the_environment_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "hunter2-hunter2-hunter2")
    # Named like a secret, but ordinary words.
    monkeypatch.setenv("PAD_TOKEN", "<|endoftext|>")
    monkeypatch.setenv("SORT_KEY", "instruction_id_2")
    redaction._known.cache_clear()
    assert redact("hunter2-hunter2-hunter2") == REDACTED
    assert redact("<|endoftext|> instruction_id_2") == "<|endoftext|> instruction_id_2"


def test_nothing_reaches_the_terminal_with_a_secret_in_it(tmp_path: Path) -> None:
    """Neither by the house's own functions nor past them: print, rich, logs, warnings, tracebacks."""
    script = tmp_path / "leak.py"
    script.write_text(LEAKS, "utf-8")
    for locale in ({}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        ran = subprocess.run(
            [sys.executable, str(script), "leak"],
            env={"PATH": "", "PYTHONPATH": ":".join(sys.path), **locale},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 1
        assert KEY not in ran.stdout + ran.stderr
        assert (ran.stdout.count(REDACTED), ran.stderr.count(REDACTED)) == (5, 5), ran.stderr


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
