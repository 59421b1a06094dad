"""`modelsat route`: one instruction, one chat, or a file of them."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli.output import print_json, print_table, print_text, progress_bars, say
from modelsat.errors import DataError

if TYPE_CHECKING:
    from modelsat.routing.batch import BatchReport
    from modelsat.routing.router import Router
    from modelsat.types import Instruction, RoutingDecision

ZooOption = Annotated[
    Path | None,
    typer.Option("--zoo", help="Zoo file (TOML); the shipped zoo by default.", show_default=False),
]
RouterOption = Annotated[
    str,
    typer.Option(
        "--router", help="accurate, fast or fastest (students of it), cascade, or a checkpoint folder."
    ),
]


def route(
    text: Annotated[
        str | None,
        typer.Argument(help="Text, or a JSON list of role/content messages; - or nothing reads stdin."),
    ] = None,
    zoo: ZooOption = None,
    candidates: Annotated[
        str | None, typer.Option(help="Route to these only: names separated by commas.", show_default=False)
    ] = None,
    policy: Annotated[str, typer.Option(help="best, cheapest-above=0.6 or value=0.01.")] = "best",
    top: Annotated[int, typer.Option(min=1, help="Candidates to show.")] = 5,
    explain: Annotated[bool, typer.Option("--explain", help="Say why.")] = False,
    why_not: Annotated[
        str | None,
        typer.Option("--why-not", help="Say why this candidate was not chosen.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    router: RouterOption = "accurate",
    source: Annotated[
        Path | None,
        typer.Option("--input", help="Route a JSONL file, a request per line.", show_default=False),
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option("--output", help="Decisions, a line each; resumed if it exists.", show_default=False),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave malformed lines of --input out.")
    ] = False,
    redo_changed: Annotated[
        bool,
        typer.Option(
            "--redo-changed", help="Route again where text, router, zoo or policy differ from --output's."
        ),
    ] = False,
) -> None:
    """Choose a candidate for an instruction, a chat, or a file of them."""
    if (source is None) != (target is None):
        raise DataError("--input and --output go together; give both to route a file.")
    if source is not None and target is not None:
        if text is not None:
            raise DataError("give either a text or --input, not both.")
        if why_not is not None:
            raise DataError("--why-not explains a single request; give it as text, without --input.")
        from modelsat.routing.batch import route_file

        loaded = load_router(router, zoo, candidates, policy)
        with progress_bars() as advance:
            report = route_file(
                loaded,
                source,
                target,
                skip_bad=skip_bad,
                redo_changed=redo_changed,
                top=top,
                explain=explain,
                progress=advance,
            )
        _say_routed(report, target)
        return
    # Read before the weights are: a mistake is told at once.
    instruction = read_request(text)
    loaded = load_router(router, zoo, candidates, policy)
    decision = loaded.route(instruction)
    against = () if why_not is None else loaded.why_not(instruction, why_not)
    if as_json:
        from modelsat.routing.batch import decision_row

        row = decision_row(decision, top=top, explain=explain)
        print_json(
            row if why_not is None else {**row, "why_not": {"candidate": why_not, "reasons": list(against)}}
        )
        return
    print_decision(decision, loaded.zoo.currency, top=top, explain=explain)
    for reason in against:
        print_text(f"- {reason}")


def load_router(router: str, zoo: Path | None, candidates: str | None, policy: str) -> "Router":
    """Wire scorer, zoo and policy together as the options say."""
    from modelsat.capability.zoo import ModelZoo
    from modelsat.routing.policy import RoutingPolicy
    from modelsat.routing.router import Router

    preferred = RoutingPolicy.parse(policy)
    chosen = ModelZoo.shipped() if zoo is None else ModelZoo.load(zoo)
    if candidates is not None:
        names = [name.strip() for name in candidates.split(",") if name.strip()]
        if not names:
            raise DataError("--candidates names no candidate; write names separated by commas.")
        chosen = chosen.select(names)
    with progress_bars() as advance:
        return Router.load(router, zoo=chosen, policy=preferred, progress=advance)


def read_request(text: str | None) -> "Instruction":
    """The request of an argument, or of stdin: text, or chat messages as JSON."""
    from modelsat.routing.batch import request_from_json
    from modelsat.routing.requests import looks_like_messages, to_instruction

    if text is None or text == "-":
        if sys.stdin.isatty():
            say("Type the instruction, then Ctrl-D.")
        text = sys.stdin.buffer.read().decode("utf-8-sig", errors="replace")
    if text.lstrip().startswith("["):
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            # Text may begin with a bracket.
            return to_instruction(text)
        if looks_like_messages(value):
            return request_from_json(value)
    return to_instruction(text)


def print_decision(decision: "RoutingDecision", currency: str, *, top: int, explain: bool) -> None:
    """Show a decision as a table, best first, with its reasons below where wanted."""
    from modelsat.routing.pricing import format_money

    rows = [
        (
            "->" if place == 0 else "",
            ranked.candidate,
            f"{ranked.probability:.3f}",
            "-" if ranked.expected_cost is None else format_money(ranked.expected_cost, currency),
        )
        for place, ranked in enumerate(decision.ranking[:top])
    ]
    print_table(("", "candidate", "P(right)", "expected cost"), rows, numeric=("P(right)", "expected cost"))
    if explain:
        for reason in decision.reasons:
            print_text(f"- {reason}")


def _say_routed(report: "BatchReport", target: Path) -> None:
    if report.skipped:
        say(f"skipped {len(report.skipped)} malformed line(s): {', '.join(map(str, report.skipped))}")
    earlier = f" ({report.resumed} routed by an earlier run)" if report.resumed else ""
    say(f"{target}: {report.routed + report.resumed} decisions{earlier}.")
