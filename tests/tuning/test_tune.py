"""Tuning from outcomes to a checkpoint that loads: every layout, exact resume, and that something is targets."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from modelsat.errors import DataError
from modelsat.network.encoder import load_encoder
from modelsat.network.load import load_scorer
from modelsat.scoring.checkpoint import load_checkpoint
from modelsat.scoring.config import AttentionConfig, NetworkConfig
from modelsat.scoring.scorer import ExamAttentionScorer
from modelsat.tuning import trainer
from modelsat.tuning.calibrate import log_loss
from modelsat.tuning.dataset import Part, TuningData
from modelsat.tuning.recipe import Recipe
from modelsat.tuning.tune import tune
from modelsat.types import FloatArray

from ..network.conftest import save_encoder
from .conftest import Small

MakeConfig = Callable[..., NetworkConfig]
Record = dict[str, Any]
SHORT = Recipe(stage1_epochs=1, stage2_epochs=1, stage1_batch=32, stage2_batch=16)
ATTENTION = AttentionConfig(heads=2, hidden=16, query=8)


class KilledError(Exception):
    """Stands for a kill in the middle of a run."""


def run(
    small: Small,
    config: NetworkConfig,
    folder: Path,
    recipe: Recipe = SHORT,
    log: Callable[[Record], object] = lambda record: None,
    *,
    limit: int | None = None,
) -> Path:
    return tune(
        small.data(limit=limit),
        config=config,
        recipe=recipe,
        folder=folder,
        log=lambda record: (log(record), None)[1],
        progress=lambda what, done, total: None,
        notes={"exam": "toy"},
    )


def tensors(checkpoint: Path) -> dict[str, FloatArray]:
    loaded = load_checkpoint(checkpoint)
    return {**loaded.head, **{f"adapter.{name}": value for name, value in loaded.adapters.items()}}


def last_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Where a run ended, whether or not validation chose it."""
    stage = folder / "resume" / "stage2"
    step = json.loads((stage / "step.json").read_text("utf-8"))["step"]
    weights: dict[str, torch.Tensor] = torch.load(stage / str(step) / "tuned.pt", weights_only=True)
    assert any("lora_B" in name and value.abs().max() > 0 for name, value in weights.items())
    return weights


def held_out(data: TuningData) -> Part:
    """Validation instructions x the candidates that tuning never saw."""
    part = data.validation
    profiles = tuple(p for p, out in zip(part.profiles, data.held_out, strict=True) if out)
    return replace(part, scores=part.scores[:, data.held_out], profiles=profiles)


def saved_log_loss(checkpoint: Path, part: Part) -> float:
    """What the written weights reach: as chosen by, but for cached states, which are kept in half precision."""
    scorer = load_scorer(checkpoint)
    if isinstance(scorer, ExamAttentionScorer):
        # The choice is made before it is known which instructions the exam does not speak for.
        scorer.in_domain_threshold = -1.0
    return log_loss(scorer.score(part.instructions, part.profiles).logits, part.scores)


def test_exam_attention_learns_in_two_stages(small: Small, make_config: MakeConfig, tmp_path: Path) -> None:
    records: list[Record] = []
    config = make_config(attention=ATTENTION)
    recipe = Recipe(stage1_epochs=12, stage2_epochs=2, stage1_batch=32, stage2_batch=16, stage1_rate=1e-2)
    checkpoint = run(small, config, tmp_path / "run", recipe, records.append)

    validations = [record for record in records if "validation" in record]
    assert [(r["validation"], r["epoch"]) for r in validations] == [
        *((1, epoch) for epoch in range(1, 13)),
        (2, 1),
        (2, 2),
    ]
    losses = [record["log_loss"] for record in validations]
    assert [record["kept"] for record in validations] == [
        loss < min(losses[:at], default=np.inf) for at, loss in enumerate(losses)
    ]
    part = held_out(small.data())
    base_rate = float(np.nanmean(part.scores))
    constant = np.full_like(part.scores, np.log(base_rate / (1 - base_rate)))
    # Better than the best constant, for a candidate that tuning never saw.
    assert (
        validations[losses.index(min(losses))]["log_loss_held_out"] < log_loss(constant, part.scores) - 0.05
    )
    assert min(losses) < losses[0] - 0.05
    steps = [record["outcome_loss"] for record in records if record.get("stage") == 1]
    assert steps[-1] < steps[0]

    loaded = load_checkpoint(checkpoint)
    assert loaded.config == config
    assert loaded.tuning["exam"] == "toy"
    assert loaded.tuning["candidates"] == ["all-round", "jurist", "scientist", "weak"]
    assert loaded.tuning["chosen"]["validation_log_loss"] == min(losses)

    assert saved_log_loss(checkpoint, small.data().validation) == pytest.approx(min(losses), abs=2e-3)


@pytest.mark.parametrize("stop_after", [(1, 3), (1, 7), (2, 2), (2, 6), (2, 9), (2, 12)])
def test_a_killed_run_ends_with_the_same_weights(
    small: Small,
    make_config: MakeConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop_after: tuple[int, int],
) -> None:
    """Killed in stage 1, before the first save of stage 2, between saves, and right after one."""
    monkeypatch.setattr(trainer, "SAVE_EVERY", 4)
    config = make_config(attention=ATTENTION)
    recipe = Recipe(stage1_epochs=2, stage2_epochs=2, stage1_batch=32, stage2_batch=16)
    run(small, config, tmp_path / "whole", recipe)

    steps = {1: 0, 2: 0}
    original = torch.optim.AdamW.step

    def step(self: torch.optim.AdamW, *arguments: Any, **settings: Any) -> Any:
        stage = len(self.param_groups)
        steps[stage] += 1
        if (stage, steps[stage]) == stop_after:
            raise KilledError
        return original(self, *arguments, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", step)
        with pytest.raises(KilledError):
            run(small, config, tmp_path / "killed", recipe)
    run(small, config, tmp_path / "killed", recipe)
    for read in (last_weights, lambda folder: tensors(folder / "checkpoint")):
        whole, again = read(tmp_path / "whole"), read(tmp_path / "killed")
        assert again.keys() == whole.keys()
        for name, value in whole.items():
            np.testing.assert_allclose(again[name], value, atol=1e-6, err_msg=name)


def test_a_finished_run_given_again_changes_nothing(
    small: Small, make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config(attention=ATTENTION)
    first = tensors(run(small, config, tmp_path / "run"))
    records: list[Record] = []
    second = tensors(run(small, config, tmp_path / "run", log=records.append))
    assert records == []
    assert all(np.array_equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize(
    ("settings", "recipe", "limit", "changed"),
    [
        ({"layout": "shared_prefix", "head": "yes_token"}, SHORT, 24, "head, layout"),
        ({"attention": AttentionConfig(heads=1)}, SHORT, 24, "attention"),
        ({}, replace(SHORT, seed=7), 24, "seed"),
        ({}, SHORT, 23, "data"),
    ],
)
def test_a_folder_of_another_run_is_refused(
    small: Small,
    make_config: MakeConfig,
    tmp_path: Path,
    settings: dict[str, Any],
    recipe: Recipe,
    limit: int,
    changed: str,
) -> None:
    run(small, make_config(attention=ATTENTION), tmp_path, limit=24)
    with pytest.raises(DataError, match=f"another {changed}; choose another folder"):
        run(small, make_config(**{"attention": ATTENTION, **settings}), tmp_path, recipe, limit=limit)


def test_the_seed_decides_everything(small: Small, make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(attention=ATTENTION, lora_rank=0)
    one, same = (tensors(run(small, config, tmp_path / name)) for name in ("one", "same"))
    other = tensors(run(small, config, tmp_path / "other", Recipe(seed=1, stage1_epochs=1, stage1_batch=32)))
    name = "attention.heads.0.query.weight"
    assert np.array_equal(one[name], same[name])
    assert not np.array_equal(one[name], other[name])


def test_without_adapters_there_is_one_stage(small: Small, make_config: MakeConfig, tmp_path: Path) -> None:
    records: list[Record] = []
    checkpoint = run(small, make_config(attention=ATTENTION, lora_rank=0), tmp_path, log=records.append)
    assert {record["validation"] for record in records if "validation" in record} == {1}
    assert not load_checkpoint(checkpoint).adapters
    load_scorer(checkpoint)


@pytest.mark.parametrize(
    ("layout", "encoder", "head", "loss"),
    [
        ("shared_prefix", "numeric", "yes_token", "listwise"),
        ("shared_prefix", "numeric", "regression", "homogeneous"),
        ("shared_prefix", "items", "yes_token", "listwise"),
        ("capability_first", "text", "yes_token", "homogeneous"),
        ("capability_first", "none", "yes_token", "listwise"),
        ("exam_attention", "numeric", "attention", "homogeneous"),
    ],
)
def test_every_layout_tunes_to_a_checkpoint_that_loads(
    small: Small, make_config: MakeConfig, tmp_path: Path, layout: str, encoder: str, head: str, loss: str
) -> None:
    config = make_config(layout=layout, capability_encoder=encoder, head=head, tokens=32, attention=ATTENTION)
    recipe = Recipe(
        loss=loss,  # type: ignore[arg-type]
        group=3,
        stage1_epochs=1,
        stage2_epochs=1,
        stage1_batch=8,
        stage2_batch=8,
    )
    records: list[Record] = []
    checkpoint = run(small, config, tmp_path / "run", recipe, records.append, limit=24)
    losses = [record["log_loss"] for record in records if "validation" in record]
    assert len(losses) == 2
    part = small.data(limit=24).validation
    assert saved_log_loss(checkpoint, part) == pytest.approx(min(losses), abs=2e-3)


def test_another_text_encoder_is_not_answered_from_the_firsts_cache(
    small: Small, make_config: MakeConfig, tmp_path: Path
) -> None:
    """One backbone, two encoders, one cache."""
    run(small, make_config(attention=ATTENTION, lora_rank=0), tmp_path / "first")
    other = save_encoder(tmp_path / "e5-tiny")
    config = make_config(attention=ATTENTION, lora_rank=0, text_encoder=str(other))
    checkpoint = load_checkpoint(run(small, config, tmp_path / "second"))
    expected = load_encoder(str(other)).encode(small.data().item_texts)
    np.testing.assert_allclose(checkpoint.head["item_embeddings"], expected, atol=1e-3)
