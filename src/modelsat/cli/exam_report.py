"""Output of `modelsat exam run`: its plan, and its results."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from modelsat.cli.output import INTERRUPTED, print_json, print_table, say

if TYPE_CHECKING:
    from modelsat.exam.questions import Question
    from modelsat.exam.session import ExamResult
    from modelsat.exam.settings import ExamSettings, Participant


def show_plan(
    participants: "Sequence[Participant]",
    questions: "Sequence[Question]",
    settings: "ExamSettings",
    *,
    as_json: bool,
) -> None:
    """Print what would be asked and what it may cost."""
    from modelsat.exam.budget import estimated_tokens
    from modelsat.routing.pricing import expected_cost, format_money

    prompts = settings.prompts
    read = sum(estimated_tokens(prompts.text(question)) for question in questions)
    written = len(questions) * prompts.max_tokens
    rows = [
        (
            one.candidate.name,
            one.endpoint.url,
            len(questions),
            read,
            expected_cost(one.candidate, read, written),
        )
        for one in participants
    ]
    keys = ("candidate", "url", "questions", "input_tokens", "cost_at_most")
    if as_json:
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
        return
    print_table(
        keys,
        [
            (*row[:4], "?" if row[4] is None else format_money(row[4], one.candidate.currency))
            for row, one in zip(rows, participants, strict=True)
        ],
        numeric=keys[2:],
    )
    if settings.circle or settings.adaptive:
        say("A circle test asks more than this, an adaptive exam less, depending on the answers.")


def report(results: "Sequence[ExamResult]", output: Path, register: Path | None, *, as_json: bool) -> None:
    """Write the cards, enter them in a zoo file, and print how each exam ended."""
    from modelsat.capability.card import card_name, renew_card
    from modelsat.capability.zoo_file import register as enter

    rows = []
    for result in results:
        name = result.participant.candidate.name
        card = output / card_name(name)
        row: dict[str, Any] = {"candidate": name, "journal": str(result.journal), "resumed": result.resumed}
        if result.error:
            row["error"] = result.error
        if result.outcome is not None:
            row |= {"asked": result.outcome.asked, "seconds": round(result.outcome.seconds, 2)}
            row |= {"ended": result.outcome.reason or "finished", "lost": len(result.outcome.lost)}
        if result.profile is not None and result.run is not None:
            renew_card(card, result.profile, result.run)
            row |= {"card": str(card), "level": round(result.profile.level, 4)}
            row |= {"shots": sum(task.shots for task in result.profile.results)}
            row |= {
                "unreadable": result.run.unreadable,
                "cost": result.run.cost,
                "currency": result.run.currency,
            }
            if register is not None:
                enter(register, result.participant.candidate, card)
        rows.append(row)
    if as_json:
        print_json(rows)
    else:
        _print_rows(rows)
    for result in results:
        _explain(result, register)
    if any(result.error for result in results):
        raise typer.Exit(1)
    if any(result.outcome is not None and result.outcome.reason == "stopped" for result in results):
        raise typer.Exit(INTERRUPTED)


def _print_rows(rows: Sequence[dict[str, Any]]) -> None:
    from modelsat.routing.pricing import format_money

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
                "?" if row["cost"] is None else format_money(row["cost"], row["currency"]),
                row["card"],
            )
            for row in graded
        ],
        numeric=numbers,
    )


def _explain(result: "ExamResult", register: Path | None) -> None:
    name = result.participant.candidate.name
    if result.error:
        say(f"error: {name}: {result.error}")
    elif result.outcome is not None and result.outcome.reason == "stopped":
        say(f"{name}: stopped; all answers are kept. Pass --resume to continue.")
    elif result.outcome is not None:
        if result.outcome.reason:
            say(f"{name}: ended early: {result.outcome.reason}; the card is made from the answers so far.")
        if result.outcome.lost:
            say(f"{name}: {len(result.outcome.lost)} questions got no answer; --resume asks them again.")
        if register is not None:
            say(f'{name}: ready to route:  modelsat route "..." --zoo {register}')
