"""`modelsat evaluate`: route held-out outcomes and measure the choices."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli.evaluate_report import print_report
from modelsat.cli.output import print_json, progress_bars, say
from modelsat.errors import DataError
from modelsat.progress import Progress

if TYPE_CHECKING:
    from modelsat.bench.cache import CachedEmbed, RowCache
    from modelsat.bench.heldout import HeldOut
    from modelsat.bench.report import ControlReport, RouterReport
    from modelsat.network.encoder import TextEncoder
    from modelsat.types import CapabilityProfile, FloatArray

PARTS = ("test", "validation")


def evaluate(
    outcomes: Annotated[Path, typer.Option(help="Folder of instructions and outcomes.")],
    cards: Annotated[
        Path | None,
        typer.Option(help="Folder of capability cards; the shipped zoo's by default.", show_default=False),
    ] = None,
    exam: Annotated[
        Path | None,
        typer.Option(help="Exam that the cards are from; the shipped one by default.", show_default=False),
    ] = None,
    splits: Annotated[
        Path | None,
        typer.Option(help="JSON of held-out candidates, categories, datasets and zoos.", show_default=False),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Checkpoint directory; the shipped one by default.", show_default=False),
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Route this dataset only; repeatable.", show_default=False)
    ] = None,
    part: Annotated[str, typer.Option(help="test or validation.")] = "test",
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many instructions per part.", show_default=False)
    ] = None,
    stem_only: Annotated[bool, typer.Option("--stem-only", help="Drop the lettered options.")] = False,
    with_baselines: Annotated[
        bool, typer.Option("--baselines", help="Fit and measure the reference baselines too.")
    ] = False,
    with_controls: Annotated[
        bool, typer.Option("--controls", help="Measure what is lost with the wrong cards.")
    ] = False,
    with_router: Annotated[
        bool, typer.Option("--router/--no-router", help="Measure the tuned router.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Of subsets, bootstrap and shuffles.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ignore cached embeddings and scores.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    report_file: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the report as JSON.", show_default=False)
    ] = None,
) -> None:
    """Route held-out outcomes and measure the choices."""
    if part not in PARTS:
        raise DataError(f"--part is {part!r}; expected test or validation.")
    if not (with_router or with_baselines):
        raise DataError("nothing to measure; drop --no-router or add --baselines.")
    import numpy as np

    from modelsat.network.pretrained import require_torch

    require_torch()
    from modelsat.bench.evaluate import baselines, measure
    from modelsat.bench.heldout import hold_out
    from modelsat.bench.report import EvaluationReport
    from modelsat.capability.aptitude import AptitudeTest
    from modelsat.records.splits import read_splits
    from modelsat.records.store import OutcomeDirectory

    test = AptitudeTest.shipped() if exam is None else AptitudeTest.load(exam)
    directory = OutcomeDirectory.load(outcomes)
    held_out = hold_out(
        directory,
        read_profiles(cards),
        exam=test,
        splits=None if splits is None else read_splits(splits),
        datasets=dataset,
        part="test" if part == "test" else "validation",
        limit=limit,
        stem_only=stem_only,
        rng=np.random.default_rng(seed),
    )
    reports: list[RouterReport] = []
    controls: tuple[ControlReport, ...] = ()
    if with_router:
        router_report, controls = _measure_router(
            held_out, checkpoint, with_controls=with_controls, seed=seed, fresh=fresh
        )
        reports.append(router_report)
    if with_baselines:
        with progress_bars() as advance:
            embed = _embedder(advance, fresh=fresh)
            embed([row.text for row in (*held_out.tuning.instructions, *held_out.table.instructions)])
        with progress_bars() as advance:
            scorers = baselines(held_out, embed, exam=test, instructions=directory.instructions, seed=seed)
            for done, scorer in enumerate(scorers):
                advance("fitting baselines", done, len(scorers))
                scores = scorer.score(held_out.table.instructions, held_out.profiles)
                reports.append(measure(scorer.name, scores, held_out, seed=seed))
    report = EvaluationReport(
        datasets=held_out.datasets,
        group_by=held_out.group_by,
        exam=f"{test.name} {test.hash}",
        seed=seed,
        instructions={name: len(rows) for name, rows in held_out.parts.items()},
        tuning_instructions=len(held_out.tuning),
        candidates=dict(held_out.groups),
        notes=held_out.notes,
        routers=tuple(reports),
        controls=controls,
    )
    if report_file is not None:
        report.save(report_file)
        say(f"{report_file}: written.")
    if as_json:
        print_json(report.to_json())
    else:
        print_report(report)


def read_profiles(cards: Path | None) -> "tuple[CapabilityProfile, ...]":
    """Cards in a folder, or those of the shipped zoo."""
    from modelsat.capability.card import read_cards
    from modelsat.capability.zoo import ModelZoo

    return ModelZoo.shipped().profiles if cards is None else read_cards(cards)


def _measure_router(
    held_out: "HeldOut", checkpoint: Path | None, *, with_controls: bool, seed: int, fresh: bool
) -> "tuple[RouterReport, tuple[ControlReport, ...]]":
    from modelsat.bench.cache import CachedEmbed
    from modelsat.bench.controls import control_profiles, measure_controls, split_candidates
    from modelsat.bench.evaluate import measure
    from modelsat.bench.scoring import score_cached
    from modelsat.network.load import load_scorer

    def cached(encoder: "TextEncoder") -> "CachedEmbed":
        return CachedEmbed(lambda: encoder.encode, _embedding_cache(encoder.name, fresh=fresh))

    scorer = load_scorer(checkpoint, embed_with=cached)
    profiles = (
        *held_out.profiles,
        *(control_profiles(held_out.profiles, seed=seed) if with_controls else ()),
    )
    cache = _score_cache(checkpoint, profiles, fresh=fresh)
    with progress_bars() as advance:
        scores = score_cached(scorer, held_out.table.instructions, profiles, cache, progress=advance)
    own, swapped = split_candidates(scores, len(held_out.profiles))
    report = measure(scorer.name, own, held_out, seed=seed)
    return report, measure_controls(own, swapped, held_out, seed=seed) if with_controls else ()


def _score_cache(
    checkpoint: Path | None, profiles: "Sequence[CapabilityProfile]", *, fresh: bool
) -> "RowCache":
    """Scores by checkpoint and cards: all that a score depends on beside the text."""
    import json
    from importlib.resources import as_file, files

    from modelsat.bench.cache import RowCache, digest, folder_digest
    from modelsat.cache import cache_folder
    from modelsat.capability.card import card_object

    with as_file(files("modelsat") / "assets" / "router") as shipped:
        weights = folder_digest(checkpoint or shipped)
    cards = digest(*(json.dumps(card_object(profile)) for profile in profiles))
    path = cache_folder() / "scores" / f"{weights}-{cards}.npz"
    return RowCache(None if fresh else path)


def _embedder(advance: "Progress", *, fresh: bool) -> "CachedEmbed":
    from modelsat.bench.cache import CachedEmbed
    from modelsat.scoring.weights import EMBEDDED_ENCODER

    def load() -> "Callable[[Sequence[str]], FloatArray]":
        from modelsat.network.encoder import load_encoder

        return load_encoder().encode

    return CachedEmbed(load, _embedding_cache(EMBEDDED_ENCODER, fresh=fresh), progress=advance)


def _embedding_cache(encoder: str, *, fresh: bool) -> "RowCache":
    """Sentence embeddings by encoder."""
    from modelsat.bench.cache import RowCache, digest
    from modelsat.cache import cache_folder
    from modelsat.scoring.weights import EMBEDDED_ENCODER

    name = encoder if encoder == EMBEDDED_ENCODER else digest(encoder)
    return RowCache(None if fresh else cache_folder() / "embeddings" / f"{name}.npz")
