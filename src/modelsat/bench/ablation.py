"""What each part of the router is worth: variants tuned alike on a sample, with one part changed.

A full run of every variant would take days, so there are two studies. `head`: the exam attention on states of the
untuned backbone, all tuning instructions. `layout`: every layout with its encoders and heads, on few layers, few
tokens and few instructions, both stages. Numbers compare within a study, not between them, and not with the router
as it ships.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelsat.bench import metrics
from modelsat.bench.arena import Arena
from modelsat.bench.cache import digest
from modelsat.bench.choosing import best_single, choose_in
from modelsat.bench.results import Cell, Table
from modelsat.bench.setup import Setup
from modelsat.progress import Progress
from modelsat.records.table import OutcomeTable
from modelsat.routing.load import load_tuned
from modelsat.scoring.config import AttentionConfig, NetworkConfig
from modelsat.statistics import PairedBootstrap
from modelsat.tuning.dataset import read_tuning_data
from modelsat.tuning.recipe import Recipe
from modelsat.tuning.tune import tune
from modelsat.types import ScoreMatrix, column_index


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One row.

    Attributes:
        study: It compares with the others of its study.
        name: What is different.
        config: Changes to the study's network.
        recipe: Changes to the study's recipe.
    """

    study: str
    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What all variants of a study share.

    Attributes:
        config: Changes to the shipped network.
        recipe: Of tuning.
        learnt: Tuning instructions; None takes all.
        routed: Instructions to route.
    """

    config: Mapping[str, Any]
    recipe: Recipe
    learnt: int | None
    routed: int


STUDIES: Mapping[str, Study] = {
    "head": Study(
        config={"frozen_layers": 0, "lora_rank": 0},
        recipe=Recipe(stage1_epochs=3),
        learnt=None,
        routed=300,
    ),
    "layout": Study(
        config={"layers": 4, "frozen_layers": 0, "tokens": 64},
        recipe=Recipe(stage1_epochs=1, stage1_batch=16, stage2_epochs=1, stage2_batch=8),
        learnt=48,
        routed=60,
    ),
}


def _prompted(layout: str, encoder: str, head: str) -> Variant:
    config = {"layout": layout, "encoder": encoder, "head": head}
    return Variant(study="layout", name=f"{layout}, {encoder}, {head}", config=config)


VARIANTS: tuple[Variant, ...] = (
    Variant(study="head", name="three heads averaged"),
    Variant(study="head", name="one head", config={"attention": AttentionConfig(heads=1)}),
    Variant(study="head", name="sharper attention", config={"attention": AttentionConfig(sharpness=18.0)}),
    Variant(study="head", name="no virtual candidates", recipe={"virtual": 0.0}),
    Variant(study="head", name="no ranking term", recipe={"ranking_weight": 0.0}),
    Variant(study="head", name="homogeneous groups (the paper's loss)", recipe={"loss": "homogeneous"}),
    Variant(study="layout", name="exam_attention, numeric, attention"),
    _prompted("shared_prefix", "text", "yes_token"),
    _prompted("shared_prefix", "numeric", "yes_token"),
    _prompted("shared_prefix", "numeric", "regression"),
    _prompted("capability_first", "text", "yes_token"),
    _prompted("capability_first", "numeric", "yes_token"),
    _prompted("capability_first", "text", "regression"),
)


def ablation_table(
    setup: Setup, arena: Arena, *, folder: Path | None, seed: int, progress: Progress
) -> Table:
    """Tune every variant and measure it.

    Args:
        setup: Data and the shipped network, which variants are changes of.
        arena: What is routed.
        folder: Keeps the runs, so that a killed one goes on; None keeps nothing.
        seed: Of samples, tuning and bootstrap.
        progress: Told what is going on, variants done and in all.
    """
    rows: list[tuple[Cell, ...]] = []
    with nullcontext(folder) if folder else tempfile.TemporaryDirectory() as runs:
        for done, variant in enumerate(VARIANTS):

            def report(step: str, done: int = done, name: str = variant.name) -> None:
                progress(f"{name}: {step}", done, len(VARIANTS))

            rows.append(_measured(setup, arena, variant, runs=Path(runs), seed=seed, report=report))
    return Table.of(
        "ablation",
        "What each part is worth",
        "Study head: the shipped network's depth and token budget with an untuned backbone, all tuning instructions. "
        f"Study layout: {STUDIES['layout'].config['layers']} layers, {STUDIES['layout'].config['tokens']} tokens, "
        f"{STUDIES['layout'].learnt} tuning instructions, both stages. Rows compare within a study only. The encoder "
        "'none' is left out, since a card of 50 tasks in plain words makes every prompt several times longer, and "
        "'items', since it needs the whole exam of every candidate. Gain: mean over zoos against the best single.",
        rows,
    )


def _measured(
    setup: Setup, arena: Arena, variant: Variant, *, runs: Path, seed: int, report: Callable[[str], None]
) -> tuple[Cell, ...]:
    study = STUDIES[variant.study]
    config = replace(setup.config, **{**study.config, **variant.config})
    recipe = replace(study.recipe, seed=seed, **variant.recipe)
    report("reading")
    data = read_tuning_data(
        setup.directory,
        setup.exam,
        splits=setup.splits,
        limit=study.learnt,
        rng=np.random.default_rng(seed),
    )
    checkpoint = tune(
        data,
        config=config,
        recipe=recipe,
        folder=runs / digest(setup.data_hash, repr(sorted(asdict(config).items())), repr(recipe)),
        log=lambda record: report(f"stage {record['stage']}") if "stage" in record else None,
        progress=lambda step, done, total: report(f"{step} {done}/{total}"),
        notes={"exam": setup.exam.name},
    )
    rows = np.random.default_rng(seed).permutation(arena.widest)[: study.routed]
    table = arena.held_out.table.select(np.sort(rows))
    report("routing")
    scores = load_tuned(checkpoint).score(table.instructions, arena.held_out.profiles)
    return _row(variant, config, len(data.tuning.instructions), arena, table, scores, seed=seed)


def _row(
    variant: Variant,
    config: NetworkConfig,
    learnt: int,
    arena: Arena,
    table: OutcomeTable,
    scores: ScoreMatrix,
    *,
    seed: int,
) -> tuple[Cell, ...]:
    gain = PairedBootstrap(len(table), rng=np.random.default_rng(seed)).intervals(
        _gains(arena, table, scores)[:, None]
    )[0]
    return (
        variant.study,
        variant.name,
        config.layers,
        config.tokens,
        learnt,
        len(table),
        *(_auc(arena, table, scores, group) for group in ("seen", "unseen")),
        gain.mean,
        gain.low,
        gain.high,
    )


def _auc(arena: Arena, table: OutcomeTable, scores: ScoreMatrix, group: str) -> float | None:
    members: Sequence[str] = arena.held_out.groups.get(group, ())
    if not members:
        return None
    columns = column_index(table.candidates, members)
    return metrics.auc(table.scores[:, columns], scores.logits[:, columns])


def _gains(arena: Arena, table: OutcomeTable, scores: ScoreMatrix) -> NDArray[np.float64]:
    """[instruction]: points over the best single candidate, mean over zoos."""
    rows = np.arange(len(table))
    gains = []
    for zoo, members in arena.held_out.zoos.items():
        chosen = table.scores[rows, choose_in(scores, rows, members)]
        gains.append(chosen - table.scores[:, best_single(arena.held_out, zoo)])
    mean: NDArray[np.float64] = np.mean(gains, axis=0, dtype=np.float64)
    return mean
