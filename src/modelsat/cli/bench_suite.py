"""`modelsat bench --suite`: the benchmark against every rival, on real outcomes."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from modelsat.cli.bench_report import print_result, result_json, write
from modelsat.cli.output import print_json, progress_bars, say
from modelsat.errors import DataError

if TYPE_CHECKING:
    from modelsat.bench.results import BenchmarkResult, Split, Suite

SUITES: tuple["Suite", ...] = ("quick", "full")
SPLITS: tuple["Split", ...] = ("development", "test")
REQUIREMENT_FAILED = 2
Choice = TypeVar("Choice", bound=str)


def bench(
    context: typer.Context,
    suite: Annotated[
        str | None,
        typer.Option(help="quick: samples, minutes; full: everything, resumable.", show_default=False),
    ] = None,
    outcomes: Annotated[
        Path | None,
        typer.Option(
            help="Folder of instructions and outcomes.", envvar="MODELSAT_OUTCOMES", show_default=False
        ),
    ] = None,
    splits: Annotated[
        Path | None,
        typer.Option(
            help="Held-out candidates, datasets and zoos; splits.json among the outcomes by default.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="development: validation instructions. test: once per released checkpoint.")
    ] = "development",
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Checkpoint directory; the shipped one by default.", show_default=False),
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FOLDER: another checkpoint, as a row of its own; repeatable.", show_default=False
        ),
    ] = None,
    cards: Annotated[
        Path | None,
        typer.Option(help="Folder of capability cards; the shipped zoo's by default.", show_default=False),
    ] = None,
    exam: Annotated[
        Path | None,
        typer.Option(help="Exam that the cards are from; the shipped one by default.", show_default=False),
    ] = None,
    prices: Annotated[
        Path | None, typer.Option(help="Price table; the shipped one by default.", show_default=False)
    ] = None,
    section: Annotated[
        list[str] | None, typer.Option(help="Run this section only; repeatable.", show_default=False)
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(help='Exit with 2 where it fails: "gain.smaller_scale>0".', show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of samples, fits, shuffles and bootstraps.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Use and keep no cache.")] = False,
    plots: Annotated[
        bool, typer.Option("--plots/--no-plots", help="Draw plots; needs the extra 'plots'.")
    ] = True,
    folder: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write a report to this folder.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what won and every table as JSON.")] = False,
) -> None:
    """Is routing worth it? Measure it against every rival on real outcomes, and measure speed."""
    if context.invoked_subcommand is not None:
        return
    if suite is None:
        raise DataError("which suite? Give --suite quick or --suite full, or a command such as speed.")
    from modelsat.bench.requirements import Requirement, failures

    requirements = [Requirement.parse(text) for text in require or ()]
    if folder is not None and plots:
        from modelsat.bench.reporting.canvas import require_plots

        require_plots()
    result = _run(
        suite=_one_of("--suite", suite, SUITES),
        split=_one_of("--split", split, SPLITS),
        outcomes=outcomes,
        splits=splits,
        checkpoint=checkpoint,
        also=also or (),
        cards=cards,
        exam=exam,
        prices=prices,
        sections=section or (),
        seed=seed,
        fresh=fresh,
    )
    if folder is not None:
        write(result, folder, plots=plots)
    if as_json:
        print_json(result_json(result))
    else:
        print_result(result)
    failed = failures(requirements, result)
    for failure in failed:
        say(f"requirement failed: {failure}.")
    if failed:
        raise typer.Exit(REQUIREMENT_FAILED)


def _run(
    *,
    suite: "Suite",
    split: "Split",
    outcomes: Path | None,
    splits: Path | None,
    checkpoint: Path | None,
    also: Sequence[str],
    cards: Path | None,
    exam: Path | None,
    prices: Path | None,
    sections: Sequence[str],
    seed: int,
    fresh: bool,
) -> "BenchmarkResult":
    from modelsat.network.pretrained import require_torch

    require_torch()
    from modelsat.bench.prices import PriceTable
    from modelsat.bench.setup import load_setup
    from modelsat.bench.suite import run_suite
    from modelsat.cache import cache_folder
    from modelsat.capability.aptitude import AptitudeTest
    from modelsat.cli.evaluate import read_profiles

    if outcomes is None:
        raise DataError(
            "--outcomes is missing; give the folder of instructions and outcomes, or set MODELSAT_OUTCOMES."
        )
    with progress_bars() as advance:
        advance("benchmark: reading", 0, 100)
        setup = load_setup(
            outcomes,
            splits=splits,
            checkpoint=checkpoint,
            others=dict(map(_named_folder, also)),
            exam=AptitudeTest.shipped() if exam is None else AptitudeTest.load(exam),
            profiles=read_profiles(cards),
            prices=PriceTable.shipped() if prices is None else PriceTable.load(prices),
            fresh=fresh,
        )
        return run_suite(
            setup,
            suite=suite,
            split=split,
            seed=seed,
            command=f"modelsat {shlex.join(sys.argv[1:])}",
            folder=None if fresh else cache_folder() / "bench",
            only=sections,
            progress=advance,
        )


def _named_folder(text: str) -> tuple[str, Path]:
    name, separator, folder = text.partition("=")
    if not (separator and name.strip() and folder):
        raise DataError(f"--also is {text!r}; expected NAME=FOLDER.")
    return name.strip(), Path(folder)


def _one_of(option: str, value: str, known: Sequence[Choice]) -> Choice:
    for choice in known:
        if value == choice:
            return choice
    raise DataError(f"{option} is {value!r}; expected {' or '.join(known)}.")
