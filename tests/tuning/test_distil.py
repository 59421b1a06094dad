"""Distillation from a tuned router to a student that loads, scores and knows when to ask its teacher."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelsat.errors import DataError, LayoutError
from modelsat.network.load import load_scorer
from modelsat.scoring.checkpoint import load_checkpoint
from modelsat.scoring.config import AttentionConfig, NetworkConfig
from modelsat.scoring.scorer import ExamAttentionScorer, lead
from modelsat.tuning import trainer
from modelsat.tuning.dataset import TuningData, add_unlabelled
from modelsat.tuning.distil import DistillationRecipe, DistillationRun, fit_margin
from modelsat.tuning.recipe import Recipe
from modelsat.tuning.teacher import Teacher
from modelsat.tuning.tune import tune
from modelsat.types import Instruction

from .conftest import SPLITS, Small

ATTENTION = AttentionConfig(heads=2, hidden=16, query=8)
Record = dict[str, Any]
MakeConfig = Callable[..., NetworkConfig]


class KilledError(Exception):
    """Stands for a kill in the middle of a run."""


@pytest.fixture(scope="module")
def teacher_folder(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A router tuned on the small outcomes."""
    folder = tmp_path_factory.mktemp("teacher")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELSAT_CACHE", str(folder / "cache"))
        config = NetworkConfig(
            backbone=str(small.backbone),
            text_encoder=str(small.encoder),
            layers=2,
            frozen_layers=0,
            tokens=40,
            lora_rank=0,
            attention=ATTENTION,
        )
        yield tune(
            small.data(),
            config=config,
            recipe=Recipe(stage1_epochs=8, stage1_batch=16),
            folder=folder / "run",
            log=lambda record: None,
            progress=lambda what, done, total: None,
            notes={},
        )


def distil(
    small: Small,
    teacher_folder: Path,
    folder: Path,
    *,
    layers: int = 1,
    epochs: int = 1,
    data: TuningData | None = None,
    more_teachers: tuple[Path, ...] = (),
    log: Callable[[Record], None] = lambda record: None,
) -> Path:
    return DistillationRun(
        data or small.data(),
        teachers=[Teacher(folder) for folder in (teacher_folder, *more_teachers)],
        zoos={"two": ("all-round", "jurist"), "gone": ("nobody",)},
        config=NetworkConfig(
            backbone=str(small.encoder),
            text_encoder=str(small.encoder),
            layers=layers,
            frozen_layers=0,
            tokens=24,
            lora_rank=2 if layers else 0,
            attention=ATTENTION,
        ),
        recipe=DistillationRecipe(
            stage1_epochs=0 if layers else epochs,
            stage2_epochs=epochs,
            stage1_batch=16,
        ),
        folder=folder,
        log=log,
        progress=lambda what, done, total: None,
        notes={},
    ).tune()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELSAT_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("layers", [0, 1])
def test_a_student_loads_and_scores_like_any_router(
    small: Small, teacher_folder: Path, tmp_path: Path, layers: int
) -> None:
    folder = distil(small, teacher_folder, tmp_path / "run", layers=layers)
    checkpoint = load_checkpoint(folder)
    assert checkpoint.config.is_student
    assert checkpoint.margin is not None
    assert checkpoint.margin > 0
    student, teacher = load_scorer(folder), load_scorer(teacher_folder)
    part = small.data().validation
    found = student.score(part.instructions, part.profiles)
    expected = teacher.score(part.instructions, part.profiles)
    assert found.logits.shape == expected.logits.shape
    assert found.evidence[0].parts([0]).tasks == expected.evidence[0].parts([0]).tasks


def test_a_student_learns_what_its_teacher_says(small: Small, teacher_folder: Path, tmp_path: Path) -> None:
    records: list[Record] = []
    distil(small, teacher_folder, tmp_path / "run", layers=1, epochs=30, log=records.append)
    gaps = [record["gap_loss"] for record in records if "gap_loss" in record]
    assert np.mean(gaps[-5:]) < 0.9 * np.mean(gaps[:5])


def test_a_killed_run_ends_where_an_unbroken_one_ends(
    small: Small, teacher_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = load_checkpoint(distil(small, teacher_folder, tmp_path / "unbroken", epochs=2))
    monkeypatch.setattr(trainer, "SAVE_EVERY", 2)

    def kill(record: Record) -> None:
        if record.get("validation"):
            raise KilledError

    with pytest.raises(KilledError):
        distil(small, teacher_folder, tmp_path / "killed", epochs=2, log=kill)
    resumed = load_checkpoint(distil(small, teacher_folder, tmp_path / "killed", epochs=2))
    for name, value in unbroken.head.items():
        np.testing.assert_allclose(resumed.head[name], value, atol=1e-5, err_msg=name)


def test_unlabelled_instructions_keep_out_what_tuning_must_not_see(small: Small) -> None:
    directory = small.directory
    known = directory.instructions[0]
    offered = [
        Instruction(id=f"new/{at}", text=f"why is the sky blue, part {at}?", dataset="more", task="sky")
        for at in range(40)
    ]
    baking = [
        Instruction(id=f"baking/{at}", text=f"how long to bake? {at}", dataset="more", task="baking")
        for at in range(4)
    ] + [Instruction(id="baking/new", text="how hot is an oven?", dataset="more", task="baking")]
    twice = Instruction(id="twice", text=known.text, dataset="more", task="sky")
    wider = type(directory)(
        path=directory.path,
        instructions=(*directory.instructions, *offered, *baking, twice),
        outcomes=directory.outcomes,
    )
    data = add_unlabelled(small.data(), wider, splits=SPLITS, datasets=["more"], rng=np.random.default_rng(0))
    labelled = len(small.data().tuning.instructions)
    added = data.tuning.instructions[labelled:]
    assert 0 < len(added) < 40
    assert {row.task for row in added} == {"sky"}
    assert known.text not in {row.text for row in added}
    assert np.isnan(data.tuning.scores[labelled:]).all()
    with pytest.raises(DataError, match="no dataset absent"):
        add_unlabelled(small.data(), wider, splits=SPLITS, datasets=["absent"], rng=np.random.default_rng(0))


def test_instructions_without_outcomes_are_learnt_from(
    small: Small, teacher_folder: Path, tmp_path: Path
) -> None:
    data = small.data()
    blank = np.full_like(data.tuning.scores, np.nan)
    silent = replace(data, tuning=replace(data.tuning, scores=blank))
    folder = distil(small, teacher_folder, tmp_path / "run", data=silent, epochs=2)
    assert isinstance(load_scorer(folder), ExamAttentionScorer)


def test_a_student_teaches_beside_its_teacher(small: Small, teacher_folder: Path, tmp_path: Path) -> None:
    student = distil(small, teacher_folder, tmp_path / "student")
    pair = distil(small, teacher_folder, tmp_path / "pair", more_teachers=(student,))
    recipe = load_checkpoint(pair).tuning["recipe"]
    assert recipe["teachers"] == [load_checkpoint(teacher_folder).digest, load_checkpoint(student).digest]
    assert isinstance(load_scorer(pair), ExamAttentionScorer)


def test_only_exam_attention_teaches(small: Small, make_config: MakeConfig, tmp_path: Path) -> None:
    prompted = tune(
        small.data(limit=16),
        config=make_config(layout="shared_prefix", head="yes_token", lora_rank=0),
        recipe=Recipe(stage1_epochs=1, stage1_batch=8, stage2_epochs=0),
        folder=tmp_path / "prompted",
        log=lambda record: None,
        progress=lambda what, done, total: None,
        notes={},
    )
    with pytest.raises(LayoutError, match="only a router of layout exam_attention"):
        Teacher(prompted)


def test_the_margin_hands_over_the_wanted_share() -> None:
    logits = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32)
    zoos = [np.arange(6), np.array([0, 3])]
    margin = fit_margin(logits, zoos, share=0.3)
    asked = np.mean([(lead(logits[:, zoo]) < margin).mean() for zoo in zoos])
    assert asked == pytest.approx(0.3, abs=0.01)
