"""`modelsat import`: a user's own results become an outcomes directory."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modelsat.cli.output import CommandGroup, print_json, print_table, say
from modelsat.errors import DataError

if TYPE_CHECKING:
    from modelsat.records.importers import Import, NumberedRow

REJECTIONS_SHOWN = 10

app = typer.Typer(
    cls=CommandGroup, no_args_is_help=True, help="Turn your own results into instructions and outcomes."
)

SourceArgument = Annotated[
    Path, typer.Argument(metavar="PATH", help="One row per candidate and instruction.")
]
TargetOption = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="The outcomes directory to write.")
]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map", metavar="FIELD=COLUMN", help="Where a field is found; repeat for each.", show_default=False
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="FIELD=VALUE", help="One value for every row; repeat for each.", show_default=False
    ),
]
EndingOption = Annotated[str, typer.Option("--format", help="Format of the files written: parquet or jsonl.")]
SkipOption = Annotated[bool, typer.Option("--skip-bad", help="Leave rows that cannot be read out.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_FIELDS = """
Fields: candidate, text, score (required); id, dataset, task, category, kind, choices, answer, parsed,
output_tokens, latency_s, source. A field that is not mapped is read from the column of its own name. Without
an id, one is made from the text.
"""


@app.command(
    "csv",
    epilog="Example: modelsat import csv results.csv -o outcomes --map candidate=model_name "
    "--map text=question --map score=is_correct --set dataset=support",
)
def import_csv(
    path: SourceArgument,
    output: TargetOption,
    map_: MapOption = None,
    set_: SetOption = None,
    delimiter: Annotated[str, typer.Option(help="What stands between cells.")] = ",",
    ending: EndingOption = "parquet",
    skip_bad: SkipOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import a CSV file with a header line."""
    from modelsat.records.importers import csv_rows

    if len(delimiter) != 1:
        raise DataError(f"--delimiter is {delimiter!r}; expected one character.")
    rows = csv_rows(path, delimiter=delimiter)
    _import(path, rows, output, map_, set_, ending, skip_bad=skip_bad, as_json=as_json)


@app.command(
    "jsonl",
    epilog="Example: modelsat import jsonl evals.jsonl -o outcomes --map text=prompt "
    "--map score=metrics.accuracy --set candidate=our-model",
)
def import_jsonl(
    path: SourceArgument,
    output: TargetOption,
    map_: MapOption = None,
    set_: SetOption = None,
    ending: EndingOption = "parquet",
    skip_bad: SkipOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import a file with one JSON object per line; a dot in a column reaches into nested objects."""
    from modelsat.records.importers import jsonl_rows

    _import(path, jsonl_rows(path), output, map_, set_, ending, skip_bad=skip_bad, as_json=as_json)


import_csv.__doc__ = f"{import_csv.__doc__}\n{_FIELDS}"
import_jsonl.__doc__ = f"{import_jsonl.__doc__}\n{_FIELDS}"


def _import(
    path: Path,
    rows: "Iterator[NumberedRow]",
    output: Path,
    columns: list[str] | None,
    constants: list[str] | None,
    ending: str,
    *,
    skip_bad: bool,
    as_json: bool,
) -> None:
    from modelsat.records.importers import import_rows
    from modelsat.records.store import OutcomeDirectory

    if ending not in ("parquet", "jsonl"):
        raise DataError(f"--format is {ending!r}; expected parquet or jsonl.")
    result = import_rows(
        rows, columns=_pairs("--map", columns, "COLUMN"), constants=_pairs("--set", constants, "VALUE")
    )
    for rejection in result.rejected[:REJECTIONS_SHOWN]:
        say(f"{path}:{rejection.line}: {rejection.reason}")
    if len(result.rejected) > REJECTIONS_SHOWN:
        say(f"... and {len(result.rejected) - REJECTIONS_SHOWN} more lines")
    if result.rejected and not skip_bad:
        raise DataError(
            f"{path}: {len(result.rejected)} of {result.rows} rows cannot be read; nothing was written. "
            "Mend them, or leave them out with --skip-bad."
        )
    if not result.outcomes:
        raise DataError(f"{path}: no outcome was found; nothing was written.")
    OutcomeDirectory.save(output, result.instructions, result.outcomes, ending=f".{ending}")
    _print(result, output, as_json=as_json)


def _print(result: "Import", output: Path, *, as_json: bool) -> None:
    candidates: dict[str, list[float]] = {}
    for outcome in result.outcomes:
        candidates.setdefault(outcome.candidate, []).append(outcome.score)
    if as_json:
        print_json(
            {
                "output": str(output),
                "rows": result.rows,
                "instructions": len(result.instructions),
                "outcomes": len(result.outcomes),
                "duplicates": result.duplicates,
                "rejected": [{"line": row.line, "reason": row.reason} for row in result.rejected],
                "candidates": {
                    name: {"outcomes": len(scores), "mean_score": sum(scores) / len(scores)}
                    for name, scores in candidates.items()
                },
            }
        )
        return
    print_table(
        ["candidate", "outcomes", "mean score"],
        [(name, len(scores), f"{sum(scores) / len(scores):.3f}") for name, scores in candidates.items()],
        numeric=["outcomes", "mean score"],
    )
    say(
        f"{output}: {len(result.instructions)} instructions, {len(result.outcomes)} outcomes from "
        f"{result.rows} rows; left out: {result.duplicates} duplicates, {len(result.rejected)} bad rows."
    )


def _pairs(option: str, values: list[str] | None, meaning: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for value in values or []:
        name, equals, content = value.partition("=")
        if not equals or not name or not content:
            raise DataError(f"{option} {value!r}: expected FIELD={meaning}.")
        if name in pairs:
            raise DataError(f"{option} names the field {name!r} twice; drop one of them.")
        pairs[name] = content
    return pairs
