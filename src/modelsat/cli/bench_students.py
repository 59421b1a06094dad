"""`modelsat bench students`: what students cost and what they lose, beside their teacher."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelsat.cli.evaluate import PARTS, read_profiles
from modelsat.cli.output import print_json, print_table, progress, say
from modelsat.errors import DataError

if TYPE_CHECKING:
    from modelsat.bench.students import Student, StudentRow

EPILOG = (
    "Example: modelsat bench students --outcomes data/ --splits data/splits.json --part validation "
    "--student deep=runs/deep/checkpoint --student static=runs/static/checkpoint"
)
_SHIPPED = ("fast", "fastest")


def students(
    outcomes: Annotated[Path, typer.Option(help="Folder of instructions and outcomes.")],
    splits: Annotated[Path, typer.Option(help="JSON of held-out candidates, categories, datasets and zoos.")],
    student: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER",
            help="A student's checkpoint; repeatable (default: the shipped ones).",
            show_default=False,
        ),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="The teacher's checkpoint; the shipped one by default.", show_default=False
        ),
    ] = None,
    part: Annotated[str, typer.Option(help="validation, or test (out-of-domain included).")] = "validation",
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most so many instructions per part.", show_default=False)
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Of each timing; medians are shown.")] = 5,
    seed: Annotated[int, typer.Option(help="Of subsets and bootstrap.")] = 0,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw cost against quality, as .svg or .png.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure students and cascades beside their teacher: cost of a decision here, quality on held-out outcomes."""
    if part not in PARTS:
        raise DataError(f"--part is {part!r}; expected test or validation.")
    from modelsat.bench.reporting.plots_students import check_plot

    if plot is not None:
        check_plot(plot)
    folders = _folders(student)
    import numpy as np

    from modelsat.bench.heldout import hold_out
    from modelsat.bench.setup import through_cache
    from modelsat.bench.students import measure_students, token_counter
    from modelsat.bench.timing import machine, versions
    from modelsat.capability.aptitude import AptitudeTest
    from modelsat.records.splits import read_splits
    from modelsat.records.store import OutcomeDirectory
    from modelsat.routing.load import DEFAULT_ROUTER, load_tuned
    from modelsat.scoring.checkpoint import shipped_folder
    from modelsat.threads import usable_cores

    here = machine(usable_cores())
    held_out = hold_out(
        OutcomeDirectory.load(outcomes),
        read_profiles(None),
        exam=AptitudeTest.shipped(),
        splits=read_splits(splits),
        part="test" if part == "test" else "validation",
        limit=limit,
        rng=np.random.default_rng(seed),
    )
    master = load_tuned(teacher or DEFAULT_ROUTER)
    with progress("Measuring") as advance:
        rows = measure_students(
            held_out,
            through_cache(master, teacher or shipped_folder(), progress=advance),
            [_student(name, folder) for name, folder in folders],
            timed_teacher=master,
            count_tokens=token_counter(),
            repeats=repeats,
            seed=seed,
        )
    if plot is not None:
        from modelsat.bench.reporting.plots_students import save_plot, student_curve

        plot.parent.mkdir(parents=True, exist_ok=True)
        save_plot(student_curve(rows), plot)
        say(f"{plot}: written.")
    if as_json:
        report: dict[str, Any] = {
            "machine": here,
            "versions": versions(("modelsat", "onnxruntime", "numpy")),
            "part": part,
            "instructions": {name: len(positions) for name, positions in held_out.parts.items()},
            "rows": [row.to_json() for row in rows],
        }
        print_json(report)
        return
    typer.echo(", ".join(f"{name} {value}" for name, value in here.items()))
    _print(rows)


def _folders(given: list[str] | None) -> list[tuple[str, Path]]:
    from modelsat.routing.load import checkpoint_folder

    if not given:
        return [(name, checkpoint_folder(name)) for name in _SHIPPED]
    pairs = []
    for text in given:
        name, separator, folder = text.partition("=")
        if not (name and separator and folder):
            raise DataError(f"--student is {text!r}; write NAME=FOLDER.")
        pairs.append((name, Path(folder)))
    return pairs


def _student(name: str, folder: Path) -> "Student":
    from modelsat.bench.setup import through_cache
    from modelsat.bench.students import Student
    from modelsat.routing.load import load_tuned
    from modelsat.scoring.checkpoint import load_checkpoint

    checkpoint, scorer = load_checkpoint(folder), load_tuned(folder)
    if not checkpoint.config.is_student:
        raise DataError(f"{folder}: not a student's checkpoint; `modelsat distil` makes one.")
    return Student(
        name=name,
        scorer=through_cache(scorer, folder),
        timed=scorer,
        layers=checkpoint.config.layers or 0,
        tokens=checkpoint.config.tokens,
        margin=checkpoint.margin,
    )


def _print(rows: "list[StudentRow]") -> None:
    groups = list(rows[0].auc)
    teacher = rows[0].auc
    numbers = ("layers", "tokens", "ms", "per s", "per s, 32", "cost", "asked", "agrees", "points")
    columns = ("", *numbers[:7], *(f"AUC {group}" for group in groups), *numbers[7:])
    cells = []
    for row in rows:
        aucs = [
            f"{row.auc[group]:.3f} ({row.auc[group] - teacher[group]:+.3f})" if row.auc else "-"
            for group in groups
        ]
        cells.append(
            (
                row.name,
                "-" if row.layers is None else str(row.layers),
                "-" if row.tokens is None else str(row.tokens),
                f"{row.cost.milliseconds:.1f}",
                f"{row.cost.per_second:.0f}",
                f"{row.cost.per_second_batched:.0f}",
                f"{row.cost_share:.0%}",
                "-" if row.asked is None else f"{row.asked:.0%}",
                *aucs,
                f"{row.agreement:.0%}",
                f"{row.difference.mean:+.2f} [{row.difference.low:+.2f}, {row.difference.high:+.2f}]",
            )
        )
    print_table(
        columns,
        cells,
        title="Cost of a decision, 128 tokens and 30 candidates; quality against the teacher's choices",
        numeric=columns[1:],
    )
