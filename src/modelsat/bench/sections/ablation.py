"""Ablation: variants of the router tuned alike on a sample, with one part changed.

A full run of every variant would take days, so there are two studies. `head`: the exam attention on states of the
untuned backbone, all tuning instructions. `layout`: every layout with its encoders and heads, on few layers, few
tokens and few instructions, both stages. Numbers compare within a study, not between them, and not with the router
as it ships.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelsat.bench import metrics
from modelsat.bench.cache import digest
from modelsat.bench.evaluation_set import EvaluationSet
from modelsat.bench.methods import choose_in
from modelsat.bench.reporting.numbers import count, points, three_decimals
from modelsat.bench.results import Cell, Table
from modelsat.bench.run import BenchmarkRun
from modelsat.bench.section import Column, Section, TableSpec
from modelsat.records.table import OutcomeTable
from modelsat.routing.load import load_tuned
from modelsat.scoring.config import AttentionConfig
from modelsat.statistics import PairedBootstrap
from modelsat.tuning.recipe import Recipe
from modelsat.types import ScoreMatrix


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One row.

    Attributes:
        study: Rows compare within a study only.
        name: The difference.
        config: Changes to the study's network.
        recipe: Changes to the study's recipe.
    """

    study: str
    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Settings that all variants of a study share.

    Attributes:
        config: Changes to the shipped network.
        recipe: Of tuning.
        learned: Tuning instructions; None takes all.
        routed: Instructions to route.
    """

    config: Mapping[str, Any]
    recipe: Recipe
    learned: int | None
    routed: int


STUDIES: Mapping[str, Study] = {
    "head": Study(
        config={"frozen_layers": 0, "lora_rank": 0},
        recipe=Recipe(stage1_epochs=3),
        learned=None,
        routed=300,
    ),
    "layout": Study(
        config={"layers": 4, "frozen_layers": 0, "tokens": 64},
        recipe=Recipe(stage1_epochs=1, stage1_batch=16, stage2_epochs=1, stage2_batch=8),
        learned=48,
        routed=60,
    ),
}


def _prompted(layout: str, encoder: str, head: str) -> Variant:
    config = {"layout": layout, "capability_encoder": encoder, "head": head}
    return Variant(study="layout", name=f"{layout}, {encoder}, {head}", config=config)


VARIANTS: tuple[Variant, ...] = (
    Variant(study="head", name="three heads averaged"),
    Variant(study="head", name="one head", config={"attention": AttentionConfig(heads=1)}),
    Variant(study="head", name="sharper attention", config={"attention": AttentionConfig(sharpness=18.0)}),
    Variant(study="head", name="no virtual candidates", recipe={"mixup_ratio": 0.0}),
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


TABLE = TableSpec(
    name="ablation",
    title="What each part is worth",
    columns=(
        Column("study"),
        Column("variant"),
        Column("layers", count),
        Column("tokens", count),
        Column("tuned_on", count),
        Column("n", count),
        Column("auc_seen", three_decimals, "AUC, seen"),
        Column("auc_unseen", three_decimals, "AUC, unseen"),
        Column("gain", points, "gain, points", ("gain_low", "gain_high")),
    ),
)


def compute(run: BenchmarkRun) -> Iterator[Table]:
    """Tune every variant and measure it; a killed run resumes if the run has a folder."""
    kept = None if run.folder is None else run.folder / "ablation"
    rows: list[tuple[Cell, ...]] = []
    with nullcontext(kept) if kept else tempfile.TemporaryDirectory() as folder:
        for done, variant in enumerate(VARIANTS):

            def report(step: str, done: int = done, name: str = variant.name) -> None:
                run.progress(f"{name}, {step}", done, len(VARIANTS))

            rows.append(_measured(run, variant, Path(folder), report))
    layout = STUDIES["layout"]
    yield TABLE.table(
        rows,
        "Study head: the shipped network's depth and token budget with an untuned backbone, all tuning instructions. "
        f"Study layout: {layout.config['layers']} layers, {layout.config['tokens']} tokens, {layout.learned} tuning "
        "instructions, both stages. Rows compare within a study only. The capability encoder 'none' is left out, since "
        "a card of 50 tasks in plain words makes every prompt several times longer, and 'items', since it needs the "
        "whole exam of every candidate. Gain: mean over zoos against the best single.",
    )


def _measured(
    run: BenchmarkRun, variant: Variant, folder: Path, report: Callable[[str], None]
) -> tuple[Cell, ...]:
    from modelsat.tuning.dataset import read_tuning_data
    from modelsat.tuning.tune import tune

    study, routed = STUDIES[variant.study], run.core
    config = replace(run.config, **{**study.config, **variant.config})
    recipe = replace(study.recipe, seed=run.seed, **variant.recipe)
    report("reading")
    data = read_tuning_data(
        run.directory,
        run.exam,
        splits=run.splits,
        limit=study.learned,
        rng=np.random.default_rng(run.seed),
    )
    checkpoint = tune(
        data,
        config=config,
        recipe=recipe,
        folder=folder / digest(run.data_hash, repr(sorted(asdict(config).items())), repr(recipe)),
        log=lambda record: report(f"stage {record['stage']}") if "stage" in record else None,
        progress=lambda step, at, total: report(f"{step} {at}/{total}"),
        notes={"exam": run.exam.name},
    )
    rows = np.random.default_rng(run.seed).permutation(routed.widest)[: study.routed]
    table = routed.table.select(np.sort(rows))
    report("routing")
    scores = load_tuned(checkpoint).score(table.instructions, routed.profiles)
    bootstrap = PairedBootstrap(len(table), rng=np.random.default_rng(run.seed))
    gain = bootstrap.interval(_gains(routed, table, scores))
    return (
        variant.study,
        variant.name,
        config.layers,
        config.tokens,
        len(data.tuning.instructions),
        len(table),
        *(_auc(routed, table, scores, group) for group in ("seen", "unseen")),
        gain.mean,
        gain.low,
        gain.high,
    )


def _auc(routed: EvaluationSet, table: OutcomeTable, scores: ScoreMatrix, group: str) -> float | None:
    if group not in routed.groups:
        return None
    columns = routed.columns(routed.groups[group])
    return metrics.auc(table.scores[:, columns], scores.logits[:, columns])


def _gains(routed: EvaluationSet, table: OutcomeTable, scores: ScoreMatrix) -> NDArray[np.float64]:
    """Points over the best single candidate, mean over zoos, [instruction]."""
    rows = np.arange(len(table))
    gains = [
        table.scores[rows, choose_in(scores, rows, members)] - table.scores[:, routed.best_single(zoo)]
        for zoo, members in routed.zoos.items()
    ]
    mean: NDArray[np.float64] = np.mean(gains, axis=0, dtype=np.float64)
    return mean


SECTION = Section(
    name="ablation",
    order=95,
    heading="What each part is worth",
    reading="The router with one part changed, each variant tuned alike on a sample. Rows compare within a study only, "
    "and with few instructions an interval is wide.",
    tables=(TABLE,),
    compute=compute,
    full_only=True,
    needs_torch=True,
)
