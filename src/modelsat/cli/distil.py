"""`modelsat distil`: a small student of a tuned router."""

from pathlib import Path
from typing import Annotated

import typer

from modelsat.cli.output import print_json, say
from modelsat.cli.tune import logging_to

EPILOG = (
    "Example: modelsat distil --outcomes data/ --splits data/splits.json --layers 3 -o runs/student. "
    "A run that was killed goes on where it was."
)


def distil(
    outcomes: Annotated[Path, typer.Option(help="Directory of instructions and outcomes.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the run; its checkpoint/ is the result.")
    ],
    splits: Annotated[Path | None, typer.Option(help="JSON file that says what tuning must not see.")] = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FOLDER",
            help="A teacher's checkpoint, or accurate, fast, fastest; repeatable (default: accurate).",
            show_default=False,
        ),
    ] = None,
    exam: Annotated[str, typer.Option(help="The teachers' exam: 'core' or a blueprint file.")] = "core",
    dataset: Annotated[list[str] | None, typer.Option(help="Dataset with outcomes; repeatable.")] = None,
    unlabelled: Annotated[
        list[str] | None,
        typer.Option(help="Dataset whose instructions the teachers alone judge; repeatable."),
    ] = None,
    layers: Annotated[
        int, typer.Option(min=0, help="Layers of the text encoder; 0: token embeddings alone.")
    ] = 3,
    tokens: Annotated[int, typer.Option(min=3, help="Token budget of an instruction.")] = 128,
    heads: Annotated[int, typer.Option(min=1, help="Attention heads that are averaged.")] = 3,
    lora_rank: Annotated[int, typer.Option(min=1, help="Rank of the adapters.")] = 32,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the instructions.")] = 4,
    batch: Annotated[int, typer.Option(min=1, help="Instructions per step.")] = 32,
    head_rate: Annotated[float, typer.Option(help="Learning rate of the head.")] = 1e-3,
    adapter_rate: Annotated[float, typer.Option(help="Learning rate of the adapters.")] = 6e-4,
    hard_label_weight: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the outcome in the target.")
    ] = 0.3,
    margin_weight: Annotated[
        float, typer.Option(help="Weight of the margin loss between pairs of candidates.")
    ] = 0.5,
    ranking_weight: Annotated[float, typer.Option(help="Weight of the ranking term.")] = 0.2,
    option_dropout: Annotated[float, typer.Option(help="Share of steps without lettered options.")] = 0.3,
    deferral_rate: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Share of validation decisions that a cascade defers to its teacher."
        ),
    ] = 0.15,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Use at most so many instructions (a smoke run).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Distil tuned routers into a student that reads with a small text encoder alone; chosen on validation."""
    import numpy as np

    from modelsat.capability.aptitude import AptitudeTest
    from modelsat.network.pretrained import require_torch
    from modelsat.records.splits import Splits, read_splits
    from modelsat.records.store import OutcomeDirectory
    from modelsat.scoring.checkpoint import load_checkpoint

    require_torch()
    from modelsat.routing.load import checkpoint_folder
    from modelsat.scoring.config import AttentionConfig, NetworkConfig
    from modelsat.tuning.dataset import read_tuning_data
    from modelsat.tuning.distil import DistillationRecipe, DistillationRun
    from modelsat.tuning.teacher import Teacher

    folders = [checkpoint_folder(name) for name in teacher or ["accurate"]]
    encoder = load_checkpoint(folders[0]).config.text_encoder
    held_out = read_splits(splits) if splits else Splits()
    data = read_tuning_data(
        OutcomeDirectory.load(outcomes),
        AptitudeTest.find(exam),
        splits=held_out,
        datasets=dataset,
        unlabelled=unlabelled or (),
        limit=limit,
        rng=np.random.default_rng(seed),
    )
    say(data.summary())
    with logging_to(output) as log:
        checkpoint = DistillationRun(
            data,
            teachers=[Teacher(folder) for folder in folders],
            zoos=held_out.zoos,
            config=NetworkConfig(
                backbone=encoder,
                text_encoder=encoder,
                layers=layers,
                frozen_layers=0,
                tokens=tokens,
                lora_rank=lora_rank if layers else 0,
                lora_alpha=2 * lora_rank,
                attention=AttentionConfig(heads=heads, input_dropout=0.1, hidden_dropout=0.1),
            ),
            recipe=DistillationRecipe(
                seed=seed,
                stage1_epochs=0 if layers else epochs,
                stage1_batch=batch,
                stage2_epochs=epochs,
                stage2_batch=batch,
                head_rate=head_rate,
                adapter_rate=adapter_rate,
                hard_label_weight=hard_label_weight,
                margin_weight=margin_weight,
                ranking_weight=ranking_weight,
                option_dropout=option_dropout,
                deferral_rate=deferral_rate,
            ),
            folder=output,
            log=log,
            progress=lambda what, done, total: say(f"{what}: {done}/{total}"),
            notes={
                "exam": data.exam.name,
                "datasets": list(dataset or [data.exam.dataset]),
                "unlabelled": list(unlabelled or ()),
            },
        ).tune()
    if as_json:
        print_json({"checkpoint": str(checkpoint)})
    else:
        typer.echo(f"checkpoint: {checkpoint}")
