"""Tuning that goes on from a checkpoint, and tuning on what tuned routers say."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit

from modelsat.errors import CheckpointError, DataError, LayoutError
from modelsat.network.load import load_scorer
from modelsat.scoring.checkpoint import load_checkpoint, save_checkpoint
from modelsat.scoring.config import AttentionConfig, NetworkConfig
from modelsat.scoring.numeric_encoder import encode_profiles
from modelsat.tuning.dataset import TuningData
from modelsat.tuning.recipe import Recipe
from modelsat.tuning.teacher import Teacher, TeacherTargets
from modelsat.tuning.tune import tune

from .conftest import Small

MakeConfig = Callable[..., NetworkConfig]
Record = dict[str, Any]
ATTENTION = AttentionConfig(heads=2, hidden=16, query=8)
FIRST = Recipe(stage1_epochs=2, stage1_batch=16, stage2_epochs=2, stage2_batch=16, head_rate=5e-3)


def run(data: TuningData, config: NetworkConfig, folder: Path, recipe: Recipe = FIRST, **more: Any) -> Path:
    return tune(
        data,
        config=config,
        recipe=recipe,
        folder=folder,
        log=more.pop("log", lambda record: None),
        progress=lambda what, done, total: None,
        notes={},
        **more,
    )


@pytest.fixture
def config(make_config: MakeConfig) -> NetworkConfig:
    """Of all runs here."""
    return make_config(attention=ATTENTION)


@pytest.fixture
def first(small: Small, config: NetworkConfig, tmp_path: Path) -> Path:
    """A router tuned in two stages."""
    return run(small.data(), config, tmp_path / "first")


def test_tuning_goes_on_where_the_checkpoint_was(
    small: Small, config: NetworkConfig, first: Path, tmp_path: Path
) -> None:
    records: list[Record] = []
    second = run(small.data(), config, tmp_path / "second", start=first, log=records.append)
    validations = [record for record in records if "validation" in record]
    # Measured before the first step; stage 1, which reads without adapters, is left out.
    assert [(record["validation"], record["epoch"]) for record in validations] == [(2, 0), (2, 1), (2, 2)]
    reached = load_checkpoint(first).tuning["chosen"]["validation_log_loss"]
    assert validations[0]["log_loss"] == pytest.approx(reached, abs=1e-3)
    assert load_checkpoint(second).tuning["recipe"]["start"] == load_checkpoint(first).digest


def test_what_tuning_does_not_better_is_kept_as_it_was(
    small: Small, config: NetworkConfig, first: Path, tmp_path: Path
) -> None:
    wild = replace(FIRST, head_rate=3.0, adapter_rate=1.0)
    second = load_checkpoint(run(small.data(), config, tmp_path / "second", wild, start=first))
    assert second.adapters
    assert second.tuning["chosen"]["epoch"] == 0
    for name, value in load_checkpoint(first).adapters.items():
        np.testing.assert_array_equal(second.adapters[name], value, err_msg=name)
    for name, value in load_checkpoint(first).head.items():
        np.testing.assert_array_equal(second.head[name], value, err_msg=name)


def test_a_head_without_adapters_goes_on_in_stage_1(
    small: Small, config: NetworkConfig, tmp_path: Path
) -> None:
    bare = replace(config, lora_rank=0)
    records: list[Record] = []
    first = run(small.data(), bare, tmp_path / "first")
    run(small.data(), bare, tmp_path / "second", start=first, log=records.append)
    assert [r["epoch"] for r in records if "validation" in r] == list(range(FIRST.stage1_epochs + 1))


def test_a_checkpoint_of_other_parts_is_refused(
    small: Small, config: NetworkConfig, first: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="has tokens 40; give this run, which has 24, the same"):
        run(small.data(), replace(config, tokens=24), tmp_path / "second", start=first)


def test_a_checkpoint_of_another_exam_is_refused(
    small: Small, config: NetworkConfig, first: Path, tmp_path: Path
) -> None:
    data = small.data()
    other = replace(data, exam=replace(data.exam, tasks=data.exam.tasks[:-1]))
    with pytest.raises(CheckpointError, match="to go on from was tuned with the exam"):
        run(other, config, tmp_path / "second", start=first)


def test_a_checkpoint_of_other_weights_is_refused(
    small: Small, config: NetworkConfig, first: Path, tmp_path: Path
) -> None:
    checkpoint = load_checkpoint(first)
    other = tmp_path / "other"
    save_checkpoint(replace(checkpoint, backbone_identity="f" * 64), other)
    with pytest.raises(CheckpointError, match="belongs to weights ffffffffffff"):
        run(small.data(), config, tmp_path / "second", start=other)


def test_who_teaches_is_learnt_where_nothing_else_is_known(
    small: Small, config: NetworkConfig, first: Path, tmp_path: Path
) -> None:
    """No outcome at all, and a new network: what it knows in the end it has from its teacher."""
    data = small.data()
    blank = np.full_like(data.tuning.scores, np.nan)
    silent = replace(data, tuning=replace(data.tuning, scores=blank))
    patient = replace(FIRST, stage1_epochs=20)
    pupil = run(silent, config, tmp_path / "pupil", patient, teachers=[Teacher(first)])
    part = data.validation
    soft_targets, targets = (
        load_scorer(folder).score(part.instructions, part.profiles).logits.ravel()
        for folder in (first, pupil)
    )
    assert np.corrcoef(soft_targets, targets)[0, 1] > 0.9


def test_teachers_have_one_voice_each(
    small: Small, config: NetworkConfig, first: Path, tmp_path: Path
) -> None:
    data = small.data()
    other = run(data, config, tmp_path / "other", replace(FIRST, seed=1))
    teachers = [Teacher(first), Teacher(other)]
    cards = encode_profiles(data.tuning.profiles, teachers[0].scorer.statistics)
    rows = np.array([3, 1])

    def soft_targets(*some: Teacher) -> Any:
        teacher_targets = TeacherTargets(
            some, data.tuning.texts(), exam=data.exam, progress=lambda *done: None
        )
        return teacher_targets.probabilities(rows, cards)

    one, two = soft_targets(teachers[0]), soft_targets(teachers[1])
    assert np.abs(one - two).max() > 0.01
    np.testing.assert_allclose(soft_targets(*teachers), expit((logit(one) + logit(two)) / 2), atol=1e-5)


def test_a_teacher_of_another_exam_is_refused(
    small: Small, config: NetworkConfig, first: Path, tmp_path: Path
) -> None:
    data = small.data()
    other = replace(data, exam=replace(data.exam, tasks=data.exam.tasks[:-1]))
    with pytest.raises(DataError, match="was tuned with the exam"):
        TeacherTargets([Teacher(first)], data.tuning.texts(), exam=other.exam, progress=lambda *done: None)


def test_groups_of_solved_and_failed_take_no_teachers(
    small: Small, config: NetworkConfig, first: Path, tmp_path: Path
) -> None:
    paper = replace(FIRST, loss="homogeneous")
    with pytest.raises(DataError, match="teachers give probabilities"):
        run(small.data(), config, tmp_path / "second", paper, teachers=[Teacher(first)])


def test_layouts_with_a_prompt_take_no_teachers(
    small: Small, make_config: MakeConfig, first: Path, tmp_path: Path
) -> None:
    prompted = make_config(layout="shared_prefix", head="yes_token")
    with pytest.raises(LayoutError, match="shared_prefix learns from outcomes alone"):
        run(small.data(), prompted, tmp_path / "second", teachers=[Teacher(first)])
