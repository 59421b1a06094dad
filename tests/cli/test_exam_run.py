import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from modelsat.capability.card import read_card, read_sat_card
from modelsat.capability.zoo import ModelZoo
from modelsat.cli.exam import app
from modelsat.cli.exam_run import FORMER
from modelsat.records.store import write_instructions
from modelsat.testing import Answer, FakeEndpoint, FakeRequest, Persona
from modelsat.types import Candidate
from tests.exam.conftest import answer, cards, exam_of, instructions, knows

runner = CliRunner()
Serve = Callable[[Persona | Answer], FakeEndpoint]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Endpoints on Unix sockets, until the test is over."""
    with ExitStack() as stack:
        yield lambda persona: stack.enter_context(FakeEndpoint(persona, unix_socket=True))


def ours(endpoint: FakeEndpoint) -> tuple[str, ...]:
    return "--candidate", "ours", "--base-url", endpoint.url


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """The exam, its texts, and where the cards go."""
    texts = instructions()
    exam_of(texts).save(tmp_path / "exam.json")
    write_instructions(tmp_path / "texts.jsonl", texts)
    return [
        *("run", "--blueprint", str(tmp_path / "exam.json"), "--source", str(tmp_path / "texts.jsonl")),
        *("-o", str(tmp_path / "cards"), "--set", "retries.attempts=2"),
    ]


OURS = ("--candidate", "ours", "--base-url", "http://test/v1")


def test_a_new_model_sits_the_exam_and_is_in_the_zoo(
    serve: Serve, arguments: list[str], tmp_path: Path
) -> None:
    server = serve(knows(lambda task: task < 3))
    zoo = tmp_path / "zoo.toml"
    prices = ("--input-price", "1", "--output-price", "2")
    result = runner.invoke(app, [*arguments, *ours(server), *prices, "--register", str(zoo), "--json"])
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert (row["level"], row["shots"], row["lost"]) == (0.75, 20, 0)
    assert row["cost"] == pytest.approx(20 * 26e-6)
    assert "ready to route" in result.stderr
    members = ModelZoo.load(zoo)
    assert members["ours"].endpoint == server.url
    assert members["ours"].output_price == 2
    assert members.profile("ours") == read_card(row["card"])
    run = read_sat_card(row["card"])[1]
    assert run is not None
    assert (run.answers, run.style, run.max_tokens) == (20, "direct", 64)


def test_a_part_of_the_exam_is_asked_by_tasks_and_shots(
    serve: Serve, arguments: list[str], tmp_path: Path
) -> None:
    server = serve(knows(bool))
    dry = runner.invoke(
        app, [*arguments, *ours(server), "--set", "tasks=2", "--set", "shots=3", "--dry-run", "--json"]
    )
    assert json.loads(dry.stdout)[0]["questions"] == 6
    assert not server.requests
    named = runner.invoke(
        app, [*arguments, *ours(server), "--set", "only=TASK 3", "--set", "only=1", "--dry-run", "--json"]
    )
    assert json.loads(named.stdout)[0]["questions"] == 10
    result = runner.invoke(app, [*arguments, *ours(server), "--set", "tasks=2", "--set", "shots=3"])
    assert result.exit_code == 0, result.output
    assert len(server.requests) == 6
    card = read_card(tmp_path / "cards" / "ours.json")
    assert [(task.task, task.items) for task in card.results] == [
        ("task 0", (0.0, 0.0, 0.0, None, None)),
        ("task 1", (1.0, 1.0, 1.0, None, None)),
    ]


def test_candidates_of_a_zoo_file_need_no_cards_yet(
    serve: Serve, arguments: list[str], tmp_path: Path
) -> None:
    zoo = tmp_path / "zoo.toml"
    one, two = serve(knows(bool)), serve(knows(lambda task: True))
    zoo.write_text(
        'format = "modelsat-zoo/1"\ncurrency = "EUR"\n'
        f'[[candidate]]\nname = "one"\nendpoint = "{one.url}"\ntags = ["ours"] # keep this\n'
        "input_price = 2\noutput_price = 2\n"
        f'[[candidate]]\nname = "two"\nendpoint = "{two.url}"\nmodel = "two-8b"\n'
    )
    result = runner.invoke(app, [*arguments, "--zoo", str(zoo), "--register", str(zoo)])
    assert result.exit_code == 0, result.output
    members = ModelZoo.load(zoo)
    assert {name: members.profile(name).level for name in members} == {"one": 0.75, "two": 1.0}
    assert "# keep this" in zoo.read_text()
    assert "€0.00" in result.stdout
    assert members.runs("one")[members.profile("one").exam].currency == "EUR"
    assert two.requests[0].model == "two-8b"


def test_a_failure_is_one_sentence_and_resume_goes_on(serve: Serve, arguments: list[str]) -> None:
    server = serve(Answer(status=401))
    failed = runner.invoke(app, [*arguments, *ours(server)])
    assert failed.exit_code == 1
    assert failed.stderr.count("\n") == 1 and "answered 401" in failed.stderr
    server = serve(answer("B"))
    assert runner.invoke(app, [*arguments, *ours(server)]).exit_code == 0
    again = runner.invoke(app, [*arguments, *ours(server)])
    assert again.exit_code == 1 and "--resume" in again.stderr
    assert runner.invoke(app, [*arguments, *ours(server), "--resume"]).exit_code == 0


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """A zoo of six candidates that sat this exam; nobody but the best one solves the last task."""
    exam = exam_of(instructions())
    answers = np.array([[at < 5 * count for at in range(20)] for count in (1, 1, 2, 3, 3, 4)], dtype=float)
    zoo = tmp_path / "reference.toml"
    ModelZoo((Candidate(name=card.candidate), card) for card in cards(exam, answers)).save(zoo)
    return zoo


def test_an_adaptive_exam_asks_less_and_says_so_on_the_card(
    serve: Serve, arguments: list[str], reference: Path, tmp_path: Path
) -> None:
    server = serve(knows(lambda task: task < 3))
    adaptive = ("--adaptive", "--set", "width=0.3", "--set", f"reference={reference}")
    result = runner.invoke(app, [*arguments, *ours(server), *adaptive])
    assert result.exit_code == 0, result.output
    assert 12 <= server.asked < 20
    path = tmp_path / "cards" / "ours.json"
    card, run = read_sat_card(path)
    assert run is not None and run.adaptive == 0.3
    assert any(task.estimated for task in card.results)
    assert all(
        low <= task.accuracy <= high for task in card.results for low, high in [run.intervals[task.task]]
    )
    assert card.results[0].accuracy > 0.7 > 0.4 > card.results[3].accuracy
    shown = runner.invoke(app, ["show", str(path)], env={"COLUMNS": "200"})
    assert "estimated for the whole task" in shown.stderr


def test_a_circle_test_asks_hard_items_again_with_turned_options(
    serve: Serve, arguments: list[str], reference: Path, tmp_path: Path
) -> None:
    # It says "A" to whatever is asked in the last task, which is right now and then.
    knowing = knows(lambda task: True)

    def lucky(request: FakeRequest) -> Answer:
        return answer("A") if "What is 300" in request.prompt else knowing(request)

    server = serve(lucky)
    result = runner.invoke(
        app, [*arguments, *ours(server), "--set", "circle=true", "--set", f"reference={reference}"]
    )
    assert result.exit_code == 0, result.output
    card = read_card(tmp_path / "cards" / "ours.json")
    assert [task.accuracy for task in card.results] == [1.0, 1.0, 1.0, 0.0]
    # Two of the five are right at first, and asked once more each.
    assert server.asked == 20 + 2
    plain = runner.invoke(app, [*arguments[:-4], "-o", str(tmp_path / "plain"), *ours(server), "--json"])
    assert json.loads(plain.stdout)[0]["level"] > card.level


def test_fields_of_the_request_can_be_set_and_taken_out(serve: Serve, arguments: list[str]) -> None:
    server = serve(knows(bool))
    params = [
        word
        for field in ("max_tokens=null", "max_completion_tokens=99", "effort=low", "shots=1")
        for word in ("--set", f"params.{field}" if field != "shots=1" else field)
    ]
    assert runner.invoke(app, [*arguments, *ours(server), *params]).exit_code == 0
    body: dict[str, Any] = server.requests[0].json
    assert "max_tokens" not in body
    assert (body["max_completion_tokens"], body["effort"], body["model"]) == (99, "low", "ours")


def test_every_option_of_0_3_still_works(arguments: list[str], reference: Path) -> None:
    values = {"--api": "completions", "--param": "top_p=0.9", "--task": "task", "--timeout": "9.5"}
    values |= {"--hard-below": "0.5", "--width": "0.2", "--reference": str(reference)}
    for option in FORMER:
        value = [] if option in ("--circle", "--skip-refused") else [values.get(option, "3")]
        extra = [*value, "--reference", str(reference)] if option == "--circle" else value
        result = runner.invoke(app, [*arguments, *OURS, option, *extra, "--dry-run"])
        assert result.exit_code == 0, result.output
        assert f"warning: {option} is now --set {FORMER[option]}" in result.stderr


@pytest.mark.parametrize(
    ("extra", "fault"),
    [
        (["--candidate", "ours"], "with its --base-url"),
        (["--candidate", "ours", "--base-url", "localhost:8000"], "expected a base URL such as"),
        ([*OURS, "--api-key-env", "NO_SUCH_VARIABLE"], "variable NO_SUCH_VARIABLE is not set"),
        ([*OURS, "--max-cost", "1"], "--max-cost needs the prices of ours"),
        ([*OURS, "--style", "loud"], "field 'style' is 'loud'"),
        ([*OURS, "--set", "api=soap"], "--set api=soap: field 'api' is 'soap'"),
        ([*OURS, "--set", "top_p"], "expected NAME=VALUE"),
        ([*OURS, "--set", "tasks=9"], "has 4 tasks, not 9"),
        ([*OURS, "--set", "only=poems"], "no task has 'poems' in its name"),
        ([*OURS, "--set", "circle=true", "--adaptive"], "exclude each other"),
        ([*OURS, "--set", "circle=true"], "no card of it has results per item"),
        ([*OURS, "--adaptive"], "needs at least 5"),
        ([*OURS, "--source", "nowhere.jsonl"], "no such file"),
        ([*OURS, "--source", "hub"], "dataset 'sums' are not fetched from the hub"),
        ([*OURS, "--zoo", "nowhere.toml"], "--base-url cannot be combined with --zoo"),
        (["--zoo", "nowhere.toml"], "no such file"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], extra: list[str], fault: str) -> None:
    result = runner.invoke(app, [*arguments, *extra])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert fault in result.stderr
    assert result.stderr.count("\n") == 1
