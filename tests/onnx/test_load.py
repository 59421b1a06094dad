"""A checkpoint runs without torch and scores as with it; engines are built once and checked."""

import json
from pathlib import Path

import numpy as np
import pytest

from modelsat.errors import CheckpointError, DataError, LayoutError
from modelsat.network.load import load_scorer
from modelsat.onnx import cache
from modelsat.onnx.load import can_load, load_onnx_scorer
from modelsat.routing.load import load_tuned
from modelsat.scoring import weights
from modelsat.scoring.checkpoint import CONFIG_FILE, WEIGHTS_FILE, load_checkpoint
from modelsat.scoring.weights import EMBEDDED_BACKBONE, EMBEDDED_ENCODER
from modelsat.types import Instruction

from ..network.small_router import save_router, small_profiles
from .conftest import Packaged

INSTRUCTIONS = [
    Instruction(id=str(at), text=text, dataset="d", task="t")
    for at, text in enumerate(("Yes or no?", "which of these is a prime number", "x" * 300))
]


@pytest.fixture
def router(packaged: Packaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint that names the embedded models, which are tiny ones here."""
    folder = save_router(tmp_path / "router", backbone=packaged.folder, encoder=packaged.encoder)
    config = json.loads((folder / CONFIG_FILE).read_text("utf-8"))
    config["network"] |= {"backbone": EMBEDDED_BACKBONE, "text_encoder": EMBEDDED_ENCODER}
    (folder / CONFIG_FILE).write_text(json.dumps(config), "utf-8")
    monkeypatch.setenv("MODELSAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("modelsat.network.backbone.backbone_folder", lambda name: str(packaged.folder))
    monkeypatch.setattr("modelsat.network.encoder.encoder_folder", lambda name: str(packaged.encoder))
    monkeypatch.setattr(cache, "embedded_backbone_file", lambda: packaged.gguf)
    for module in ("modelsat.onnx.build", "modelsat.onnx.load"):
        monkeypatch.setattr(f"{module}.encoder_folder", lambda name: str(packaged.encoder))
    return folder


def test_scores_equal_those_of_torch(router: Path) -> None:
    profiles = small_profiles()
    here, there = load_onnx_scorer(router, precision="fp32"), load_scorer(router)
    found, expected = here.score(INSTRUCTIONS, profiles), there.score(INSTRUCTIONS, profiles)
    np.testing.assert_allclose(found.logits, expected.logits, atol=5e-3)
    columns = range(len(profiles))
    for here_row, there_row in zip(found.evidence, expected.evidence, strict=True):
        np.testing.assert_allclose(
            here_row.parts(columns).attention, there_row.parts(columns).attention, atol=1e-3
        )


def test_an_engine_is_built_once_for_each_set_of_weights(
    router: Path, monkeypatch: pytest.MonkeyPatch, packaged: Packaged
) -> None:
    load_onnx_scorer(router)
    built = sorted((weights.cache_folder() / "engines").iterdir())
    assert len(built) == 1
    monkeypatch.setattr("modelsat.onnx.build.build_engine", None)
    load_onnx_scorer(router)
    monkeypatch.undo()
    assert not [path for path in built[0].parent.iterdir() if path not in built]


def test_adapters_that_fit_nothing_are_refused(router: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(router / WEIGHTS_FILE)
    for part in ("A", "B"):
        tensors[f"adapter.layers.1.self_attn.x_proj.{part}"] = tensors.pop(
            f"adapter.layers.1.self_attn.q_proj.{part}"
        )
    save_file(tensors, router / WEIGHTS_FILE)
    with pytest.raises(CheckpointError, match=r"layers\.1\.self_attn\.x_proj' fits no linear map"):
        load_onnx_scorer(router)
    assert not list((weights.cache_folder() / "engines").iterdir())


def test_another_backbone_is_refused(router: Path) -> None:
    config = json.loads((router / CONFIG_FILE).read_text("utf-8"))
    (router / CONFIG_FILE).write_text(json.dumps({**config, "backbone_identity": "f" * 64}), "utf-8")
    with pytest.raises(CheckpointError, match="field 'backbone_identity' is ffffffffffff"):
        load_onnx_scorer(router)


def test_the_engine_is_taken_where_it_can_run(router: Path, packaged: Packaged, tmp_path: Path) -> None:
    assert can_load(load_checkpoint(router))
    assert type(load_tuned(router).encoder).__name__ == "OnnxInstructionEncoder"  # type: ignore[attr-defined]
    assert type(load_tuned(router, runtime="torch").encoder).__name__ == "TorchInstructionEncoder"  # type: ignore[attr-defined]
    other = save_router(tmp_path / "other", backbone=packaged.folder, encoder=packaged.encoder)
    assert not can_load(load_checkpoint(other))
    assert type(load_tuned(other).encoder).__name__ == "TorchInstructionEncoder"  # type: ignore[attr-defined]
    with pytest.raises(LayoutError, match="Use the runtime 'torch'"):
        load_tuned(other, runtime="onnx")
    with pytest.raises(DataError, match="runtime is 'gpu'"):
        load_tuned(router, runtime="gpu")
    with pytest.raises(DataError, match="no router 'onnx'; expected accurate, fast"):
        load_tuned("onnx")


def test_without_vnni_the_engine_computes_in_fp32(router: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "has_vnni", lambda: False)
    monkeypatch.setattr("modelsat.onnx.load.has_vnni", lambda: False)
    here, there = load_tuned(router), load_tuned(router, runtime="onnx-fp32")
    profiles = small_profiles()
    np.testing.assert_array_equal(
        here.score(INSTRUCTIONS, profiles).logits, there.score(INSTRUCTIONS, profiles).logits
    )
    with pytest.raises(LayoutError, match="8 bits need a processor with VNNI"):
        load_onnx_scorer(router, precision="int8")


def test_without_its_packages_torch_is_taken(router: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not can_load(load_checkpoint(router))
