"""`modelsat bench engine`: what 8 bits and fewer tokens cost, on validation."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli.evaluate import read_profiles
from modelsat.cli.output import print_json, print_table, progress
from modelsat.errors import DataError

if TYPE_CHECKING:
    from modelsat.bench.engine_quality import EngineReport

EXAMPLE = "Example: modelsat bench engine --outcomes data/ --splits data/splits.json --tokens 64 --tokens 128"


def engine(
    outcomes: Annotated[Path, typer.Option(metavar="FOLDER", help="Instructions and outcomes.")],
    splits: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Held-out candidates and zoos.", show_default=False)
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Tuned router; the shipped one by default.", show_default=False),
    ] = None,
    cards: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Cards; those of the shipped zoo by default.", show_default=False
        ),
    ] = None,
    tokens: Annotated[
        list[int] | None,
        typer.Option(min=2, help="Token budget; repeat for more (default: 32 to 256).", show_default=False),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="A random subset of so many instructions.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the subset.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the engine in 8 bits, and at other token budgets, with fp32 on validation instructions."""
    import numpy as np

    from modelsat.bench.engine_quality import BUDGETS, measure_engines
    from modelsat.bench.heldout import hold_out
    from modelsat.capability.aptitude import AptitudeTest
    from modelsat.onnx.load import can_load
    from modelsat.records.splits import read_splits
    from modelsat.records.store import OutcomeDirectory
    from modelsat.scoring.checkpoint import load_checkpoint

    if not can_load(load_checkpoint(checkpoint)):
        raise DataError(
            "the engine without torch cannot run this router here; it needs the extra 'engine', and layout "
            "exam_attention on the embedded models."
        )
    held_out = hold_out(
        OutcomeDirectory.load(outcomes),
        read_profiles(cards),
        exam=AptitudeTest.shipped(),
        splits=None if splits is None else read_splits(splits),
        part="validation",
        limit=limit,
        rng=np.random.default_rng(seed),
    )
    with progress("Scoring") as advance:
        report = measure_engines(held_out, checkpoint=checkpoint, budgets=tokens or BUDGETS, progress=advance)
    if as_json:
        print_json(report.to_json())
    else:
        print_report(report)


def print_report(report: "EngineReport") -> None:
    """Show a report as a table."""
    typer.echo(", ".join(f"{name} {value}" for name, value in (report.machine | report.versions).items()))
    typer.echo(
        f"{report.instructions} validation instructions, {report.candidates} candidates, "
        f"{report.layers or 'all'} layers; differences are from the first row."
    )
    numbers = ("tokens", "AUC", "AUC lost", "wAUC", "largest difference", "changed", "points", "CPU ms")
    print_table(
        ("precision", *numbers),
        [
            (
                row.precision,
                row.tokens,
                f"{row.auc:.4f}",
                f"{row.auc_loss:+.4f}",
                f"{row.within_auc:.4f}",
                f"{row.largest_difference:.4f}",
                f"{row.changed:.1%}",
                f"{row.points:+.2f}",
                f"{row.cpu_ms:.0f}",
            )
            for row in report.rows
        ],
        numeric=numbers,
    )
