"""`modelsat import`: results that exist already become an outcomes directory, one command per format."""

from pathlib import Path
from typing import Annotated

import typer

from modelsat.cli.import_report import bring_in, pairs
from modelsat.cli.output import CommandGroup
from modelsat.errors import DataError

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    help="Turn results that you have into instructions and outcomes. Several imports into one folder add up.",
)

PathArgument = Annotated[Path, typer.Argument(metavar="PATH", show_default=False)]
TargetOption = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="The outcomes directory to write or add to.")
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
        "--set",
        metavar="FIELD=VALUE",
        help="One value for every row, whatever the log says; repeat for each.",
        show_default=False,
    ),
]
EndingOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="Write parquet or jsonl (default: as the folder has it, else parquet).",
        show_default=False,
    ),
]
SkipOption = Annotated[bool, typer.Option("--skip-bad", help="Leave rows that cannot be read out.")]
ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="Let outcomes take the place of those that the folder has already.")
]
MetricOption = Annotated[
    str | None, typer.Option("--metric", help="Score by this metric.", show_default=False)
]
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
    path: PathArgument,
    output: TargetOption,
    map_: MapOption = None,
    set_: SetOption = None,
    delimiter: Annotated[str, typer.Option(help="What stands between cells.")] = ",",
    ending: EndingOption = None,
    skip_bad: SkipOption = False,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import a CSV file with a header line."""
    from modelsat.records.importers import csv_rows, renamed_rows

    if len(delimiter) != 1:
        raise DataError(f"--delimiter is {delimiter!r}; expected one character.")
    constants = pairs("--set", set_, "VALUE")
    rows = renamed_rows(csv_rows(path, delimiter=delimiter), pairs("--map", map_, "COLUMN"), constants)
    bring_in(rows, output, constants, ending, skip_bad=skip_bad, replace=replace, as_json=as_json)


@app.command(
    "jsonl",
    epilog="Example: modelsat import jsonl evals.jsonl -o outcomes --map text=prompt "
    "--map score=metrics.accuracy --set candidate=our-model",
)
def import_jsonl(
    path: PathArgument,
    output: TargetOption,
    map_: MapOption = None,
    set_: SetOption = None,
    ending: EndingOption = None,
    skip_bad: SkipOption = False,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import a file with one JSON object per line; a dot in a column reaches into nested objects."""
    from modelsat.records.importers import jsonl_rows, renamed_rows

    constants = pairs("--set", set_, "VALUE")
    rows = renamed_rows(jsonl_rows(path), pairs("--map", map_, "COLUMN"), constants)
    bring_in(rows, output, constants, ending, skip_bad=skip_bad, replace=replace, as_json=as_json)


import_csv.__doc__ = f"{import_csv.__doc__}\n{_FIELDS}"
import_jsonl.__doc__ = f"{import_jsonl.__doc__}\n{_FIELDS}"


@app.command("lm-eval", epilog="Example: modelsat import lm-eval results/ -o outcomes --metric exact_match")
def import_lm_eval(
    path: PathArgument,
    output: TargetOption,
    metric: MetricOption = None,
    filter_name: Annotated[
        str | None,
        typer.Option(
            "--filter", help="Of a task's several filters (default: its first).", show_default=False
        ),
    ] = None,
    text_field: Annotated[
        str | None,
        typer.Option("--text-field", help="The record's field with the question.", show_default=False),
    ] = None,
    set_: SetOption = None,
    ending: EndingOption = None,
    skip_bad: SkipOption = False,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import logs of lm-evaluation-harness: a samples_*.jsonl file, or a folder with results.

    Run lm_eval with --log_samples. The results file beside the samples names the model.
    """
    from modelsat.records.importers.lm_eval import lm_eval_rows

    rows = lm_eval_rows(path, metric=metric, filter_name=filter_name, text_field=text_field)
    constants = pairs("--set", set_, "VALUE")
    bring_in(rows, output, constants, ending, skip_bad=skip_bad, replace=replace, as_json=as_json)


@app.command("inspect", epilog="Example: modelsat import inspect logs/ -o outcomes --metric match")
def import_inspect(
    path: PathArgument,
    output: TargetOption,
    metric: MetricOption = None,
    set_: SetOption = None,
    ending: EndingOption = None,
    skip_bad: SkipOption = False,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import logs of Inspect: an .eval or .json log, or a folder of them.

    Needs the extra 'inspect'. A metric is a scorer's name, or SCORER/VALUE where it gives several values.
    """
    from modelsat.records.importers.inspect_logs import inspect_rows

    constants = pairs("--set", set_, "VALUE")
    rows = inspect_rows(path, metric=metric)
    bring_in(rows, output, constants, ending, skip_bad=skip_bad, replace=replace, as_json=as_json)


@app.command("helm", epilog="Example: modelsat import helm benchmark_output/runs/ours -o outcomes")
def import_helm(
    path: PathArgument,
    output: TargetOption,
    metric: MetricOption = None,
    set_: SetOption = None,
    ending: EndingOption = None,
    skip_bad: SkipOption = False,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import HELM's per-instance statistics: a run folder, or any folder above some."""
    from modelsat.records.importers.helm import helm_rows

    constants = pairs("--set", set_, "VALUE")
    rows = helm_rows(path, metric=metric)
    bring_in(rows, output, constants, ending, skip_bad=skip_bad, replace=replace, as_json=as_json)


@app.command("routerbench", epilog="Example: modelsat import routerbench routerbench_0shot.csv -o outcomes")
def import_routerbench(
    path: PathArgument,
    output: TargetOption,
    trust_pickle: Annotated[
        bool,
        typer.Option("--trust-pickle", help="Read a pickle, which may run any code of whoever wrote it."),
    ] = False,
    set_: SetOption = None,
    ending: EndingOption = None,
    skip_bad: SkipOption = False,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import RouterBench's wide table: one row per prompt, one column of scores per model."""
    from modelsat.records.importers.routerbench import routerbench_rows

    constants = pairs("--set", set_, "VALUE")
    rows = routerbench_rows(path, trust_pickle=trust_pickle)
    bring_in(rows, output, constants, ending, skip_bad=skip_bad, replace=replace, as_json=as_json)


@app.command("embedllm", epilog="Example: modelsat import embedllm train.csv -o outcomes")
def import_embedllm(
    path: PathArgument,
    output: TargetOption,
    set_: SetOption = None,
    ending: EndingOption = None,
    skip_bad: SkipOption = False,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import a CSV file of EmbedLLM: prompt_id, model_name, label, prompt, category."""
    from modelsat.records.importers.embedllm import embedllm_rows

    constants, rows = pairs("--set", set_, "VALUE"), embedllm_rows(path)
    bring_in(rows, output, constants, ending, skip_bad=skip_bad, replace=replace, as_json=as_json)


@app.command(
    "llmrouter", epilog="Example: modelsat import llmrouter default_routing_train_data.jsonl -o outcomes"
)
def import_llmrouter(
    path: PathArgument,
    output: TargetOption,
    set_: SetOption = None,
    ending: EndingOption = None,
    skip_bad: SkipOption = False,
    replace: ReplaceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Import the routing data of LLMRouter (JSONL)."""
    from modelsat.records.importers.llmrouter import llmrouter_rows

    constants, rows = pairs("--set", set_, "VALUE"), llmrouter_rows(path)
    bring_in(rows, output, constants, ending, skip_bad=skip_bad, replace=replace, as_json=as_json)
