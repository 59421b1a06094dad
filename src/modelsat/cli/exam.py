"""`modelsat exam`: build aptitude tests, run and grade them, and look at the cards."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli.exam_card import compare, show
from modelsat.cli.exam_replay import replay
from modelsat.cli.exam_run import FORMER, run, settings_type
from modelsat.cli.imports import DelimiterOption
from modelsat.cli.output import CommandGroup, print_json, print_table, say
from modelsat.cli.settings import settings_command
from modelsat.errors import DataError

if TYPE_CHECKING:
    from modelsat.capability.aptitude import AptitudeTest

app = typer.Typer(cls=CommandGroup, no_args_is_help=True, help="Build, sit and grade aptitude tests.")
app.command("run", cls=settings_command(settings_type, FORMER))(run)
app.command("show", epilog="Example: modelsat exam show cards/our-model.json")(show)
app.command("compare", epilog="Example: modelsat exam compare cards/old.json cards/new.json")(compare)
app.command("replay", epilog="Example: modelsat exam replay --width 0.15 --width 0.1")(replay)

OutcomesOption = Annotated[
    Path,
    typer.Option(
        "--outcomes", metavar="DIR", help="Folder with instructions and outcomes (parquet or JSONL)."
    ),
]
SourceOption = Annotated[
    str | None,
    typer.Option("--source", help="Use outcomes of this evaluation protocol only.", show_default=False),
]
OutcomesChoice = Annotated[
    Path | None,
    typer.Option(
        "--outcomes",
        metavar="DIR",
        help="Choose items from this folder with instructions and outcomes.",
        show_default=False,
    ),
]
ItemsOption = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="Items of your own (JSONL or CSV).", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(
    epilog="Example: modelsat exam build --outcomes data --dataset mmlu_pro --splits splits.json -o exam.json; "
    "modelsat exam build --from my_items.jsonl -o my_exam.json"
)
def build(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The blueprint to write.")],
    outcomes: OutcomesChoice = None,
    items: ItemsOption = None,
    dataset: Annotated[
        str | None, typer.Option(help="Take items from this dataset (default: from all).", show_default=False)
    ] = None,
    tasks: Annotated[int, typer.Option(min=1, help="Number of tasks.")] = 50,
    shots: Annotated[int, typer.Option(min=1, help="Items per task.")] = 20,
    seed: Annotated[int, typer.Option(help="Different seeds give different forms of the exam.")] = 0,
    splits: Annotated[
        Path | None,
        typer.Option(
            help="Candidates to keep unseen (JSON); their outcomes are not used.", show_default=False
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the exam (default: the file's).", show_default=False)
    ] = None,
    source: SourceOption = None,
    delimiter: DelimiterOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite a blueprint, even one whose keywords were edited.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Choose the items that tell candidates apart, and name each task by five keywords.

    Items come from the tuning split only. Those that half of the candidates solve weigh most, in so far as
    their solvers also do well on the rest of the task. The blueprint holds ids, content hashes and keywords,
    no texts; the keywords may be edited by hand, and are not overwritten without --force.

    With --from, all items of a file of your own (task, text, choices, answer) make the exam, and their texts
    are written beside the blueprint, for `exam run --source`.
    """
    if items is not None and outcomes is None:
        exam = _own_exam(items, output, name or output.stem, delimiter=delimiter, force=force)
        _print_exam(exam, output, as_json=as_json)
        return
    if items is not None or outcomes is None:
        raise DataError("give either --outcomes, to choose items from, or --from, with items of your own.")
    import numpy as np

    from modelsat.capability.aptitude import require_unedited
    from modelsat.capability.selection import select_items, tuning_table
    from modelsat.records.splits import Splits, read_splits
    from modelsat.records.store import OutcomeDirectory
    from modelsat.records.table import OutcomeTable

    held_out = Splits() if splits is None else read_splits(splits)
    directory = OutcomeDirectory.load(outcomes)
    table = OutcomeTable.from_records(
        directory.instructions, directory.outcomes, dataset=dataset, source=source
    )
    exam = select_items(
        tuning_table(table, held_out),
        tasks=tasks,
        shots=shots,
        rng=np.random.default_rng(seed),
        name=name or output.stem,
        dataset=dataset or "",
    )
    if not force:
        require_unedited(output, exam)
    exam.save(output)
    _print_exam(exam, output, as_json=as_json)


@app.command(epilog="Example: modelsat exam grade --outcomes data --exam core -o cards")
def grade(
    outcomes: OutcomesOption,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the cards.")],
    exam: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="A shipped blueprint (core) or a file.")
    ] = "core",
    source: SourceOption = None,
    date: Annotated[
        str | None,
        typer.Option(help="When the exam was sat, YYYY-MM-DD (default: today).", show_default=False),
    ] = None,
    note: Annotated[str, typer.Option(help="Source of the outcomes, noted in every card.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Write a capability card for every candidate that has outcomes on the exam's items.

    A candidate may have sat only part of it: its card lists the tasks, and the number of shots of each. Expert
    notes of a card that is written again are kept.
    """
    from datetime import date as day

    from modelsat.capability.aptitude import AptitudeTest
    from modelsat.capability.card import card_name, renew_card
    from modelsat.capability.grading import exam_table
    from modelsat.capability.grading import grade as grade_table
    from modelsat.records.store import OutcomeDirectory

    blueprint = AptitudeTest.find(exam)
    try:
        sat_on = day.today() if date is None else day.fromisoformat(date)
    except ValueError:
        raise DataError(f"--date is {date!r}; expected a day as YYYY-MM-DD.") from None
    directory = OutcomeDirectory.load(outcomes)
    table = exam_table(directory.instructions, directory.outcomes, blueprint, source=source)
    profiles = grade_table(table, blueprint, date=sat_on.isoformat(), source=note)
    rows = []
    for profile in sorted(profiles, key=lambda profile: -profile.level):
        path = output / card_name(profile.candidate)
        renew_card(path, profile)
        shots = sum(result.shots for result in profile.results)
        rows.append((profile.candidate, profile.level, len(profile.results), shots, str(path)))
    if as_json:
        keys = ("candidate", "level", "tasks", "shots", "card")
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
        return
    print_table(
        ["candidate", "level", "tasks", "shots", "card"],
        [(name, f"{level:.3f}", tasks, shots, path) for name, level, tasks, shots, path in rows],
        numeric=["level", "tasks", "shots"],
    )
    say(f"{output}: {len(rows)} cards on exam {blueprint.name} ({len(blueprint.items)} items)")


def _own_exam(items: Path, output: Path, name: str, *, delimiter: str | None, force: bool) -> "AptitudeTest":
    """Make an exam from a file of items, with their texts beside the blueprint."""
    from modelsat.capability.aptitude import require_unedited
    from modelsat.capability.own_exam import own_exam, read_items
    from modelsat.records.store import write_instructions

    read = read_items(items, exam=name, delimiter=delimiter)
    exam = own_exam(read, name=name)
    if not force:
        require_unedited(output, exam)
    texts = output.with_suffix(".texts.jsonl")
    write_instructions(texts, read)
    exam.save(output)
    say(f"{texts}: texts of the items, for exam run --source")
    unanswered = sum(item.answer is None and item.kind != "code" for item in read)
    if unanswered:
        say(f"note: {unanswered} items have no answer; exam run cannot grade them; import outcomes instead.")
    return exam


def _print_exam(exam: "AptitudeTest", output: Path, *, as_json: bool) -> None:
    if as_json:
        rows = [
            {"task": task.name, "keywords": task.keywords, "items": len(task.items)} for task in exam.tasks
        ]
        print_json({"output": str(output), "name": exam.name, "hash": exam.hash, "tasks": rows})
        return
    print_table(
        ["task", "items", "keywords"],
        [(task.name, len(task.items), ", ".join(task.keywords)) for task in exam.tasks],
        numeric=["items"],
    )
    say(f"{output}: {len(exam.tasks)} tasks, {len(exam.items)} items, hash {exam.hash}")
