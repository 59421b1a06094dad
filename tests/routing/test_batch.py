"""Routing a file: order, faults, and going on after a kill."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsat.capability.zoo import ModelZoo
from modelsat.errors import DataError
from modelsat.routing.batch import route_file
from modelsat.routing.policy import RoutingPolicy
from modelsat.routing.router import Router
from modelsat.routing.scorer import Level
from modelsat.types import Candidate, CapabilityProfile, Instruction, ScoreMatrix
from tests.profiles import profile


@pytest.fixture
def router() -> Router:
    names = ("one", "two")
    return Router(
        scorer=Level(),
        zoo=ModelZoo(
            (Candidate(name=name, input_price=0.1, output_price=0.2), profile(name, {"law": 0.5}))
            for name in names
        ),
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
        router, source, tmp_path / "out.jsonl", progress=lambda *call: seen.append(call[1:]), batch_size=3
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


class Renamed(Level):
    """A scorer under another identity, as another checkpoint or precision would have."""

    identity = "other/onnx-int8"


def dearer(router: Router) -> Router:
    zoo = ModelZoo(
        (replace(candidate, output_price=1.0), router.zoo.profile(candidate.name))
        for candidate in router.zoo.candidates
    )
    return Router(scorer=Level(), zoo=zoo)


def better(router: Router) -> Router:
    return Router(
        scorer=Level(),
        zoo=ModelZoo((each, profile(each.name, {"law": 0.9})) for each in router.zoo.candidates),
    )


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        (lambda router: Router(scorer=Renamed(), zoo=router.zoo), "router (exam level, now other/onnx-int8)"),
        (lambda router: Router(scorer=Level(), zoo=router.zoo.select(["one"])), "zoo ("),
        (dearer, "zoo ("),
        (better, "zoo ("),
        (
            lambda router: Router(scorer=Level(), zoo=router.zoo, policy=RoutingPolicy.parse("value=1.0")),
            "policy (best, now value=1.0)",
        ),
    ],
)
def test_decisions_of_another_router_zoo_or_policy_are_refused_or_redone(
    router: Router, source: Path, tmp_path: Path, changed: Callable[[Router], Router], fault: str
) -> None:
    target, fresh = tmp_path / "out.jsonl", tmp_path / "fresh.jsonl"
    route_file(router, source, target)
    before = target.read_bytes()
    other = changed(router)
    with pytest.raises(DataError) as raised:
        route_file(other, source, target)
    assert str(raised.value).startswith(
        f"{target}: belongs to another run: 4 lines (1, 2, 3, 4) by another {fault}"
    )
    assert "--redo-changed" in str(raised.value)
    assert target.read_bytes() == before
    assert route_file(other, source, target, redo_changed=True).routed == 4
    route_file(other, source, fresh)
    assert target.read_bytes() == fresh.read_bytes()
    assert route_file(other, source, target).routed == 0


def test_only_lines_whose_text_or_images_changed_are_redone(
    router: Router, source: Path, tmp_path: Path
) -> None:
    target, fresh = tmp_path / "out.jsonl", tmp_path / "fresh.jsonl"
    image = {"type": "image_url", "image_url": {"url": "one.png"}}
    turn = {"role": "user", "content": [{"type": "text", "text": "what is this?"}, image]}
    source.write_text("\n".join(map(json.dumps, ["first", "second", [turn], "fourth"])), encoding="utf-8")
    route_file(router, source, target)
    image["image_url"] = {"url": "two.png"}
    source.write_text("\n".join(map(json.dumps, ["first", "2nd", [turn], "fourth"])), encoding="utf-8")
    with pytest.raises(DataError, match=r"2 lines \(2, 3\) of another text or other images"):
        route_file(router, source, target)
    report = route_file(router, source, target, redo_changed=True)
    assert (report.routed, report.resumed) == (2, 2)
    route_file(router, source, fresh)
    assert target.read_bytes() == fresh.read_bytes()


def test_a_line_that_was_malformed_and_is_mended_is_not_left_without_a_decision(
    router: Router, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('"one"\nbad\n"three"\n', encoding="utf-8")
    route_file(router, source, target, skip_bad=True)
    source.write_text('"one"\n"two"\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"1 line \(3\) of requests that are gone, 1 line \(2\) never routed"):
        route_file(router, source, target)
    route_file(router, source, target, redo_changed=True)
    assert [row["line"] for row in rows_of(target)] == [1, 2]


def test_decisions_of_0_3_which_do_not_tell_what_they_were_made_of_are_redone(
    router: Router, source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.jsonl"
    route_file(router, source, target)
    whole = target.read_bytes()
    old = [{k: v for k, v in row.items() if k not in ("request", "router", "zoo")} for row in rows_of(target)]
    target.write_text("".join(json.dumps(row) + "\n" for row in old), encoding="utf-8")
    with pytest.raises(DataError, match=r"4 lines \(1, 2, 3, 4\) without a record of text, router and zoo"):
        route_file(router, source, target)
    route_file(router, source, target, redo_changed=True)
    assert target.read_bytes() == whole


@given(data=st.data())
def test_a_redo_interrupted_anywhere_loses_nothing_and_ends_as_a_fresh_run(data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=8))
    edited = data.draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=8))
    edited_again = data.draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=8))
    names = ("one", "two")
    zoo = ModelZoo((Candidate(name=name), profile(name, {"law": 0.5})) for name in names)
    steady = Router(scorer=Level(), zoo=zoo)

    def write(lines: list[str]) -> None:
        inputs.write_text("".join(json.dumps(text) + "\n" for text in lines), encoding="utf-8")

    with TemporaryDirectory() as folder:
        inputs, target, fresh = (Path(folder) / name for name in ("in.jsonl", "out.jsonl", "fresh.jsonl"))
        write(texts)
        route_file(steady, inputs, target)
        for lines in (edited, edited_again):
            write(lines)
            before = target.read_bytes()
            failing = Router(scorer=FailsAfter(data.draw(st.integers(0, 4))), zoo=zoo)
            try:
                route_file(failing, inputs, target, redo_changed=True, batch_size=1)
            except KeyboardInterrupt:
                kept = target.read_bytes()
                # What is merely appended may stay; nothing that was there is gone.
                assert kept.startswith(before)
        route_file(steady, inputs, target, redo_changed=True)
        route_file(steady, inputs, fresh)
        assert target.read_bytes() == fresh.read_bytes()
        assert sorted(path.name for path in Path(folder).iterdir()) == [
            "fresh.jsonl",
            "in.jsonl",
            "out.jsonl",
        ]


class FailsAfter(Level):
    """Interrupted after some requests, as by Ctrl-C."""

    def __init__(self, requests: int) -> None:
        super().__init__()
        self.left = requests

    def score(
        self, instructions: Sequence[Instruction], profiles: Sequence[CapabilityProfile]
    ) -> ScoreMatrix:
        if self.left < len(instructions):
            raise KeyboardInterrupt
        self.left -= len(instructions)
        return super().score(instructions, profiles)


def test_two_runs_do_not_write_to_one_output(router: Router, source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"

    def second_run(*_: object) -> None:
        with pytest.raises(DataError, match="another run is writing to it"):
            route_file(router, source, target)

    assert route_file(router, source, target, progress=second_run, batch_size=1).routed == 4
    assert [row["line"] for row in rows_of(target)] == [1, 2, 3, 4]


def test_a_file_that_holds_no_decisions_is_never_touched(
    router: Router, source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.jsonl"
    for content in ("notes of mine\n", '{"line": 1}\n[]\n', '{"line": "x"}\n'):
        target.write_text(content, encoding="utf-8")
        for redo in (False, True):
            with pytest.raises(DataError, match=r"out.jsonl:[12]: is not a routing decision"):
                route_file(router, source, target, redo_changed=redo)
        assert target.read_text(encoding="utf-8") == content


def test_an_id_with_half_a_surrogate_pair_is_written_as_json_can_hold_it(
    router: Router, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"id": "\\ud800", "text": "x"}\n', encoding="utf-8")
    route_file(router, source, target)
    assert rows_of(target)[0]["id"] == "\ud800"
    assert route_file(router, source, target).routed == 0


def test_a_missing_or_empty_input_is_one_clear_error(router: Router, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    with pytest.raises(DataError, match="no such file"):
        route_file(router, source, tmp_path / "out.jsonl")
    source.write_text("\n\n", encoding="utf-8")
    with pytest.raises(DataError, match="holds no request"):
        route_file(router, source, tmp_path / "out.jsonl")
    with pytest.raises(DataError, match="same file"):
        route_file(router, source, source)
