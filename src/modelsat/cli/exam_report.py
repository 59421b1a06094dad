"""What `modelsat exam run` tells: what it would ask, and what came of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from modelsat.cli.output import INTERRUPTED, print_json, print_table, say

if TYPE_CHECKING:
    from modelsat.exam.questions import Question
    from modelsat.exam.session import Result, Rules, Seat


def show_plan(
    seats: "Sequence[Seat]", questions: "Sequence[Question]", rules: "Rules", *, as_json: bool
) -> None:
    """Say what would be asked and what it may cost."""
    from modelsat.exam.budget import Prices, estimated_tokens

    read = sum(estimated_tokens(rules.prompting.prompt(question)) for question in questions)
    rows = []
    for seat in seats:
        prices = Prices.of(seat.candidate)
        most = prices.cost(read, len(questions) * rules.prompting.max_tokens) if prices.known else None
        rows.append((seat.candidate.name, seat.endpoint.url, len(questions), read, most))
    keys = ("candidate", "url", "questions", "input_tokens", "cost_at_most")
    if as_json:
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
        return
    print_table(
        keys,
        [(*row[:4], "?" if row[4] is None else f"{row[4]:.4g}") for row in rows],
        numeric=keys[2:],
    )
    if rules.hard or rules.bank is not None:
        say("a circle test asks more than this, an adaptive exam less: it depends on the answers.")


def report(results: "Sequence[Result]", output: Path, register: Path | None, *, as_json: bool) -> None:
    """Write the cards, enter them in a zoo file, and say how each exam ended."""
    from modelsat.capability.card import card_name, write_card
    from modelsat.capability.zoo_file import register as enter

    rows = []
    for result in results:
        name = result.seat.candidate.name
        card = output / card_name(name)
        row: dict[str, Any] = {"candidate": name, "journal": str(result.journal), "resumed": result.resumed}
        if result.error:
            row["error"] = result.error
        if result.ending is not None:
            row |= {"asked": result.ending.asked, "seconds": round(result.ending.seconds, 2)}
            row |= {"ended": result.ending.reason or "finished", "lost": len(result.ending.lost)}
        if result.profile is not None and result.run is not None:
            write_card(card, result.profile, result.run)
            row |= {"card": str(card), "level": round(result.profile.level, 4)}
            row |= {"shots": sum(task.shots for task in result.profile.results)}
            row |= {"unreadable": result.run.unreadable, "cost": result.run.cost}
            if register is not None:
                enter(register, result.seat.candidate, card)
        rows.append(row)
    if as_json:
        print_json(rows)
    else:
        _print_rows(rows)
    for result in results:
        _explain(result, register)
    if any(result.error for result in results):
        raise typer.Exit(1)
    if any(result.ending is not None and result.ending.reason == "stopped" for result in results):
        raise typer.Exit(INTERRUPTED)


def _print_rows(rows: Sequence[dict[str, Any]]) -> None:
    graded = [row for row in rows if "card" in row]
    if not graded:
        return
    numbers = ("level", "shots", "unreadable", "lost", "cost")
    print_table(
        ("candidate", *numbers, "card"),
        [
            (
                row["candidate"],
                f"{row['level']:.3f}",
                row["shots"],
                row["unreadable"],
                row["lost"],
                "?" if row["cost"] is None else f"{row['cost']:.4g}",
                row["card"],
            )
            for row in graded
        ],
        numeric=numbers,
    )


def _explain(result: "Result", register: Path | None) -> None:
    name = result.seat.candidate.name
    if result.error:
        say(f"error: {name}: {result.error}")
    elif result.ending is not None and result.ending.reason == "stopped":
        say(f"{name}: stopped; what was answered is kept: go on with --resume.")
    elif result.ending is not None:
        if result.ending.reason:
            say(f"{name}: ended early: {result.ending.reason}; the card holds what was answered.")
        if result.ending.lost:
            say(f"{name}: {len(result.ending.lost)} questions got no answer; --resume asks them again.")
        if register is not None:
            say(f'{name}: routable now:  modelsat route "..." --zoo {register}')
