"""The benchmark: sections in order, each kept as soon as it is done, so that a killed run resumes where it was."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import modelsat
from modelsat.bench.cache import digest, folder_digest
from modelsat.bench.results import BenchmarkResult
from modelsat.bench.run import BenchmarkRun
from modelsat.bench.section import Section
from modelsat.bench.sections import all_sections
from modelsat.bench.timing import machine, versions
from modelsat.errors import DataError
from modelsat.network.pretrained import require_torch
from modelsat.progress import Progress, no_progress

_PACKAGES = ("modelsat", "numpy", "scikit-learn", "torch", "transformers", "onnxruntime")


def run_suite(
    run: BenchmarkRun,
    *,
    command: str = "",
    only: Sequence[str] = (),
    progress: Progress = no_progress,
) -> BenchmarkResult:
    """Run a benchmark; the leakage check always comes first.

    Args:
        run: Data, routers and settings.
        command: Recorded with the result.
        only: Names of sections; by default all of the suite.
        progress: Steps are named after sections.

    Raises:
        DataError: Something leaks, or there is no such section.
        MissingExtraError: A section needs torch, which is not installed.
    """
    sections = wanted_sections(run, only)
    if any(section.needs_torch for section in sections):
        require_torch()
    frame = BenchmarkResult(
        suite=run.effort.suite,
        split=run.split,
        seed=run.seed,
        date=datetime.now(UTC).date().isoformat(),
        seconds=0.0,
        command=command,
        data_hash=run.data_hash,
        checkpoint_hash=run.checkpoint_hash,
        versions=versions(_PACKAGES),
        machine=machine(),
        method_notes={},
        tables=(),
    )
    kept = None if run.folder is None else run.folder / _identity(run)
    parts = []
    for done, section in enumerate(sections):
        progress("sections", done, len(sections))
        run.progress = lambda step, at, total, name=section.heading: progress(f"{name}: {step}", at, total)  # type: ignore[misc]
        path = None if kept is None else kept / f"{section.name}.json"
        if path is not None and path.exists():
            parts.append(BenchmarkResult.load(path))
            continue
        started = time.monotonic()
        tables = tuple(section.compute(run))
        seconds = time.monotonic() - started
        parts.append(replace(frame, tables=tables, method_notes=run.method_notes, seconds=seconds))
        if path is not None:
            parts[-1].save(path)
    progress("sections", len(sections), len(sections))
    return replace(
        frame,
        tables=tuple(table for part in parts for table in part.tables),
        method_notes={name: note for part in parts for name, note in part.method_notes.items()},
        seconds=round(sum(part.seconds for part in parts), 1),
    )


def wanted_sections(run: BenchmarkRun, only: Sequence[str]) -> list[Section]:
    """Sections to compute, in order; gates first.

    Raises:
        DataError: There is no such section.
    """
    known = all_sections()
    unknown = sorted(set(only) - {section.name for section in known})
    if unknown:
        names = ", ".join(section.name for section in known)
        raise DataError(f"there is no section {unknown[0]!r}; the benchmark has {names}.")
    wanted = [
        section
        for section in known
        if section.gate
        or (
            section.name in only or section.part_of in only
            if only
            else run.effort.suite == "full" or not section.full_only
        )
    ]
    return sorted(wanted, key=lambda section: not section.gate)


def _identity(run: BenchmarkRun) -> str:
    """Name of everything that a finished section depends on; another version of the code computes anew."""
    code = folder_digest(Path(modelsat.__file__).parent, pattern="*.py")
    routers = {"": run.scorer, **run.others}
    scorers = [f"{name}={scorer.identity}" for name, scorer in sorted(routers.items())]
    settings = (
        run.split,
        run.seed,
        run.effort,
        run.datasets,
        run.stem_only,
        run.baselines,
        run.with_router,
    )
    return digest(run.data_hash, run.checkpoint_hash, *scorers, repr(settings), code)
