"""Checkpoints: written and read back exactly; damage of any kind is one error that names file and field."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.torch import load_file, save_file

from modelsat.errors import CheckpointError
from modelsat.network.load import load_scorer
from modelsat.scoring.checkpoint import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    Calibration,
    halved,
    load_checkpoint,
    save_checkpoint,
)
from modelsat.types import FloatArray

from ..network.conftest import save_backbone, save_encoder
from ..network.small_router import save_router

Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("parts")
    return save_backbone(folder / "backbone", "llama"), save_encoder(folder / "encoder")


@pytest.fixture(scope="module")
def whole(parts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_router(tmp_path_factory.mktemp("whole") / "router", backbone=parts[0], encoder=parts[1])


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "router")


@given(arrays(np.float32, 5, elements=st.floats(-(2.0**60), 2.0**60, width=32)))
def test_half_precision_costs_a_thousandth_at_most(value: FloatArray) -> None:
    np.testing.assert_allclose(halved(value).astype(np.float32), value, rtol=1e-3, atol=1e-6)


def test_weights_are_stored_in_half_precision(folder: Path) -> None:
    before = load_checkpoint(folder)
    assert {
        str(value.dtype) for name, value in load_file(folder / WEIGHTS_FILE).items() if "adapter" in name
    } == {"torch.float16"}
    save_checkpoint(before, folder)  # once halved, nothing more is lost
    after = load_checkpoint(folder)
    for name, value in before.head.items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(after.head[name], value)


def edit_config(folder: Path, field: str, value: Any) -> None:
    """Set a field by its dotted path."""
    path = folder / CONFIG_FILE
    config = json.loads(path.read_text("utf-8"))
    *parents, last = field.split(".")
    place = config
    for name in parents:
        place = place[name]
    place[last] = value
    path.write_text(json.dumps(config), "utf-8")


def edit_weights(folder: Path, change: Callable[[Tensors], object]) -> None:
    path = folder / WEIGHTS_FILE
    tensors = {name: value.clone() for name, value in load_file(path).items()}
    change(tensors)
    save_file(tensors, path)


def refused(folder: Path, load: Callable[[Path], object] = load_checkpoint) -> str:
    """The message of the one error that loading ends with."""
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    return str(caught.value)


def test_what_was_written_is_read_back_exactly(folder: Path, tmp_path: Path) -> None:
    first = load_checkpoint(folder)
    save_checkpoint(first, tmp_path / "again")
    second = load_checkpoint(tmp_path / "again")
    assert second.config == first.config
    assert second.config.attention.heads == 2
    assert second.calibration == first.calibration == Calibration(temperature=1.5, offset=-0.25)
    assert (second.backbone_identity, second.in_domain_threshold) == (
        first.backbone_identity,
        first.in_domain_threshold,
    )
    assert second.tuning == first.tuning == {"seed": 3, "note": "ünïcode"}
    for name in ("exam_hash", "tasks", "shots", "level_mean", "level_deviation"):
        assert getattr(second.statistics, name) == getattr(first.statistics, name)
    for name in ("difficulty", "bias"):
        np.testing.assert_array_equal(getattr(second.statistics, name), getattr(first.statistics, name))
    for one, other in ((first.head, second.head), (first.adapters, second.adapters)):
        assert one.keys() == other.keys()
        assert one
        assert all(np.array_equal(value, other[name]) for name, value in one.items())
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_weights_may_be_stored_in_half_precision(folder: Path) -> None:
    before = load_checkpoint(folder)

    def halve(tensors: Tensors) -> None:
        tensors.update({name: value.half() for name, value in tensors.items()})

    edit_weights(folder, halve)
    after = load_checkpoint(folder)
    assert all(value.dtype == np.float32 for value in after.head.values())
    np.testing.assert_allclose(after.statistics.difficulty, before.statistics.difficulty, rtol=0.01)


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE])
@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff\xfe\x00", b"[1, 2]"])
def test_a_file_missing_or_damaged(folder: Path, name: str, content: bytes | None) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    assert refused(folder).startswith(f"{folder / name}: ")


def test_weights_cut_short(folder: Path) -> None:
    path = folder / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:-100])
    assert refused(folder).startswith(f"{path}: cannot be read")


def test_no_folder_says_what_a_checkpoint_is(tmp_path: Path) -> None:
    assert "`modelsat tune` wrote" in refused(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "modelsat-checkpoint/3"),
        ("format", None),
        ("surprise", 1),
        ("network.surprise", 1),
        ("network.attention.surprise", 1),
        ("exam.surprise", 1),
        ("calibration.surprise", 1.0),
        ("network", []),
        ("network.layout", "sideways"),
        ("network.capability_encoder", "text"),
        ("network.head", "yes_token"),
        ("network.tokens", 1),
        ("network.frozen_layers", 9),
        ("network.layers", "many"),
        ("exam.shots", [10, 10]),
        ("exam.shots", [10, 10, 0]),
        ("exam.level_mean", float("nan")),
        ("exam.level_deviation", 0.0),
        ("exam.level_deviation", float("nan")),
        ("calibration.temperature", 0.0),
        ("calibration.temperature", -1.0),
        ("calibration.temperature", float("inf")),
        ("calibration.temperature", "warm"),
        ("calibration.offset", float("nan")),
        ("in_domain_threshold", float("nan")),
        ("backbone_identity", None),
    ],
)
def test_a_field_out_of_range_or_unknown_is_named(folder: Path, field: str, value: Any) -> None:
    edit_config(folder, field, value)
    message = refused(folder)
    assert message.startswith(f"{folder / CONFIG_FILE}: ")
    assert field.split(".")[-1] in message
    assert field.split(".")[0] in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "missing", ["network", "exam", "calibration", "in_domain_threshold", "backbone_identity"]
)
def test_a_missing_field_is_named(folder: Path, missing: str) -> None:
    path = folder / CONFIG_FILE
    config = json.loads(path.read_text("utf-8"))
    del config[missing]
    path.write_text(json.dumps(config), "utf-8")
    message = refused(folder)
    assert message.startswith(f"{path}: ")
    assert f"'{missing}'" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["exam.bias", "head.norm.weight", "adapter.layers.1.self_attn.q_proj.A"])
def test_a_weight_that_is_no_number_is_named(folder: Path, name: str, value: float) -> None:
    def spoil(tensors: Tensors) -> None:
        tensors[name].view(-1)[-1] = value

    edit_weights(folder, spoil)
    assert f"{folder / WEIGHTS_FILE}: tensor '{name}'" in refused(folder)


@pytest.mark.parametrize("name", ["exam.difficulty", "exam.bias"])
@pytest.mark.parametrize("shape", [None, (29,), (30, 1)])
def test_exam_tensors_have_one_number_per_item(
    folder: Path, name: str, shape: tuple[int, ...] | None
) -> None:
    def change(tensors: Tensors) -> None:
        del tensors[name]
        if shape is not None:
            tensors[name] = torch.zeros(shape)

    edit_weights(folder, change)
    assert f"{folder / WEIGHTS_FILE}: tensor '{name}'" in refused(folder)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("head.item_embeddings", None),
        ("head.item_embeddings", (30, 4)),
        ("head.attention.heads.0.query.weight", None),
        ("head.attention.heads.1.query.weight", (3, 3)),
        ("head.surprise", (1,)),
        ("adapter.layers.1.self_attn.q_proj.A", None),
        ("adapter.layers.1.self_attn.q_proj.B", (5, 2)),
        ("adapter.layers.7.self_attn.q_proj.A", (2, 32)),
        ("adapter.surprise", (1,)),
    ],
)
def test_weights_that_do_not_fit_the_network_are_named(
    folder: Path, name: str, shape: tuple[int, ...] | None
) -> None:
    def change(tensors: Tensors) -> None:
        tensors.pop(name, None)
        if shape is not None:
            tensors[name] = torch.zeros(shape)

    edit_weights(folder, change)
    message = refused(folder, load_scorer)
    assert message.startswith(str(folder))
    assert name.removeprefix("head.").removeprefix("adapter.").rstrip(".AB") in message


def test_a_whole_checkpoint_loads(folder: Path) -> None:
    assert load_scorer(folder).calibration.temperature == 1.5


def test_another_backbone_is_refused(folder: Path, tmp_path: Path) -> None:
    other = save_backbone(tmp_path / "other", "llama", seed=9)
    edit_config(folder, "network.backbone", str(other))
    message = refused(folder, load_scorer)
    assert message.startswith(f"{folder}: field 'backbone_identity'")
    assert str(other) in message


def test_another_depth_of_the_same_backbone_is_refused(folder: Path) -> None:
    edit_config(folder, "network.layers", 3)
    assert "backbone_identity" in refused(folder, load_scorer)
