"""Checks of a zoo file: each fault is found, and found alone; endpoints are called on real sockets."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pytest

from modelsat.capability.card import write_card
from modelsat.capability.zoo import shipped_zoo_file
from modelsat.endpoints.check import Finding, answer_fault, check_zoo
from modelsat.errors import DataError
from modelsat.testing import FakeEndpoint
from modelsat.types import CapabilityProfile, TaskResult

SOUND = {
    "name": '"ours"',
    "card": '"ours.json"',
    "endpoint": '"https://llm.example/v1"',
    "api_key_env": '"OUR_KEY"',
    "input_price": "0.1",
    "output_price": "0.4",
    "context_window": "8192",
}
ENVIRONMENT = {"OUR_KEY": "sk-sound-key"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    result = TaskResult(task="law", keywords=("Law",), accuracy=0.75, shots=4)
    for name, days, tokens in (("ours", 10, 100.0), ("old", 400, 100.0), ("unmeasured", 10, None)):
        sat = (date.today() - timedelta(days=days)).isoformat()
        card = CapabilityProfile(
            candidate="ours", exam="toy", exam_hash="", results=(result,), date=sat, mean_output_tokens=tokens
        )
        write_card(tmp_path / f"{name}.json", card)
    return tmp_path


def check(
    folder: Path,
    *entries: Mapping[str, str],
    environment: Mapping[str, str] = ENVIRONMENT,
    call: bool = False,
) -> list[Finding]:
    lines = [
        "\n".join(["[[candidate]]", *(f"{key} = {value}" for key, value in entry.items() if value)])
        for entry in entries
    ]
    path = folder / "zoo.toml"
    path.write_text("\n\n".join(['format = "modelsat-zoo/1"', *lines]) + "\n", encoding="utf-8")
    findings, checked = check_zoo(path, stale_after=180, call=call, environment=environment)
    assert checked == len(entries)
    return findings


def test_a_sound_entry_has_no_finding(folder: Path) -> None:
    assert check(folder, SOUND) == []


@pytest.mark.parametrize(
    ("change", "severity", "subject", "message"),
    [
        ({"endpoint": "", "api_key_env": ""}, "warning", "endpoint", "no endpoint"),
        ({"endpoint": '"http://llm.example/v1"'}, "warning", "endpoint", "unencrypted"),
        ({"endpoint": ""}, "warning", "key", "no endpoint to use it at"),
        ({"api_key_env": '"ABSENT"'}, "fault", "key", "environment variable ABSENT is not set"),
        (
            {"api_key_env": "", "api_key_file": '"absent"'},
            "fault",
            "key",
            "cannot be read (No such file or directory)",
        ),
        ({"input_price": ""}, "fault", "prices", "input_price is missing"),
        ({"input_price": "", "output_price": ""}, "warning", "prices", "no prices"),
        (
            {"output_price": "0.0000004"},
            "warning",
            "prices",
            "output_price is 0.000000400; prices are per million",
        ),
        ({"card": '"unmeasured.json"'}, "warning", "length", "no length of answers"),
        ({"output_tokens": "9000"}, "fault", "length", "do not fit its context_window of 8192"),
        ({"context_window": ""}, "warning", "window", "no context_window"),
        ({"context_window": "128"}, "warning", "window", "meant in thousands"),
        ({"modalities": '["image"]'}, "fault", "modalities", "lack text"),
        ({"card": '"old.json"'}, "warning", "card", "is stale"),
        ({"card": '"absent.json"'}, "fault", "entry", "no such file"),
        ({"card": ""}, "fault", "entry", "'card' is missing"),
        ({"modalities": '["images"]'}, "fault", "entry", "'images'"),
        ({"endpoint": '"llm.example"'}, "fault", "entry", "expected a base URL"),
        ({"price": "1"}, "fault", "entry", "unknown field 'price'"),
    ],
)
def test_each_fault_is_found(
    folder: Path, change: Mapping[str, str], severity: str, subject: str, message: str
) -> None:
    found = check(folder, {**SOUND, **change})
    matching = [
        one for one in found if (one.candidate, one.severity, one.subject) == ("ours", severity, subject)
    ]
    assert any(message in one.message for one in matching), found
    # An endpoint that is missing makes its key useless as well.
    assert len(found) == 1 + ("endpoint" in change and not change["endpoint"] and "api_key_env" not in change)


def test_one_malformed_entry_does_not_hide_the_next(folder: Path) -> None:
    found = check(
        folder,
        {**SOUND, "tools": "1"},
        {**SOUND, "name": "3"},
        {**SOUND, "name": '"b"', "card": '"old.json"', "card_candidate": '"ours"'},
    )
    assert [(one.candidate, one.severity) for one in found] == [
        ("ours", "fault"),
        (None, "fault"),
        ("b", "warning"),
    ]
    assert "zoo.toml:3: candidate 'ours'" in found[0].message
    twice = check(folder, SOUND, SOUND)
    assert "the name appears twice" in twice[0].message


def test_a_file_that_is_no_zoo_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "zoo.toml").write_text("format = 1")
    with pytest.raises(DataError, match="format is 1"):
        check_zoo(tmp_path / "zoo.toml", stale_after=180)


def test_the_shipped_zoo_has_no_fault() -> None:
    with shipped_zoo_file() as path:
        findings, entries = check_zoo(path, stale_after=10**6)
    assert {(one.severity, one.subject) for one in findings} == {("warning", "endpoint")}
    assert len(findings) == entries


def test_endpoints_are_called_with_their_key(folder: Path) -> None:
    with FakeEndpoint("B", models=("ours", "other"), unix_socket=True) as endpoint:
        entry = {**SOUND, "endpoint": f'"{endpoint.url}"'}
        assert check(folder, entry, call=True) == []
        assert [request.headers["authorization"] for request in endpoint.requests] == ["Bearer sk-sound-key"]
        (unlisted,) = check(folder, {**entry, "model": '"ours-8b"'}, call=True)
        assert unlisted.message == "does not list the model 'ours-8b'; it lists ours, other."
        (unset,) = check(folder, entry, call=True, environment={})
        assert unset.subject == "key"
    (gone,) = check(folder, entry, call=True)
    assert (gone.severity, gone.subject) == ("fault", "endpoint")
    assert "cannot be reached" in gone.message


@pytest.mark.parametrize(
    ("status", "body", "severity", "message"),
    [
        (401, b"", "fault", "refuses its key, or the lack of one (HTTP 401)"),
        (404, b"", "warning", "has no list of models (HTTP 404)"),
        (502, b"", "fault", "answers HTTP 502"),
        (200, b"[1]", "warning", "cannot be read"),
        (200, b"\xff", "warning", "cannot be read"),
        (200, b'{"data": []}', "fault", "it lists none"),
        (
            200,
            b'{"data": [%s]}' % b",".join(b'{"id": "m%d"}' % at for at in range(20)),
            "fault",
            "m7 and 12 more",
        ),
    ],
)
def test_what_an_endpoint_answers_is_judged(status: int, body: bytes, severity: str, message: str) -> None:
    fault = answer_fault(status, body, "ours")
    assert fault is not None
    assert fault[0] == severity
    assert message in fault[1]
    assert answer_fault(200, b'{"data": [{"id": "ours"}]}', "ours") is None
