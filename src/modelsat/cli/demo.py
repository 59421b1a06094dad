"""`modelsat demo`: the main job on some twenty instructions."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli.output import console, make_table, print_json
from modelsat.cli.route import RouterOption, ZooOption, load_router

if TYPE_CHECKING:
    from modelsat.types import RoutingDecision

WIDTH = 100
TASKS_SHOWN = 2
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
) -> None:
    """Route some twenty instructions across the shipped zoo."""
    start = time.perf_counter()
    loaded_router = load_router(router, zoo, None, policy)
    loaded = time.perf_counter() - start
    routed: list[tuple[str, RoutingDecision, float]] = []
    for text in INSTRUCTIONS:
        before = time.perf_counter()
        decision = loaded_router.route(text)
        routed.append((text, decision, time.perf_counter() - before))
    total = time.perf_counter() - start
    if as_json:
        from modelsat.routing.batch import decision_row

        print_json([decision_row(decision, top=2, explain=True) for _, decision, _ in routed])
        return
    rows = [
        _row(number, text, decision, took) for number, (text, decision, took) in enumerate(routed, start=1)
    ]
    table = make_table(
        ("", "instruction", "chosen", "P(right)", "runner-up", "tasks that spoke", "ms"),
        rows,
        numeric=("P(right)", "ms"),
    )
    target = console(width=WIDTH)
    target.print(table)
    target.print(
        f"{len(routed)} instructions over {len(loaded_router.zoo)} candidates in {total - loaded:.1f} s, "
        f"after {loaded:.1f} s of loading; policy {policy}."
    )
    if money := _money([decision for _, decision, _ in routed]):
        target.print(money)


def _money(decisions: "Sequence[RoutingDecision]") -> str | None:
    """What the choices cost beside always asking the likeliest; None where a price is unknown."""
    chosen = [decision.ranking[0].expected_price for decision in decisions]
    likeliest = [
        max(decision.ranking, key=lambda ranked: ranked.probability).expected_price for decision in decisions
    ]
    if None in chosen or None in likeliest:
        return None
    spent, most = (sum(price for price in prices if price is not None) for prices in (chosen, likeliest))
    return f"Expected price: {spent:.4f}; always asking the likeliest candidate: {most:.4f}."


def _row(number: int, text: str, decision: "RoutingDecision", seconds: float) -> tuple[object, ...]:
    runner_up = decision.ranking[1] if len(decision.ranking) > 1 else None
    tasks = "; ".join(f"{task} {weight:.0%}" for task, weight in decision.tasks[:TASKS_SHOWN])
    return (
        number,
        text if len(text) <= 60 else text[:57] + "...",
        decision.candidate,
        f"{decision.probability:.2f}",
        "-" if runner_up is None else f"{runner_up.candidate} {runner_up.probability:.2f}",
        tasks or "none: overall level",
        f"{1000 * seconds:.0f}",
    )
