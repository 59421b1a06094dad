"""Routing a file: order, faults, and going on after a kill."""

import json
from pathlib import Path
from typing import Any

import pytest

from modelsat.capability.zoo import ModelZoo
from modelsat.errors import DataError
from modelsat.routing.baselines import Level
from modelsat.routing.batch import route_file
from modelsat.routing.policy import RoutingPolicy
from modelsat.routing.router import Router
from modelsat.types import Candidate
from tests.profiles import profile


@pytest.fixture
def router() -> Router:
    names = ("one", "two")
    return Router(
        scorer=Level(), zoo=ModelZoo((Candidate(name=name), profile(name, {"law": 0.5})) for name in names)
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    requests: list[Any] = [
        {"id": "a", "text": "first"},
        "second",
        [{"role": "user", "content": "third"}],
        {"id": 4, "messages": [{"role": "user", "content": "fourth"}]},
    ]
    path.write_text("\n".join(map(json.dumps, requests)) + "\n\n", encoding="utf-8")
    return path


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_form_of_a_request_is_routed_in_order(router: Router, source: Path, tmp_path: Path) -> None:
    seen = []
    report = route_file(
        router, source, tmp_path / "out.jsonl", progress=lambda *done: seen.append(done), batch_size=3
    )
    rows = rows_of(tmp_path / "out.jsonl")
    assert [row["line"] for row in rows] == [1, 2, 3, 4]
    assert (rows[0]["id"], rows[3]["id"]) == ("a", "4")
    assert (report.routed, report.resumed, seen) == (4, 0, [(0, 4), (3, 4), (4, 4)])


@pytest.mark.parametrize("kept", [0, 1, 10, 250, 400, 600])
def test_a_killed_run_goes_on_where_its_output_ends(
    router: Router, source: Path, tmp_path: Path, kept: int
) -> None:
    target = tmp_path / "out.jsonl"
    route_file(router, source, target)
    whole = target.read_bytes()
    target.write_bytes(whole[:kept])
    report = route_file(router, source, target)
    assert target.read_bytes() == whole
    assert report.resumed == whole[:kept].count(b"\n")
    assert route_file(router, source, target).routed == 0


def test_malformed_lines_are_named_and_nothing_is_routed(router: Router, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(b'"fine"\n{"text": \n{"txt": "x"}\n""\n\xff\n"fine too"\n')
    with pytest.raises(DataError) as raised:
        route_file(router, source, target)
    message = str(raised.value)
    assert "4 malformed line(s): line 2: not JSON" in message
    assert "line 3: expected a field 'text'" in message
    assert "line 4: the instruction is empty" in message
    assert "--skip-bad" in message
    assert not target.exists()


def test_malformed_lines_are_left_out_on_demand(router: Router, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(b'"fine"\nnot json\n"fine too"\n')
    assert route_file(router, source, target, skip_bad=True).skipped == (2,)
    assert [row["line"] for row in rows_of(target)] == [1, 3]


def test_an_output_of_another_run_is_not_continued(router: Router, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    route_file(router, source, target)
    with pytest.raises(DataError, match="belongs to another run"):
        route_file(router, source, target, policy=RoutingPolicy(kind="value", amount=1.0))
    smaller = Router(scorer=Level(), zoo=router.zoo.select(["one"]))
    with pytest.raises(DataError, match=r"another zoo \(with two\)"):
        route_file(smaller, source, target)
    source.write_text('"other"\n' * 4, encoding="utf-8")
    with pytest.raises(DataError, match="belongs to another run"):
        route_file(router, source, target)
    target.write_text("notes of mine\n", encoding="utf-8")
    with pytest.raises(DataError, match="is not a routing decision"):
        route_file(router, source, target)


def test_a_missing_or_empty_input_is_one_clear_error(router: Router, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    with pytest.raises(DataError, match="no such file"):
        route_file(router, source, tmp_path / "out.jsonl")
    source.write_text("\n\n", encoding="utf-8")
    with pytest.raises(DataError, match="holds no request"):
        route_file(router, source, tmp_path / "out.jsonl")
    with pytest.raises(DataError, match="same file"):
        route_file(router, source, source)
