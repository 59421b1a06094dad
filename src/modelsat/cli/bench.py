"""`modelsat bench`: the benchmark, its reports, and the new places of the maintainers' measurements."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from modelsat.cli.output import print_json, print_table, progress_bars, say
from modelsat.errors import DataError

if TYPE_CHECKING:
    from modelsat.bench.reporting.views import View
    from modelsat.bench.results import BenchmarkResult, Split, Suite

SUITES: tuple["Suite", ...] = ("quick", "full")
SPLITS: tuple["Split", ...] = ("development", "test")
REQUIREMENT_FAILED = 2
Word = TypeVar("Word", bound=str)

OutcomesOption = Annotated[
    Path | None,
    typer.Option(help="Folder of instructions and outcomes.", envvar="MODELSAT_OUTCOMES", show_default=False),
]
SplitsOption = Annotated[
    Path | None,
    typer.Option(
        help="Held-out candidates, datasets and zoos; by default splits.json among the outcomes.",
        show_default=False,
    ),
]
RouterOption = Annotated[
    str, typer.Option(metavar="NAME|FOLDER", help="accurate, fast, fastest, or the folder of a checkpoint.")
]
AlsoOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=ROUTER", help="Another router, as a row of its own; repeatable.", show_default=False
    ),
]
CardsOption = Annotated[
    Path | None,
    typer.Option(help="Folder of capability cards; the shipped zoo's by default.", show_default=False),
]
ExamOption = Annotated[
    Path | None,
    typer.Option(help="Exam of the cards; the shipped one by default.", show_default=False),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Of samples, fits, shuffles and bootstraps.")]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Use and keep no cache.")]
PlotsOption = Annotated[bool, typer.Option("--plots/--no-plots", help="Draw plots; needs the extra 'plots'.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print findings and every table as JSON.")]

app = typer.Typer(no_args_is_help=True)

# Commands of 0.3 that only maintainers need: module in benchmarks/ and make target, by name.
_MOVED: Mapping[str, tuple[str, str]] = {
    "speed": ("speed", "bench-speed"),
    "gateway": ("gateway", "bench-gateway"),
    "exam": ("exam", "bench-exam"),
    "students": ("students", "bench-students"),
    "engine": ("onnx_quality", "bench-engine"),
}


@app.callback(
    invoke_without_command=True,
    epilog='Example: modelsat bench --suite quick --outcomes data/ -o report/ --require "lead.mean>0"',
)
def bench(
    context: typer.Context,
    suite: Annotated[
        str | None,
        typer.Option(help="quick: samples, minutes. full: everything, resumable.", show_default=False),
    ] = None,
    outcomes: OutcomesOption = None,
    splits: SplitsOption = None,
    split: Annotated[
        str, typer.Option(help="development: validation instructions. test: once per released checkpoint.")
    ] = "development",
    router: RouterOption = "accurate",
    also: AlsoOption = None,
    cards: CardsOption = None,
    exam: ExamOption = None,
    prices: Annotated[
        Path | None, typer.Option(help="Price table; the shipped one by default.", show_default=False)
    ] = None,
    section: Annotated[
        list[str] | None, typer.Option(help="Run only this section; repeatable.", show_default=False)
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(
            help='Exit with 2 if it does not hold, e.g. "gain.smaller_scale>0"; repeatable.',
            show_default=False,
        ),
    ] = None,
    seed: SeedOption = 0,
    fresh: FreshOption = False,
    plots: PlotsOption = True,
    folder: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write a report to this folder.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the router beside every baseline, on real outcomes: is routing worth it?"""
    if context.invoked_subcommand is not None:
        return
    if suite is None:
        raise DataError("--suite is missing; give --suite quick or --suite full, or the command `report`.")
    from modelsat.bench.requirements import Requirement, failures
    from modelsat.bench.run import EFFORTS

    requirements = [Requirement.parse(text) for text in require or ()]
    suite, split = one_of("--suite", suite, SUITES), one_of("--split", split, SPLITS)
    _check_plots(folder, plots=plots)
    result = run_benchmark(
        outcomes,
        splits=splits,
        router=router,
        also=also,
        cards=cards,
        exam=exam,
        prices=prices,
        sections=section or (),
        fresh=fresh,
        effort=EFFORTS[suite],
        split=split,
        seed=seed,
    )
    show(result, folder, plots=plots, as_json=as_json, whole=not section)
    failed = failures(requirements, result)
    for failure in failed:
        say(f"requirement failed: {failure}.")
    if failed:
        raise typer.Exit(REQUIREMENT_FAILED)


@app.command(epilog="Example: modelsat bench report report/result.json -o report --no-plots")
def report(
    result_file: Annotated[
        Path, typer.Argument(metavar="RESULT", help="result.json or summary.json of a report.")
    ],
    folder: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write a report to this folder.", show_default=False),
    ] = None,
    plots: PlotsOption = True,
    as_json: JsonOption = False,
) -> None:
    """Show a result again, or write its report again, without computing anything."""
    from modelsat.bench.results import BenchmarkResult

    _check_plots(folder, plots=plots)
    show(BenchmarkResult.load(result_file), folder, plots=plots, as_json=as_json)


def run_benchmark(
    outcomes: Path | None,
    *,
    splits: Path | None,
    router: str,
    also: Sequence[str] | None,
    cards: Path | None,
    exam: Path | None,
    prices: Path | None,
    sections: Sequence[str],
    fresh: bool,
    **settings: Any,  # noqa: ANN401 - fields of BenchmarkRun
) -> "BenchmarkResult":
    """Read what the options name and run the benchmark.

    Args:
        outcomes: Folder of outcomes.
        splits: File of held-out candidates, datasets and zoos.
        router: Name or folder.
        also: Texts NAME=ROUTER.
        cards: Folder of cards.
        exam: Exam of the cards.
        prices: Price table.
        sections: Names; all of the suite by default.
        fresh: Use and keep no cache.
        settings: Of the run.
    """
    from modelsat.bench.prices import PriceTable
    from modelsat.bench.run import load_run
    from modelsat.bench.suite import run_suite
    from modelsat.cache import cache_folder
    from modelsat.capability.aptitude import AptitudeTest
    from modelsat.capability.card import read_cards
    from modelsat.capability.zoo import ModelZoo

    if outcomes is None:
        raise DataError(
            "--outcomes is missing; give the folder of instructions and outcomes, or set MODELSAT_OUTCOMES."
        )
    others = dict(map(_named_router, also or ()))
    with progress_bars() as advance:
        run = load_run(
            outcomes,
            splits=splits,
            router=router,
            others=others,
            exam=AptitudeTest.shipped() if exam is None else AptitudeTest.load(exam),
            profiles=ModelZoo.shipped().profiles if cards is None else read_cards(cards),
            prices=PriceTable.shipped() if prices is None else PriceTable.load(prices),
            fresh=fresh,
            folder=None if fresh else cache_folder() / "bench",
            **settings,
        )
        command = f"modelsat {shlex.join(sys.argv[1:])}"
        return run_suite(run, command=command, only=sections, progress=advance)


def show(
    result: "BenchmarkResult", folder: Path | None, *, plots: bool, as_json: bool, whole: bool = True
) -> None:
    """Write a report if there is a folder for it, and print findings and tables.

    Args:
        result: What to show.
        folder: Of the report.
        plots: Draw them in the report.
        as_json: Print JSON.
        whole: Name the sections that the result lacks.
    """
    from modelsat.bench.reporting.report import absent, findings, write_report
    from modelsat.bench.sections import all_sections

    if folder is not None:
        with progress_bars() as advance:
            page = write_report(result, folder, plots=plots, progress=advance)
        say(f"{page}: written.")
    if as_json:
        print_json(
            {
                "suite": result.suite,
                "split": result.split,
                "findings": findings(result),
                "tables": {table.name: table.records() for table in result.tables},
            }
        )
        return
    for heading, texts in findings(result).items():
        typer.echo(heading)
        for text in texts:
            typer.echo(f"  - {text}")
        typer.echo()
    for section in all_sections():
        for view in section.shown(result):
            _print_view(view)
    missing = absent(result)
    if whole and missing:
        typer.echo(f"Not run: {'; '.join(missing)}.")


def one_of(option: str, value: str, known: Sequence[Word]) -> Word:
    """A value that must be one of a few words.

    Raises:
        DataError: It is another.
    """
    for word in known:
        if value == word:
            return word
    raise DataError(f"{option} is {value!r}; expected {' or '.join(known)}.")


def _named_router(text: str) -> tuple[str, str]:
    name, _, router = text.partition("=")
    if not (name.strip() and router):
        raise DataError(f"--also is {text!r}; expected NAME=ROUTER.")
    return name.strip(), router


def _check_plots(folder: Path | None, *, plots: bool) -> None:
    if folder is not None and plots:
        from modelsat.bench.reporting.plots import require_plots

        require_plots()


def _print_view(view: "View") -> None:
    numeric = [heading for place, heading in enumerate(view.headings) if place in view.numeric]
    print_table(view.headings, view.rows, title=view.title, numeric=numeric)
    typer.echo()


def _moved(name: str, module: str, target: str) -> Callable[[], None]:
    def command() -> None:
        raise DataError(
            f"`modelsat bench {name}` is no longer part of the package. In a checkout of the repository, run "
            f"`python -m benchmarks.{module}` (same options) or `make {target}`."
        )

    return command


for _name, (_module, _target) in _MOVED.items():
    app.command(
        _name,
        hidden=True,
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(_moved(_name, _module, _target))
