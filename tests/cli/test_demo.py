"""`modelsat demo` at every width of a terminal, with a real scorer that needs no weights."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modelsat.capability.zoo import ModelZoo
from modelsat.cli.demo import INSTRUCTIONS, POLICY, lay_out
from modelsat.cli.main import app
from modelsat.progress import Progress
from modelsat.routing.policy import RoutingPolicy
from modelsat.routing.router import Router
from modelsat.routing.scorer import Level
from modelsat.types import Candidate
from tests.profiles import profile

runner = CliRunner()
WIDTHS = (72, 80, 100, 120, 200)


@pytest.fixture(autouse=True)
def level_router(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str, *, zoo: ModelZoo, policy: RoutingPolicy, progress: Progress) -> Router:
        return Router(scorer=Level(), zoo=zoo, policy=policy)

    monkeypatch.setattr(Router, "load", load)


def demo(width: int, *arguments: str) -> list[str]:
    result = runner.invoke(app, ["demo", *arguments], env={"COLUMNS": str(width)})
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("policy", ["best", POLICY, "value=0.01"])
def test_no_row_is_over_the_width_and_no_word_or_name_is_broken(width: int, policy: str) -> None:
    lines = demo(width, "--policy", policy)
    assert max(map(len, lines)) <= width
    words = {word for text in INSTRUCTIONS for word in text.split()}
    names = set(ModelZoo.shipped().names)
    rows = lines[1 : lines.index("")]
    heading = {"...", "?"}
    for line in rows:
        for word in line.split():
            known = word in words or word in names or word in heading
            assert known or re.fullmatch(r"\d+|\d\.\d\d|\$\d+\.\d+", word), line


@pytest.mark.parametrize(("width", "lines_each"), [(72, 2), (80, 2), (100, 2), (120, 2), (200, 1)])
def test_a_request_takes_one_or_two_lines(width: int, lines_each: int) -> None:
    lines = demo(width)
    assert lines.index("") == 1 + lines_each * len(INSTRUCTIONS)


def test_wider_terminals_show_more() -> None:
    assert "next choice" not in demo(60)[0]
    assert demo(80)[0].split() == ["chosen", "P(right)", "price", "next", "choice"]
    assert demo(120)[0].split() == ["chosen", "P(right)", "price", "next", "choice", "P(right)"]


def test_the_saving_is_counted_against_always_the_strongest() -> None:
    zoo = ModelZoo(
        (
            Candidate(name=name, input_price=price, output_price=price, currency="EUR"),
            profile(name, {"law": level}),
        )
        for name, price, level in (("cheap", 1.0, 0.7), ("dear", 10.0, 0.9))
    )
    text = " ".join(saved(zoo, POLICY))
    assert "always dear, the strongest: 18.9" in text
    assert "Expected right: 14.7 of 21" in text
    assert re.search(r"Saved: €0\.\d+ \(90%\)", text)
    assert "Saved" not in " ".join(saved(zoo, "best"))


def test_an_unknown_price_is_said_and_nothing_is_counted() -> None:
    zoo = ModelZoo([(Candidate(name="free text"), profile("free text", {"law": 0.7}))])
    assert "Cost is unknown: the zoo has no prices of free text." in " ".join(saved(zoo, "best"))
    decision = Router(scorer=Level(), zoo=zoo).route("x")
    assert lay_out([("x", decision)], 80, "USD")[2].split() == ["free", "text", "0.70", "?", "-", "-"]


def saved(zoo: ModelZoo, policy: str) -> list[str]:
    from modelsat.cli.demo import compare_with_strongest

    router = Router(scorer=Level(), zoo=zoo, policy=RoutingPolicy.parse(policy))
    return compare_with_strongest([router.route(text) for text in INSTRUCTIONS], zoo)


def test_json_holds_every_decision(tmp_path: Path) -> None:
    rows = json.loads("\n".join(demo(80, "--json")))
    assert len(rows) == len(INSTRUCTIONS)
