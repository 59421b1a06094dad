"""`modelsat demo`: the main job on some twenty instructions."""

import time
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten, wrap
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli.output import GAP, console, print_json
from modelsat.cli.route import RouterOption, ZooOption, load_router

if TYPE_CHECKING:
    from modelsat.capability.zoo import ModelZoo
    from modelsat.types import RoutingDecision

WIDEST = 200
# Of an instruction that shares its line with its decision.
SHORTEST_TEXT = 48
INDENT = 4
ELLIPSIS = " ..."
HEADINGS = ("chosen", "P(right)", "price", "next choice", "P(right)")
NAMES = (0, 3)
# Under `best` the strongest candidate of a zoo gets nearly everything; this shows what easy requests need.
POLICY = "cheapest-above=0.6"

INSTRUCTIONS = (
    "Which vitamin does human skin make when the sun shines on it?",
    "A spring of stiffness 200 N/m is stretched by 5 cm. How much energy does it store?",
    "Why does table salt raise the boiling point of water?",
    "In a cross of two heterozygous tall pea plants, what share of the offspring is short?",
    "Find all real x with x^3 - 6x^2 + 11x - 6 = 0.",
    "Is every continuous function on a closed interval uniformly continuous? Prove it.",
    "A fair coin is tossed ten times. What is the probability of exactly four heads?",
    "A machine bought for 40,000 loses 20% of its book value a year. What is it worth after three years?",
    "What happens to the price of bread if wheat gets scarce while demand stays the same?",
    "Which clause decides whether a landlord may keep the deposit after a broken window?",
    "What did the Peace of Westphalia change for the princes of the Holy Roman Empire?",
    "Explain the difference between a categorical and a hypothetical imperative.",
    "A patient has had a dry cough since starting lisinopril. What is the likely cause?",
    "Why do people remember the first and the last items of a list best?",
    "Write a Python function that merges two sorted lists without using sorted().",
    "This SQL is slow: SELECT * FROM orders WHERE YEAR(created) = 2024. How do I make it use the index?",
    "Draft a short, friendly mail to my neighbours: the water is off on Tuesday from nine to noon.",
    "Suggest a dinner for four from chickpeas, spinach and rice.",
    "Rewrite in plain words: 'The aforementioned remuneration shall be disbursed in arrears.'",
    "¿Cuál es la capital de Australia y por qué no es Sídney?",
    "Here are the notes of our meeting; sum them up in three sentences. "
    + " ".join(
        f"Item {number}: the team read the figures of week {number}, found costs {number % 7}% over plan, "
        "and agreed to look again when the supplier has answered."
        for number in range(1, 61)
    ),
)


def demo(
    zoo: ZooOption = None,
    router: RouterOption = "accurate",
    policy: Annotated[str, typer.Option(help="best, cheapest-above=0.6 or value=0.01.")] = POLICY,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    svg: Annotated[
        Path | None,
        typer.Option("--svg", help="Draw what is printed as an SVG picture too.", show_default=False),
    ] = None,
) -> None:
    """Route some twenty instructions across the shipped zoo."""
    start = time.perf_counter()
    loaded_router = load_router(router, zoo, None, policy)
    loaded = time.perf_counter() - start
    decisions = [loaded_router.route(text) for text in INSTRUCTIONS]
    took = time.perf_counter() - start - loaded
    if as_json:
        from modelsat.routing.batch import decision_row

        print_json([decision_row(decision, top=2, explain=True) for decision in decisions])
        return
    width = min(console().width, WIDEST)
    known = loaded_router.zoo
    lines = lay_out(list(zip(INSTRUCTIONS, decisions, strict=True)), width, known.currency)
    sentences = (
        f"{len(decisions)} instructions over {len(known)} candidates in {took:.1f} s, after {loaded:.1f} s of loading; "
        f"policy {policy}.",
        *compare_with_strongest(decisions, known),
    )
    text = "\n".join([*lines, "", *("\n".join(wrap(sentence, width)) for sentence in sentences)])
    typer.echo(text)
    if svg is not None:
        svg.write_text(picture(text, width), "utf-8")


def picture(text: str, width: int) -> str:
    """A terminal that shows a text, as SVG; fonts are the viewer's own, so that nothing is fetched."""
    import io
    import re

    from rich.console import Console

    recorder = Console(record=True, width=width, file=io.StringIO(), highlight=False, markup=False)
    recorder.print(f"$ modelsat demo\n{text}", soft_wrap=False)
    drawn = recorder.export_svg(title="modelsat demo", unique_id="demo")
    return re.sub(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", "", drawn, flags=re.DOTALL)


def lay_out(routed: "Sequence[tuple[str, RoutingDecision]]", width: int, currency: str) -> list[str]:
    """Decisions as lines: one each where there is room, else two, with a heading above.

    Args:
        routed: Instructions with their decisions.
        width: Columns of the terminal. Columns of the decision that do not fit are left out, the last ones first.
        currency: ISO 4217 code of the prices.
    """
    rows = [HEADINGS, *(_cells(decision, currency) for _, decision in routed)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEADINGS))]
    kept = len(widths)
    while kept > 1 and INDENT + sum(widths[:kept]) + GAP * (kept - 1) > width:
        kept -= 1
    heading, *details = (
        (" " * GAP).join(
            f"{cell:{'<' if at in NAMES else '>'}{widths[at]}}" for at, cell in enumerate(row[:kept])
        )
        for row in rows
    )
    room = width - INDENT - GAP - len(heading)
    shared = room >= SHORTEST_TEXT
    margin = INDENT + room + GAP if shared else INDENT
    lines = [" " * margin + heading]
    for number, ((text, _), detail) in enumerate(zip(routed, details, strict=True), start=1):
        start = f"{number:>{INDENT - GAP}}  {shorten(text, room if shared else width - INDENT, placeholder=ELLIPSIS)}"
        lines += [f"{start:{margin}}{detail}"] if shared else [start, " " * margin + detail]
    return [line.rstrip() for line in lines]


def compare_with_strongest(decisions: "Sequence[RoutingDecision]", zoo: "ModelZoo") -> list[str]:
    """What the decisions cost and are expected to get right, beside always choosing the zoo's strongest candidate."""
    from modelsat.routing.pricing import format_money

    strongest = max(zoo.profiles, key=lambda profile: (profile.level, profile.candidate)).candidate
    chosen = [decision.ranking[0] for decision in decisions]
    always = [next(one for one in decision.ranking if one.candidate == strongest) for decision in decisions]
    sentences = [
        f"Expected right: {sum(one.probability for one in chosen):.1f} of {len(decisions)}; "
        f"always {strongest}, the strongest: {sum(one.probability for one in always):.1f}."
    ]
    unpriced = sorted({one.candidate for one in (*chosen, *always) if one.expected_cost is None})
    if unpriced:
        return [*sentences, f"Cost is unknown: the zoo has no prices of {', '.join(unpriced)}."]
    spent, most = (sum(one.expected_cost or 0.0 for one in ranked) for ranked in (chosen, always))
    costs, strong, saved = (format_money(amount, zoo.currency) for amount in (spent, most, most - spent))
    share = f" Saved: {saved} ({1 - spent / most:.0%})." if spent < most else ""
    return [*sentences, f"Expected cost: {costs}; always the strongest: {strong}.{share}"]


def _cells(decision: "RoutingDecision", currency: str) -> tuple[str, ...]:
    from modelsat.routing.pricing import format_money

    chosen = decision.ranking[0]
    price = "?" if chosen.expected_cost is None else format_money(chosen.expected_cost, currency)
    following = [(one.candidate, f"{one.probability:.2f}") for one in decision.ranking[1:2]] or [("-", "-")]
    return (chosen.candidate, f"{chosen.probability:.2f}", price, *following[0])
