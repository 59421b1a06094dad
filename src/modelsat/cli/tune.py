"""`modelsat tune`: capability instruction tuning."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from modelsat.cli.output import print_json, say
from modelsat.errors import DataError

_EXAMPLES = """
Examples:

  modelsat tune --outcomes data/ --splits data/splits.json -o runs/first

  modelsat tune --outcomes data/ --splits data/splits.json -o runs/try --limit 200 --stage2-epochs 1

The defaults are those of the shipped router: an hour or so on two cores with bf16, several without. Lighter:

  modelsat tune --outcomes data/ --splits data/splits.json -o runs/light --layers 14 --frozen-layers 8 --tokens 128

Go on from a router that is tuned already, on outcomes of your own or on what it and its student say of new texts:

  modelsat tune --outcomes mine/ --splits mine/splits.json -o runs/mine --start accurate --stage2-epochs 1

  modelsat tune --outcomes data/ --splits data/splits.json -o runs/second --start accurate --stage2-epochs 1 \
      --teacher accurate --teacher fast --unlabelled mmlu

A run that was killed goes on where it was: give the same command again.
"""


def tune(
    outcomes: Annotated[Path, typer.Option(help="Directory of instructions and outcomes.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the run; its checkpoint/ is the result.")
    ],
    splits: Annotated[Path | None, typer.Option(help="JSON file that says what tuning must not see.")] = None,
    exam: Annotated[str, typer.Option(help="The exam: 'core' or a blueprint file.")] = "core",
    dataset: Annotated[list[str] | None, typer.Option(help="Dataset to tune on; repeatable.")] = None,
    unlabelled: Annotated[
        list[str] | None,
        typer.Option(help="Dataset whose instructions the teachers alone judge; repeatable."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Checkpoint to go on from, of the same parts; accurate is the shipped router.",
        ),
    ] = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FOLDER",
            help="Checkpoint whose predictions are learnt too, or accurate, fast, fastest; repeatable.",
        ),
    ] = None,
    hard_label_weight: Annotated[
        float, typer.Option(help="With teachers: share of the outcome in the target.")
    ] = 0.3,
    margin_weight: Annotated[
        float,
        typer.Option(help="With teachers: weight of the margin loss between pairs of candidates."),
    ] = 0.5,
    layout: Annotated[
        str, typer.Option(help="exam_attention, shared_prefix or capability_first (the paper's).")
    ] = "exam_attention",
    capability_encoder: Annotated[
        str,
        typer.Option(help="Capability encoder: numeric, text, items or none."),
    ] = "numeric",
    head: Annotated[
        str | None,
        typer.Option(help="yes_token or regression for layouts with a prompt; attention otherwise."),
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="Backbone (default: embedded), folder or hub name.")
    ] = None,
    text_encoder: Annotated[
        str | None, typer.Option(help="Text encoder (default: embedded), folder or hub name.")
    ] = None,
    layers: Annotated[int, typer.Option(help="Backbone layers to run.")] = 18,
    frozen_layers: Annotated[
        int,
        typer.Option(
            help="First layers that stay as they are; their states are cached, which saves time where bf16 is slow."
        ),
    ] = 0,
    tokens: Annotated[int, typer.Option(help="Token budget of an instruction.")] = 192,
    heads: Annotated[int, typer.Option(help="Attention heads that are averaged.")] = 3,
    lora_rank: Annotated[int, typer.Option(help="Rank of the adapters; 0 tunes the head alone.")] = 8,
    loss: Annotated[str, typer.Option(help="'listwise' or the paper's 'homogeneous'.")] = "listwise",
    stage1_epochs: Annotated[int, typer.Option(help="Epochs of stage 1 (head).")] = 8,
    stage2_epochs: Annotated[int, typer.Option(help="Epochs of stage 2 (adapters and head).")] = 2,
    head_rate: Annotated[float, typer.Option(help="Learning rate of the head in stage 2.")] = 5e-4,
    adapter_rate: Annotated[float, typer.Option(help="Learning rate of the adapters.")] = 4e-4,
    ranking_weight: Annotated[float, typer.Option(help="Weight of the ranking term.")] = 0.2,
    strength_weight: Annotated[float, typer.Option(help="How much more a stronger candidate counts.")] = 0.0,
    lucky_weight: Annotated[float, typer.Option(help="Weight of likely lucky guesses.")] = 1.0,
    option_dropout: Annotated[float, typer.Option(help="Share of instructions shown without options.")] = 0.3,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Use at most so many instructions (a smoke run).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Tune a router on outcomes, in two stages; selects on validation and calibrates."""
    import numpy as np

    from modelsat.capability.aptitude import AptitudeTest
    from modelsat.network.pretrained import require_torch
    from modelsat.records.splits import Splits, read_splits
    from modelsat.records.store import OutcomeDirectory
    from modelsat.scoring.weights import EMBEDDED_BACKBONE, EMBEDDED_ENCODER

    require_torch()
    from modelsat.routing.load import checkpoint_folder
    from modelsat.scoring.config import AttentionConfig, NetworkConfig
    from modelsat.tuning.dataset import read_tuning_data
    from modelsat.tuning.recipe import Recipe
    from modelsat.tuning.teacher import Teacher
    from modelsat.tuning.tune import tune as run

    recipe = Recipe(
        seed=seed,
        loss=loss,  # type: ignore[arg-type]  # checked by the recipe
        ranking_weight=ranking_weight,
        strength_weight=strength_weight,
        lucky_weight=lucky_weight,
        option_dropout=option_dropout,
        stage1_epochs=stage1_epochs,
        stage2_epochs=stage2_epochs,
        head_rate=head_rate,
        adapter_rate=adapter_rate,
        hard_label_weight=hard_label_weight,
        margin_weight=margin_weight,
    )
    config = NetworkConfig(
        layout=layout,  # type: ignore[arg-type]  # all three are checked by the configuration
        capability_encoder=capability_encoder,  # type: ignore[arg-type]
        head=head or ("attention" if layout == "exam_attention" else "yes_token"),  # type: ignore[arg-type]
        backbone=backbone or EMBEDDED_BACKBONE,
        text_encoder=text_encoder or EMBEDDED_ENCODER,
        layers=layers,
        frozen_layers=frozen_layers,
        tokens=tokens,
        lora_rank=lora_rank,
        attention=AttentionConfig(heads=heads),
    )
    if unlabelled and not teacher:
        raise DataError("--unlabelled needs a --teacher, who judges these instructions.")
    data = read_tuning_data(
        OutcomeDirectory.load(outcomes),
        AptitudeTest.find(exam),
        splits=read_splits(splits) if splits else Splits(),
        datasets=dataset,
        unlabelled=unlabelled or (),
        limit=limit,
        rng=np.random.default_rng(seed),
    )
    say(data.summary())
    with logging_to(output) as log:
        checkpoint = run(
            data,
            config=config,
            recipe=recipe,
            folder=output,
            log=log,
            progress=lambda what, done, total: say(f"{what}: {done}/{total}"),
            notes={
                "exam": data.exam.name,
                "datasets": list(dataset or [data.exam.dataset]),
                "unlabelled": list(unlabelled or ()),
            },
            start=checkpoint_folder(start) if start else None,
            teachers=[Teacher(checkpoint_folder(name)) for name in teacher or ()],
        )
    if as_json:
        print_json({"checkpoint": str(checkpoint)})
    else:
        typer.echo(f"checkpoint: {checkpoint}")


@contextmanager
def logging_to(folder: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A run's log: its records go into the folder's log.jsonl, and as sentences to whoever watches."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:

        def log(record: dict[str, Any]) -> None:
            file.write(json.dumps(record) + "\n")
            file.flush()
            say(_line(record))

        yield log


def _line(record: dict[str, Any]) -> str:
    if "validation" in record:
        kept = "kept" if record["kept"] else "not kept"
        stage, epoch, loss = record["validation"], record["epoch"], record["log_loss"]
        return f"validation after stage {stage} epoch {epoch}: log loss {loss:.4f} ({kept})"
    left = (record["steps"] - record["step"]) * record["seconds_per_step"]
    losses = ", ".join(f"{name} {value:.4f}" for name, value in record.items() if name.endswith("loss"))
    return (
        f"stage {record['stage']} step {record['step']}/{record['steps']}: {losses}, {left / 60:.0f} min left"
    )


tune.__doc__ = f"{tune.__doc__}\n{_EXAMPLES}"
