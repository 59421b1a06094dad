"""Answers, cards, checkpoints and the API of 0.3.0 stay what they were; later versions may only add to them.

`python -m tests.golden.test_golden` writes the files anew, after a change that is meant.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modelsat.cli.main import app
from modelsat.gateway.openapi import openapi_document
from modelsat.routing.router import Router
from modelsat.scoring.checkpoint import load_checkpoint, save_checkpoint, shipped_folder

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
# Prose may be rewritten; paths, fields and types may not.
PROSE = ("description", "summary", "title", "version")
REQUESTS = (
    "Which vitamin does human skin make when the sun shines on it?",
    "A spring of stiffness 200 N/m is stretched by 5 cm. How much energy does it store?",
    "What must a contract have to bind a minor?",
    "Write a function that reverses a linked list.",
    "Warum ist der Himmel blau?",
)


def decisions() -> list[dict[str, Any]]:
    """The shipped router on a few requests, in full precision, under two policies."""
    router = Router.load(runtime="onnx-fp32")
    return [
        {
            "request": request,
            "policy": policy,
            "candidate": decision.candidate,
            "ranking": [[ranked.candidate, round(ranked.logit, 4)] for ranked in decision.ranking],
        }
        for policy in ("best", "cheapest-above=0.6")
        for request, decision in zip(REQUESTS, router.route_many(REQUESTS, policy=policy), strict=True)
    ]


def card(folder: Path) -> dict[str, Any]:
    """A card graded from made-up results on the example's own exam, as a user makes one."""
    items = EXAMPLES / "own_exam" / "items.jsonl"
    texts = [json.loads(line) for line in items.read_text("utf-8").splitlines()]
    source = folder / "results.jsonl"
    source.write_text(
        "".join(
            json.dumps(
                {"model": "golden", "question": item["text"], "options": item["choices"], "right": at % 3 > 0}
            )
            + "\n"
            for at, item in enumerate(texts)
        ),
        "utf-8",
    )
    _run("exam", "build", "--from", str(items), "-o", str(folder / "exam.json"), "--name", "golden")
    columns = {"candidate": "model", "text": "question", "choices": "options", "score": "right"}
    maps = [word for field, column in columns.items() for word in ("--map", f"{field}={column}")]
    _run("import", "jsonl", str(source), "-o", str(folder / "outcomes"), *maps)
    _run(
        *("exam", "grade", "--outcomes", str(folder / "outcomes"), "--exam", str(folder / "exam.json")),
        *("-o", str(folder / "cards")),
    )
    written: dict[str, Any] = json.loads((folder / "cards" / "golden.json").read_text("utf-8"))
    del written["date"]
    return written


def _run(*arguments: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output


def api() -> Any:
    """The gateway's OpenAPI document without prose."""
    return _without_prose(openapi_document())


def checkpoint(folder: Path) -> dict[str, str]:
    """Digest of the shipped weights, after reading and writing them once."""
    save_checkpoint(load_checkpoint(shipped_folder()), folder / "copy")
    return {"sha256": hashlib.sha256((folder / "copy" / "weights.safetensors").read_bytes()).hexdigest()}


def _without_prose(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_prose(v) for k, v in value.items() if not (k in PROSE and isinstance(v, str))}
    return [_without_prose(inner) for inner in value] if isinstance(value, list | tuple) else value


def _missing(golden: Any, found: Any, where: str = "") -> list[str]:
    """Everything of `golden` that is no longer in `found`."""
    if isinstance(golden, Mapping):
        if not isinstance(found, Mapping):
            return [where]
        return [
            fault
            for key, value in golden.items()
            for fault in (
                _missing(value, found[key], f"{where}/{key}") if key in found else [f"{where}/{key}"]
            )
        ]
    if isinstance(golden, list) and all(isinstance(inner, str) for inner in golden):
        return [f"{where}: {inner}" for inner in golden if inner not in found]
    if isinstance(golden, list):
        if not isinstance(found, Sequence) or len(found) < len(golden):
            return [where]
        return [
            fault for at, value in enumerate(golden) for fault in _missing(value, found[at], f"{where}/{at}")
        ]
    return [] if golden == found else [f"{where}: {golden!r} became {found!r}"]


def _read(name: str) -> Any:
    return json.loads((HERE / f"{name}.json").read_text("utf-8"))


@pytest.mark.slow
def test_the_shipped_router_decides_as_before() -> None:
    for golden, found in zip(_read("decisions"), decisions(), strict=True):
        assert found["candidate"] == golden["candidate"], golden["request"]
        logits = dict(found["ranking"])
        # A 100th of a logit is what other processors' arithmetic may add.
        assert [logits[name] for name, _ in golden["ranking"]] == pytest.approx(
            [logit for _, logit in golden["ranking"]], abs=1e-2
        )


def test_a_card_holds_what_it_held(tmp_path: Path) -> None:
    assert _missing(_read("card"), card(tmp_path)) == []


def test_the_api_keeps_its_paths_and_fields() -> None:
    assert _missing(_read("api"), json.loads(json.dumps(api()))) == []


def test_a_checkpoint_is_written_as_it_was_read(tmp_path: Path) -> None:
    assert checkpoint(tmp_path) == _read("checkpoint")


def test_a_lost_field_is_noticed() -> None:
    assert _missing({"a": {"b": 1}, "c": ["x"]}, {"a": {"b": 2}, "c": []}) == ["/a/b: 1 became 2", "/c: x"]


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        made = {"decisions": decisions(), "api": api(), "checkpoint": checkpoint(Path(temporary))}
        made["card"] = card(Path(temporary))
    for name, value in made.items():
        (HERE / f"{name}.json").write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", "utf-8")
