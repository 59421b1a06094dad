"""A student runs without torch and scores as with it."""

from pathlib import Path

import numpy as np
import pytest

from modelsat.errors import CheckpointError
from modelsat.network.encoder import load_encoder
from modelsat.network.load import load_scorer
from modelsat.network.student import TruncatedEncoder
from modelsat.onnx.cache import has_vnni
from modelsat.onnx.load import can_load, load_onnx_scorer
from modelsat.onnx.student import OnnxStudentEncoder
from modelsat.onnx.tokens import StudentTokens
from modelsat.scoring import weights
from modelsat.scoring.checkpoint import WEIGHTS_FILE, load_checkpoint
from modelsat.scoring.weights import EMBEDDED_ENCODER
from modelsat.types import Instruction

from ..network.conftest import save_encoder
from ..network.small_router import small_profiles
from ..network.small_student import save_student

TEXTS = ("Yes or no?", "which of these is a prime number", "x" * 300, "", "[SEP] a [CLS] b", "ab" * 40)
INSTRUCTIONS = [Instruction(id=str(at), text=text) for at, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def embedded(encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny encoder stands in for the embedded one."""
    monkeypatch.setenv("MODELSAT_CACHE", str(tmp_path / "cache"))
    for module in ("network.encoder", "onnx.build", "onnx.load", "onnx.cache"):
        monkeypatch.setattr(f"modelsat.{module}.encoder_folder", lambda name: str(encoder))
    return encoder


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_scores_equal_those_of_torch(embedded: Path, tmp_path: Path, layers: int) -> None:
    folder = save_student(tmp_path / "student", encoder=embedded, layers=layers, name=EMBEDDED_ENCODER)
    assert can_load(load_checkpoint(folder))
    profiles, there = small_profiles(), load_scorer(folder)
    here = load_onnx_scorer(folder, precision="fp32")
    assert isinstance(here.encoder, OnnxStudentEncoder)
    found, expected = here.score(INSTRUCTIONS, profiles), there.score(INSTRUCTIONS, profiles)
    np.testing.assert_allclose(found.logits, expected.logits, atol=5e-3)
    if has_vnni():
        rough = load_onnx_scorer(folder, precision="int8").score(INSTRUCTIONS, profiles)
        assert np.corrcoef(rough.logits.ravel(), expected.logits.ravel())[0, 1] > 0.95


def test_other_exams_are_embedded_by_the_whole_encoder(embedded: Path, tmp_path: Path) -> None:
    folder = save_student(tmp_path / "student", encoder=embedded, name=EMBEDDED_ENCODER)
    found = load_onnx_scorer(folder, precision="fp32").encoder.embed(["tides", "knots and ropes"])
    expected = load_encoder(str(embedded)).encode(["tides", "knots and ropes"])
    np.testing.assert_allclose(found, expected, atol=5e-3)


@pytest.mark.parametrize("text", TEXTS)
def test_both_engines_read_the_same_tokens(encoder: Path, text: str) -> None:
    cut = TruncatedEncoder(load_encoder(str(encoder)), layers=0)
    for budget in (3, 10, 24):
        ids = StudentTokens(encoder / "tokenizer.json", budget=budget).encode([text])[0]
        assert ids == cut.tokenize(text, budget=budget)


def test_an_engine_is_built_once(embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_student(tmp_path / "student", encoder=embedded, name=EMBEDDED_ENCODER)
    load_onnx_scorer(folder)
    monkeypatch.setattr("modelsat.onnx.build.build_student_engine", None)
    load_onnx_scorer(folder)
    assert len(list((weights.cache_folder() / "engines").iterdir())) == 1


def test_adapters_that_fit_nothing_are_refused(embedded: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = save_student(tmp_path / "student", encoder=embedded, name=EMBEDDED_ENCODER)
    tensors = load_file(folder / WEIGHTS_FILE)
    for part in ("A", "B"):
        tensors[f"adapter.layers.5.x.{part}"] = tensors.pop(f"adapter.layers.0.attention.self.query.{part}")
    save_file(tensors, folder / WEIGHTS_FILE)
    with pytest.raises(CheckpointError, match=r"'layers\.5\.x' fits no linear map"):
        load_onnx_scorer(folder)
