"""The benchmark: sections in order, each kept as soon as it is done, so that a killed run goes on where it was."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import modelsat
from modelsat.bench.cache import digest, folder_digest
from modelsat.bench.contests import Contests
from modelsat.bench.cost import cost_tables
from modelsat.bench.coverage import coverage_table
from modelsat.bench.effort import EFFORTS
from modelsat.bench.gadgets import gadgets_table
from modelsat.bench.leakage import check_leakage
from modelsat.bench.learning_curve import learning_curve
from modelsat.bench.results import BenchmarkResult, Split, Suite, Table
from modelsat.bench.robustness import robustness_table
from modelsat.bench.setup import Setup
from modelsat.bench.stream import stream_table
from modelsat.bench.timing import machine, versions
from modelsat.bench.zoos import choices_table, ranking_table, reliability_table, zoo_table
from modelsat.errors import DataError
from modelsat.progress import Progress, no_progress
from modelsat.scoring.scorer import TwoPhaseScorer

# What is going on, share of the whole work done.
# Share of a section that the suite would not have run.
_ASKED_FOR = 0.5
_PACKAGES = ("modelsat", "numpy", "scikit-learn", "torch", "transformers", "onnxruntime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the benchmark that is computed, and kept, as a whole.

    Attributes:
        name: What a user asks for it by.
        told: What it does, for the progress bar.
        compute: Its tables.
        work: Share of the whole suite's time, by suite; roughly. A suite without it runs it only when asked.
    """

    name: str
    told: str
    compute: Callable[[Contests], Sequence[Table]]
    work: dict[Suite, float]


def run_suite(
    setup: Setup,
    *,
    suite: Suite,
    split: Split,
    seed: int,
    command: str,
    folder: Path | None,
    only: Sequence[str] = (),
    progress: Progress = no_progress,
) -> BenchmarkResult:
    """Run a benchmark; the leakage check comes first, whatever is asked for.

    Args:
        setup: Data and routers.
        suite: `quick` or `full`.
        split: `development` or `test`.
        seed: Of samples, fits, shuffles and bootstraps.
        command: To be told with the result.
        folder: Where finished sections are kept; None keeps none.
        only: Names of sections; all that belong to the suite by default.
        progress: Called with percents of the work; the step's details say what is going on.

    Raises:
        DataError: Something leaks, or there is no such section.
    """
    unknown = sorted(set(only) - {section.name for section in SECTIONS})
    if unknown:
        known = ", ".join(section.name for section in SECTIONS)
        raise DataError(f"there is no section {unknown[0]!r}; the benchmark has {known}.")
    wanted = [section for section in SECTIONS if _is_wanted(section, suite, only)]
    contests = Contests(setup, effort=EFFORTS[suite], split=split, seed=seed, folder=folder)
    frame = BenchmarkResult(
        suite=suite,
        split=split,
        tables=(),
        method_notes={},
        command=command,
        versions=versions(_PACKAGES),
        data_hash=setup.data_hash,
        checkpoint_hash=setup.checkpoint_hash,
        seed=seed,
        date=datetime.now(UTC).date().isoformat(),
        machine=machine(),
        seconds=0.0,
    )
    kept = None if folder is None else folder / _identity(setup, suite, split, seed)
    whole = sum(section.work.get(suite, _ASKED_FOR) for section in wanted)
    done, parts = 0.0, []
    for section in wanted:
        path = None if kept is None else kept / f"{section.name}.json"
        share = section.work.get(suite, _ASKED_FOR) / whole
        contests.progress = _within(progress, section.told, done, share)
        if path is not None and path.exists():
            parts.append(BenchmarkResult.load(path))
        else:
            contests.progress("", 0, 1)
            parts.append(_computed(section, contests, frame))
            if path is not None:
                parts[-1].save(path)
        done += share
    progress("benchmark", 100, 100)
    return replace(
        frame,
        tables=tuple(table for part in parts for table in part.tables),
        method_notes={name: note for part in parts for name, note in part.method_notes.items()},
        seconds=round(sum(part.seconds for part in parts), 1),
    )


def _is_wanted(section: Section, suite: Suite, only: Sequence[str]) -> bool:
    if only:
        return section.name in only or section is SECTIONS[0]
    return suite in section.work


def _computed(section: Section, contests: Contests, frame: BenchmarkResult) -> BenchmarkResult:
    started = time.monotonic()
    tables = section.compute(contests)
    return replace(
        frame,
        tables=tuple(tables),
        method_notes=contests.notes if section.name == "zoos" else {},
        seconds=time.monotonic() - started,
    )


def _within(progress: Progress, told: str, done: float, share: float) -> Progress:
    """Progress inside a section as progress of the whole."""

    def advance(step: str, at: int, total: int) -> None:
        percent = round(100 * (done + share * (at / total if total else 1.0)))
        progress(": ".join(filter(None, ("benchmark", told, step))), percent, 100)

    return advance


def _identity(setup: Setup, suite: Suite, split: Split, seed: int) -> str:
    """Name of what a finished section depends on; another version of the code computes anew."""
    code = folder_digest(Path(modelsat.__file__).parent, pattern="*.py")
    others = [f"{name}={scorer.identity}" for name, scorer in sorted(setup.others.items())]
    return digest(
        setup.data_hash, setup.checkpoint_hash, setup.scorer.identity, *others, suite, split, str(seed), code
    )


def _leakage(contests: Contests) -> list[Table]:
    setup = contests.setup
    return [
        check_leakage(
            [contests.core, *contests.beyond, *contests.streams.values()],
            instructions=setup.directory.instructions,
            exam=setup.exam,
            splits=setup.splits,
            tuned_on=setup.tuned_on,
            development=contests.split == "development",
        )
    ]


def _zoos(contests: Contests) -> list[Table]:
    compared = [contests.main, *contests.beyond_contests]
    return [
        zoo_table(compared, seed=contests.seed),
        ranking_table(compared),
        reliability_table(contests.main),
        choices_table(contests.main),
    ]


def _learning_curve(contests: Contests) -> list[Table]:
    draws = contests.effort.exam_draws
    return [learning_curve(contests.core, contests.scorer, draws=draws, seed=contests.seed)]


def _cost(contests: Contests) -> list[Table]:
    return cost_tables(contests.main, contests.setup.prices)


def _robustness(contests: Contests) -> list[Table]:
    return [
        robustness_table(
            contests.core,
            contests.scorer,
            contests.own_scores,
            limit=contests.effort.perturbed,
            seed=contests.seed,
        )
    ]


def _gadgets(contests: Contests) -> list[Table]:
    table = gadgets_table(
        contests.core,
        contests.scorer,
        contests.own_scores,
        contests.setup.prices,
        search=contests.effort.gadgets,
        seed=contests.seed,
        progress=contests.report,
    )
    return [] if table is None else [table]


def _stream(contests: Contests) -> list[Table]:
    if not contests.streams:
        return []
    cutoffs = contests.cutoffs
    return [stream_table(contests.stream_contests, contests.setup.facts, cutoffs=cutoffs, seed=contests.seed)]


def _coverage(contests: Contests) -> list[Table]:
    arenas = {arena.name: arena for arena in (contests.core, *contests.beyond)}
    arenas |= {name: arena for name, arena in contests.streams.items() if name not in arenas}
    return [coverage_table(arenas, contests.setup.facts)]


def _overhead(contests: Contests) -> list[Table]:
    from modelsat.bench.overhead import mean_inference, overhead_table

    setup = contests.setup
    if not isinstance(setup.scorer.scorer, TwoPhaseScorer):
        return []
    members = [name for name in contests.core.held_out.table.candidates if name in setup.facts]
    return [
        overhead_table(
            setup.scorer.scorer,
            setup.profiles,
            config=setup.config,
            inference=mean_inference(setup.profiles, [setup.facts[name].parameters for name in members]),
            sizes=contests.effort.zoo_sizes,
            most_tokens=contests.effort.timed_tokens,
        )
    ]


def _ablation(contests: Contests) -> list[Table]:
    from modelsat.bench.ablation import ablation_table

    return [
        ablation_table(
            contests.setup,
            contests.core,
            folder=None if contests.folder is None else contests.folder / "ablation",
            seed=contests.seed,
            progress=contests.report,
        )
    ]


SECTIONS = (
    Section(name="leakage", told="Checking for leaks", compute=_leakage, work={"quick": 0.06, "full": 0.01}),
    Section(name="zoos", told="Choosing in zoos", compute=_zoos, work={"quick": 0.40, "full": 0.50}),
    Section(
        name="learning_curve",
        told="Shortening exams",
        compute=_learning_curve,
        work={"quick": 0.02, "full": 0.02},
    ),
    Section(name="cost", told="Counting money", compute=_cost, work={"quick": 0.01, "full": 0.01}),
    Section(
        name="robustness",
        told="Writing requests differently",
        compute=_robustness,
        work={"quick": 0.15, "full": 0.15},
    ),
    Section(
        name="gadgets",
        told="Searching gadget strings",
        compute=_gadgets,
        work={"quick": 0.13, "full": 0.15},
    ),
    Section(name="stream", told="Letting models arrive", compute=_stream, work={"quick": 0.12, "full": 0.1}),
    Section(
        name="coverage", told="Covering the strongest", compute=_coverage, work={"quick": 0.01, "full": 0.01}
    ),
    Section(name="overhead", told="Timing layouts", compute=_overhead, work={"quick": 0.1, "full": 0.05}),
    Section(name="ablation", told="Tuning variants", compute=_ablation, work={"full": 0.5}),
)
