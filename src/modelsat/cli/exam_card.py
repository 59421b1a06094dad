"""`modelsat exam show` and `compare`: capability cards in the terminal, and as a page."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from modelsat.capability.run import ExamRun
    from modelsat.types import CapabilityProfile

BAR = 24
_FULL, _EDGE = "█", "▏▎▍▌▋▊▉"
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def show(
    card: Annotated[Path, typer.Argument(metavar="CARD", help="A capability card.")],
    text: Annotated[bool, typer.Option("--text", help="Print the capability representation.")] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write it as an HTML page.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a capability card: a bar per task, best tasks first, and how the exam went."""
    from modelsat.capability.card import card_object, read_sat_card
    from modelsat.capability.profile import represent

    profile, run = read_sat_card(card)
    if html is not None:
        from modelsat.exam.page import card_page
        from modelsat.records.files import write_text

        write_text(html, card_page(profile, run))
        say(f"{html}: written.")
    if as_json:
        print_json(card_object(profile, run))
    elif text:
        typer.echo(represent(profile))
    elif html is None:
        _print_card(profile, run)


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A capability card.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another capability card.")],
    as_json: JsonOption = False,
) -> None:
    """Compare two capability cards: task by task, and in speed, length and cost."""
    import numpy as np

    from modelsat.capability.card import read_sat_card
    from modelsat.exam.compare import compare as compare_cards

    profiles, runs = zip(*(read_sat_card(path) for path in (first, second)), strict=True)
    comparison = compare_cards(*profiles, rng=np.random.default_rng(0))
    if as_json:
        print_json({"first": profiles[0].candidate, "second": profiles[1].candidate, **asdict(comparison)})
        return
    names = [profile.candidate for profile in profiles]
    if names[0] == names[1]:
        names = [f"{profile.candidate} {profile.date}".strip() for profile in profiles]
    if names[0] == names[1]:
        names = ["A", "B"]
    print_table(
        ("task", *names, "difference", "shots"),
        [
            (row.task, f"{row.first:.0%}", f"{row.second:.0%}", _points(row.difference), row.shots)
            for row in comparison.tasks
        ],
        numeric=(*names, "difference", "shots"),
    )
    rows = [(label, *cells) for label, *cells in zip(*_facts_of(profiles, runs), strict=True)]
    if any(run is not None for run in runs):
        print_table(("", *names), rows, numeric=names)
    low, high = comparison.interval
    how = "paired by item" if comparison.paired else "not paired: different or unknown items"
    typer.echo(
        f"{names[1]} is {_points(comparison.difference)} points from {names[0]} "
        f"[{_points(low)}, {_points(high)}], {how}."
    )
    for name, only in zip(names, (comparison.only_first, comparison.only_second), strict=True):
        if only:
            say(f"{len(only)} tasks are left out: only {name} sat them.")


def bar(share: float, width: int = BAR) -> str:
    """A share from 0 to 1 as a bar of block characters."""
    eighths = round(share * width * 8)
    whole, rest = divmod(eighths, 8)
    return _FULL * whole + (_EDGE[rest - 1] if rest else "")


def _print_card(profile: "CapabilityProfile", run: "ExamRun | None") -> None:
    from modelsat.capability.run import accuracy_interval
    from modelsat.exam.page import run_facts

    rows = []
    for result in sorted(profile.results, key=lambda result: -result.accuracy):
        low, high = accuracy_interval(result, run)
        rows.append(
            (
                result.task,
                bar(result.accuracy),
                f"{result.accuracy:.0%}{'~' if result.estimated else ''}",
                f"{low:.0%}-{high:.0%}",
                result.shots,
            )
        )
    shots = sum(result.shots for result in profile.results)
    date = f", {profile.date}" if profile.date else ""
    print_table(
        ("task", "", "accuracy", "95%", "shots"),
        rows,
        title=f"{profile.candidate}: {profile.level:.1%} on {shots} items of exam {profile.exam}{date}",
        numeric=("accuracy", "95%", "shots"),
    )
    if any(result.estimated for result in profile.results):
        say("~: estimated for the whole task from the items that were asked.")
    if run is not None:
        print_table(("", ""), run_facts(run))
    if profile.notes:
        say(f"notes: {profile.notes}")


def _facts_of(
    profiles: "tuple[CapabilityProfile, ...]", runs: "tuple[ExamRun | None, ...]"
) -> list[list[str]]:
    """Labels, then one column per card."""
    from modelsat.exam.page import run_facts

    known = next((run_facts(run) for run in runs if run is not None), [])
    labels = ["date", *(label for label, _ in known)]
    columns = [
        [
            profile.date or "?",
            *(["?"] * len(known) if run is None else [value for _, value in run_facts(run)]),
        ]
        for profile, run in zip(profiles, runs, strict=True)
    ]
    return [labels, *columns]


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"
