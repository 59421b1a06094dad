"""A checkpoint runs without torch and scores as with it; engines are built once and checked."""

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from modelsat.cache import cache_folder
from modelsat.errors import CheckpointError, DataError, LayoutError
from modelsat.network.load import load_scorer
from modelsat.onnx.load import build_engines, can_run, load_onnx_scorer
from modelsat.routing.load import load_cascade, load_tuned
from modelsat.scoring.checkpoint import CONFIG_FILE, WEIGHTS_FILE, load_checkpoint
from modelsat.scoring.weights import EMBEDDED_BACKBONE, EMBEDDED_ENCODER
from modelsat.types import Instruction

from ..network.small_router import save_router, small_profiles
from ..network.small_student import save_student
from .conftest import Embedded

INSTRUCTIONS = [
    Instruction(id=str(at), text=text, dataset="d", task="t")
    for at, text in enumerate(("Yes or no?", "which of these is a prime number", "x" * 300))
]


@pytest.fixture
def router(embedded: Embedded, tmp_path: Path) -> Path:
    """A checkpoint on the embedded models."""
    folder = save_router(tmp_path / "router", backbone=embedded.backbone, encoder=embedded.encoder)
    return edit_config(folder, backbone=EMBEDDED_BACKBONE, text_encoder=EMBEDDED_ENCODER)


def edit_config(folder: Path, **network: object) -> Path:
    config = json.loads((folder / CONFIG_FILE).read_text("utf-8"))
    config["network"] |= network
    (folder / CONFIG_FILE).write_text(json.dumps(config), "utf-8")
    return folder


def engines() -> list[Path]:
    return sorted((cache_folder() / "engines").glob("*"))


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


def test_engines_are_built_once_and_tell_how_far_they_are(router: Path) -> None:
    told: list[tuple[int, int]] = []
    load_tuned(router, progress=lambda step, done, total: told.append((done, total)))
    built = engines()
    assert [path.name.partition("-")[0] for path in built] == ["backbone", "sentence"]
    assert sum(done == total for done, total in told) == 2
    assert all(0 < done <= total for done, total in told)
    told.clear()
    load_tuned(router, progress=lambda step, done, total: told.append((done, total)))
    assert not told
    assert engines() == built


def test_an_image_may_hold_engines_of_both_precisions(router: Path) -> None:
    for precision in ("fp32", "int8"):
        assert build_engines(load_checkpoint(router), precision=precision) == tuple(
            path for path in engines() if precision in path.name
        )


def test_a_checkpoint_is_read_once(
    router: Path, embedded: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = save_student(tmp_path / "student", encoder=embedded.encoder, name=EMBEDDED_ENCODER)
    read: Counter[Path] = Counter()
    read_bytes = Path.read_bytes

    def count(path: Path) -> bytes:
        read[path] += 1
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", count)
    load_tuned(router)
    assert read == {router / CONFIG_FILE: 1, router / WEIGHTS_FILE: 1}
    read.clear()
    load_cascade(student, router)
    assert read == {folder / name: 1 for folder in (student, router) for name in (CONFIG_FILE, WEIGHTS_FILE)}


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_where_nothing_can_be_written_routing_works(router: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache_folder().mkdir()
    cache_folder().chmod(0o500)
    check_unwritable(router, caplog)


def test_where_the_cache_is_no_folder_routing_works(router: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache_folder().write_text("a file")
    check_unwritable(router, caplog)


def check_unwritable(router: Path, caplog: pytest.LogCaptureFixture) -> None:
    profiles = small_profiles()
    here, there = load_onnx_scorer(router, precision="fp32"), load_scorer(router)
    np.testing.assert_allclose(
        here.score(INSTRUCTIONS, profiles).logits, there.score(INSTRUCTIONS, profiles).logits, atol=5e-3
    )
    assert caplog.text.count("cannot be kept in") == 1
    assert "modelsat cache build --to" in caplog.text


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
    assert not engines()


def test_another_backbone_is_refused(router: Path) -> None:
    config = json.loads((router / CONFIG_FILE).read_text("utf-8"))
    (router / CONFIG_FILE).write_text(json.dumps({**config, "backbone_identity": "f" * 64}), "utf-8")
    with pytest.raises(CheckpointError, match="field 'backbone_identity' is ffffffffffff"):
        load_onnx_scorer(router)


def test_a_backbone_with_fewer_layers_is_refused(router: Path) -> None:
    edit_config(router, layers=9)
    with pytest.raises(CheckpointError, match=r"field 'network\.layers' is 9; the embedded backbone has 4"):
        load_onnx_scorer(router)


def test_without_the_embedded_models_one_sentence_says_what_to_install(
    router: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelsat.scoring.weights.WEIGHTS_PACKAGE", "no_such_package")
    with pytest.raises(
        CheckpointError, match=r"is missing from this installation: install Model-SAT from its wheel"
    ):
        load_tuned(router)


def test_the_runtime_is_onnx_where_that_can_run(router: Path, embedded: Embedded, tmp_path: Path) -> None:
    assert can_run(load_checkpoint(router).config)
    assert type(load_tuned(router).encoder).__name__ == "OnnxInstructionEncoder"  # type: ignore[attr-defined]
    assert type(load_tuned(router, runtime="torch").encoder).__name__ == "TorchInstructionEncoder"  # type: ignore[attr-defined]
    other = save_router(tmp_path / "other", backbone=embedded.backbone, encoder=embedded.encoder)
    assert not can_run(load_checkpoint(other).config)
    assert type(load_tuned(other).encoder).__name__ == "TorchInstructionEncoder"  # type: ignore[attr-defined]
    with pytest.raises(LayoutError, match="Use the runtime 'torch'"):
        load_tuned(other, runtime="onnx")
    with pytest.raises(DataError, match="runtime is 'gpu'"):
        load_tuned(router, runtime="gpu")
    with pytest.raises(DataError, match="no router 'onnx'; expected accurate, fast"):
        load_tuned("onnx")


def test_without_vnni_the_engine_computes_in_fp32(router: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelsat.onnx.session.has_vnni", lambda: False)
    monkeypatch.setattr("modelsat.onnx.load.has_vnni", lambda: False)
    here, there = load_tuned(router), load_tuned(router, runtime="onnx-fp32")
    profiles = small_profiles()
    np.testing.assert_array_equal(
        here.score(INSTRUCTIONS, profiles).logits, there.score(INSTRUCTIONS, profiles).logits
    )
    with pytest.raises(LayoutError, match="8 bits need a processor with VNNI"):
        load_onnx_scorer(router, precision="int8")
