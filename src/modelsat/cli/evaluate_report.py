"""An evaluation as tables in the terminal."""

from typing import TYPE_CHECKING

import typer

from modelsat.bench.reporting.numbers import write_cell, write_interval
from modelsat.cli.output import print_table

if TYPE_CHECKING:
    from modelsat.bench.report import EvaluationReport
    from modelsat.statistics import Interval


def print_report(report: "EvaluationReport") -> None:
    """Show a report as tables."""
    counts = ", ".join(f"{count} {part}" for part, count in report.instructions.items())
    typer.echo(
        f"{', '.join(report.datasets)}: {counts}; best single candidates chosen on "
        f"{report.tuning_instructions} tuning instructions."
    )
    for note in report.notes:
        typer.echo(f"Note: {note}")
    typer.echo()
    for show in (_print_quality, _print_choices, _print_means, _print_controls):
        show(report)


def _print_quality(report: "EvaluationReport") -> None:
    numbers = ("AUC", "wAUC", "ECE", "Brier")
    rows = [
        (
            router.name,
            row.part,
            f"{row.group} ({row.candidates})",
            *(write_cell("auc", value) for value in (row.auc, row.within_auc, row.ece, row.brier)),
        )
        for router in report.routers
        for row in router.quality
    ]
    columns = ("router", "part", "candidates", *numbers)
    print_table(columns, rows, title="P(right) of each pair", numeric=numbers)


def _print_choices(report: "EvaluationReport") -> None:
    group = f"per {report.group_by}"
    numbers = ("chosen", "best single", group, "oracle", "gain", "gap closed", "entropy", "strongest")
    rows = [
        (
            router.name,
            row.part,
            f"{row.zoo} ({row.candidates})",
            *(
                write_cell("accuracy", value)
                for value in (
                    row.accuracy,
                    row.best_single_accuracy,
                    row.best_per_group_accuracy,
                    row.oracle,
                )
            ),
            _written("gain", row.gain),
            _written("gap_closed", row.gap_closed),
            write_cell("entropy", row.entropy),
            write_cell("strongest_rate", row.strongest_rate),
        )
        for router in report.routers
        for row in router.choices
    ]
    title = "Choice; gain over best single in points, with paired 95% intervals"
    print_table(("router", "part", "zoo", *numbers), rows, title=title, numeric=numbers)


def _print_means(report: "EvaluationReport") -> None:
    rows = [
        (router.name, row.part, row.zoos, row.instructions, _written("gain", row.gain))
        for router in report.routers
        for row in router.mean_gains
    ]
    numbers = ("zoos", "instructions", "gain")
    print_table(
        ("router", "part", *numbers), rows, title="Mean gain over the zoos, in points", numeric=numbers
    )


def _print_controls(report: "EvaluationReport") -> None:
    if not report.controls:
        return
    rows = [
        (
            row.name,
            row.part,
            row.shuffles,
            write_cell("auc", row.auc),
            _written("gain", row.gain),
            _written("gain", row.loss),
        )
        for row in report.controls
    ]
    numbers = ("shuffles", "AUC", "gain", "lost")
    columns = ("control", "part", *numbers)
    print_table(columns, rows, title="With the wrong cards, in points", numeric=numbers)


def _written(column: str, interval: "Interval") -> str:
    return write_interval(column, interval.mean, interval.low, interval.high)
