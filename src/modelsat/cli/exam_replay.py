"""`modelsat exam replay`: what an adaptive exam saves, and its error."""

from pathlib import Path
from typing import Annotated

import typer

from modelsat.cli.output import print_json, print_table, progress_bars, say

WIDTHS = (0.2, 0.15, 0.1)


def replay(
    blueprint: Annotated[
        str, typer.Option("--blueprint", "--exam", metavar="NAME|FILE", help="The exam: core or a file.")
    ] = "core",
    zoo: Annotated[
        Path | None,
        typer.Option(
            "--zoo",
            metavar="FILE",
            help="Zoo whose cards have the recorded answers; the shipped one by default.",
            show_default=False,
        ),
    ] = None,
    width: Annotated[
        list[float] | None,
        typer.Option(
            min=0.01, max=0.5, help="Half-width at which a task is stopped; repeatable.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random items for comparison.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Replay adaptive exams on recorded answers: calls saved, and error against the full exam.

    Each candidate of the zoo sits in turn; item difficulties are fitted to the others' answers.
    """
    import numpy as np

    from modelsat.capability.aptitude import AptitudeTest
    from modelsat.capability.zoo import ModelZoo
    from modelsat.exam.replay import replay as replay_exam

    exam = AptitudeTest.find(blueprint)
    known = ModelZoo.shipped() if zoo is None else ModelZoo.load(zoo)
    with progress_bars() as advance:
        rows = replay_exam(
            exam, known.profiles, width or WIDTHS, rng=np.random.default_rng(seed), progress=advance
        )
    if as_json:
        print_json([row.to_json() for row in rows])
        return
    columns = (
        "width",
        "calls saved",
        "at least",
        "task error",
        "of random items",
        "level error",
        "ranks",
        "inside",
    )
    print_table(
        columns,
        [
            (
                f"+-{row.width:g}",
                f"{row.saved:.0%}",
                f"{row.fewest_saved:.0%}",
                f"{100 * row.task_error:.1f}",
                f"{100 * row.random_error:.1f}",
                f"{100 * row.level_error:.1f}",
                f"{row.rank_correlation:.3f}",
                f"{row.coverage:.0%}",
            )
            for row in rows
        ],
        title=f"{rows[0].candidates} candidates on exam {exam.name}; errors in points",
        numeric=columns,
    )
    say(
        "task error: against the task's accuracy on the full exam; of random items: the same number of items, drawn at "
        "random. ranks: correlation of levels with the full exam's. inside: task accuracies inside their 95% interval."
    )
