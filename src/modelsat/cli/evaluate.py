"""`modelsat evaluate`: the short form of the benchmark, one table on held-out outcomes."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from modelsat.cli.bench import (
    AlsoOption,
    CardsOption,
    ExamOption,
    FreshOption,
    JsonOption,
    OutcomesOption,
    RouterOption,
    SeedOption,
    SplitsOption,
    one_of,
    run_benchmark,
    show,
)
from modelsat.cli.output import say
from modelsat.errors import DataError

EPILOG = "Example: modelsat evaluate --outcomes data/ --router runs/mine/checkpoint --also shipped=accurate"
_SPLITS = {"test": "test", "validation": "development"}
_PARTS = ("test", "validation")


def evaluate(
    outcomes: OutcomesOption = None,
    splits: SplitsOption = None,
    part: Annotated[str, typer.Option(help="test, or validation while choices are made.")] = "test",
    router: RouterOption = "accurate",
    also: AlsoOption = None,
    cards: CardsOption = None,
    exam: ExamOption = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Route only this dataset; repeatable.", show_default=False)
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many instructions per part.", show_default=False)
    ] = None,
    all_baselines: Annotated[
        bool,
        typer.Option("--baselines", help="Fit every baseline of the benchmark, not only the quick ones."),
    ] = False,
    seed: SeedOption = 0,
    fresh: FreshOption = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write a report without plots to this folder; a file .json gets the result alone.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    stem_only: Annotated[bool, typer.Option("--stem-only", hidden=True)] = False,
    controls: Annotated[bool, typer.Option("--controls", hidden=True)] = False,
    no_router: Annotated[bool, typer.Option("--no-router", hidden=True)] = False,
) -> None:
    """Route held-out outcomes and compare the choices with those of simple methods. More: modelsat bench."""
    split = _SPLITS[one_of("--part", part, _PARTS)]
    for option, given, instead in (
        ("--stem-only", stem_only, "the benchmark's section robustness measures the same"),
        ("--controls", controls, "controls are measured by `modelsat bench --section zoos`"),
        ("--no-router", no_router, "the router is a row beside the others"),
    ):
        if given:
            say(f"warning: {option} goes with 0.5: {instead}.")
    if no_router and also:
        raise DataError("--no-router measures baselines only; drop --also.")
    from modelsat.bench.baselines import QUICK
    from modelsat.bench.run import EFFORTS

    result = run_benchmark(
        outcomes,
        splits=splits,
        router=router,
        also=also,
        cards=cards,
        exam=exam,
        prices=None,
        sections=("zoos",),
        fresh=fresh,
        effort=replace(EFFORTS["full"], routed=limit, beyond=False, streams=(), shuffles=8 * controls),
        split=split,
        seed=seed,
        datasets=tuple(dataset or ()),
        stem_only=stem_only,
        baselines=None if all_baselines else QUICK,
        with_router=not no_router,
    )
    if folder is not None and folder.suffix == ".json":
        result.save(folder)
        say(f"{folder}: written.")
        folder = None
    show(result, folder, plots=False, as_json=as_json, whole=False)
