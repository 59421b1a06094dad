"""`modelsat import`: results that exist already become an outcomes directory, one command per format."""

from pathlib import Path
from typing import Annotated

import typer

from modelsat.cli.import_command import Target, command, pairs
from modelsat.cli.output import CommandGroup

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    help="Turn results that you have into instructions and outcomes. Several imports into one folder add up.",
)

PathArgument = Annotated[Path, typer.Argument(metavar="PATH", show_default=False)]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map", metavar="FIELD=COLUMN", help="Where a field is found; repeat for each.", show_default=False
    ),
]
DelimiterOption = Annotated[
    str | None,
    typer.Option(
        "--delimiter",
        metavar="CHARACTER",
        help="What stands between cells of a CSV file: one character, or tab (default: a comma, or a tab in .tsv).",
        show_default=False,
    ),
]
MetricOption = Annotated[
    str | None, typer.Option("--metric", help="Score by this metric.", show_default=False)
]


@command(
    app,
    "csv",
    epilog="Example: modelsat import csv results.csv -o outcomes --map candidate=model_name "
    "--map text=question --map score=is_correct --set dataset=support",
)
def import_csv(
    path: PathArgument,
    target: Target,
    map_: MapOption = None,
    delimiter: DelimiterOption = None,
) -> None:
    """Import a CSV file with a header line.

    Fields: candidate, text, score (required); id, dataset, task, category, kind, choices, answer, parsed,
    output_tokens, latency_s, source. A field that is not mapped is read from the column of its own name. Without
    an id, one is made from the text.
    """
    from modelsat.records.importers import csv_rows, renamed_rows

    rows = csv_rows(path, delimiter=delimiter)
    target.take(renamed_rows(rows, pairs("--map", map_, "COLUMN"), target.constants))


@command(
    app,
    "jsonl",
    epilog="Example: modelsat import jsonl evals.jsonl -o outcomes --map text=prompt "
    "--map score=metrics.accuracy --set candidate=our-model",
)
def import_jsonl(path: PathArgument, target: Target, map_: MapOption = None) -> None:
    """Import a file with one JSON object per line; a dot in a column reaches into nested objects.

    Fields are those of `modelsat import csv`.
    """
    from modelsat.records.importers import jsonl_rows, renamed_rows

    target.take(renamed_rows(jsonl_rows(path), pairs("--map", map_, "COLUMN"), target.constants))


@command(app, "lm-eval", epilog="Example: modelsat import lm-eval results/ -o outcomes --metric exact_match")
def import_lm_eval(
    path: PathArgument,
    target: Target,
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
) -> None:
    """Import logs of lm-evaluation-harness: a samples_*.jsonl file, or a folder with results.

    Run lm_eval with --log_samples. The results file beside the samples names the model.
    """
    from modelsat.records.importers.lm_eval import lm_eval_rows

    target.take(lm_eval_rows(path, metric=metric, filter_name=filter_name, text_field=text_field))


@command(app, "inspect", epilog="Example: modelsat import inspect logs/ -o outcomes --metric match")
def import_inspect(path: PathArgument, target: Target, metric: MetricOption = None) -> None:
    """Import logs of Inspect: an .eval or .json log, or a folder of them.

    Needs the extra 'inspect'. A metric is a scorer's name, or SCORER/VALUE where it gives several values.
    """
    from modelsat.records.importers.inspect_logs import inspect_rows

    target.take(inspect_rows(path, metric=metric))


@command(app, "helm", epilog="Example: modelsat import helm benchmark_output/runs/ours -o outcomes")
def import_helm(path: PathArgument, target: Target, metric: MetricOption = None) -> None:
    """Import HELM's per-instance statistics: a run folder, or any folder above some."""
    from modelsat.records.importers.helm import helm_rows

    target.take(helm_rows(path, metric=metric))


@command(app, "routerbench", epilog="Example: modelsat import routerbench routerbench_0shot.csv -o outcomes")
def import_routerbench(
    path: PathArgument,
    target: Target,
    trust_pickle: Annotated[
        bool,
        typer.Option("--trust-pickle", help="Read a pickle, which may run any code of whoever wrote it."),
    ] = False,
    delimiter: DelimiterOption = None,
) -> None:
    """Import RouterBench's wide table: one row per prompt, one column of scores per model."""
    from modelsat.records.importers.routerbench import routerbench_rows

    target.take(routerbench_rows(path, trust_pickle=trust_pickle, delimiter=delimiter))


@command(app, "embedllm", epilog="Example: modelsat import embedllm train.csv -o outcomes")
def import_embedllm(path: PathArgument, target: Target, delimiter: DelimiterOption = None) -> None:
    """Import a CSV file of EmbedLLM: prompt_id, model_name, label, prompt, category."""
    from modelsat.records.importers.embedllm import embedllm_rows

    target.take(embedllm_rows(path, delimiter=delimiter))


@command(
    app, "llmrouter", epilog="Example: modelsat import llmrouter default_routing_train_data.jsonl -o outcomes"
)
def import_llmrouter(path: PathArgument, target: Target) -> None:
    """Import the routing data of LLMRouter (JSONL)."""
    from modelsat.records.importers.llmrouter import llmrouter_rows

    target.take(llmrouter_rows(path))


@command(
    app, "mmlu-pro", epilog="Example: modelsat import mmlu-pro results/ -o outcomes --set candidate=our-model"
)
def import_mmlu_pro(path: PathArgument, target: Target) -> None:
    """Import results of MMLU-Pro's own scripts: a JSON file per category, a zip archive of them, or a folder.

    Published archives name the model; other files take --set candidate=NAME.
    """
    from modelsat.records.importers.mmlu_pro import mmlu_pro_rows

    target.take(mmlu_pro_rows(path))
