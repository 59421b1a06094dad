"""A student runs without torch and scores as with it."""

from pathlib import Path

import numpy as np
import pytest

from modelsat.cache import cache_folder
from modelsat.errors import CheckpointError
from modelsat.network.encoder import load_encoder
from modelsat.network.load import load_scorer
from modelsat.network.student import TruncatedEncoder
from modelsat.onnx.encoders import OnnxStudentEncoder
from modelsat.onnx.load import can_run, load_onnx_scorer
from modelsat.onnx.session import has_vnni
from modelsat.onnx.tokens import StudentTokens
from modelsat.scoring.checkpoint import WEIGHTS_FILE, load_checkpoint
from modelsat.scoring.weights import EMBEDDED_ENCODER
from modelsat.types import Instruction

from ..network.small_router import small_profiles
from ..network.small_student import save_student
from .conftest import Embedded

TEXTS = ("Yes or no?", "which of these is a prime number", "x" * 300, "", "[SEP] a [CLS] b", "ab" * 40)
INSTRUCTIONS = [Instruction(id=str(at), text=text) for at, text in enumerate(TEXTS)]


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_scores_equal_those_of_torch(embedded: Embedded, tmp_path: Path, layers: int) -> None:
    folder = save_student(
        tmp_path / "student", encoder=embedded.encoder, layers=layers, name=EMBEDDED_ENCODER
    )
    assert can_run(load_checkpoint(folder).config)
    profiles, there = small_profiles(), load_scorer(folder)
    here = load_onnx_scorer(folder, precision="fp32")
    assert isinstance(here.encoder, OnnxStudentEncoder)
    found, expected = here.score(INSTRUCTIONS, profiles), there.score(INSTRUCTIONS, profiles)
    np.testing.assert_allclose(found.logits, expected.logits, atol=5e-3)
    if has_vnni():
        rough = load_onnx_scorer(folder, precision="int8").score(INSTRUCTIONS, profiles)
        assert np.corrcoef(rough.logits.ravel(), expected.logits.ravel())[0, 1] > 0.95


def test_other_exams_are_embedded_by_the_whole_encoder(embedded: Embedded, tmp_path: Path) -> None:
    folder = save_student(tmp_path / "student", encoder=embedded.encoder, name=EMBEDDED_ENCODER)
    found = load_onnx_scorer(folder, precision="fp32").encoder.embed(["tides", "knots and ropes"])
    expected = load_encoder(str(embedded.encoder)).encode(["tides", "knots and ropes"])
    np.testing.assert_allclose(found, expected, atol=5e-3)


@pytest.mark.parametrize("text", TEXTS)
def test_both_engines_read_the_same_tokens(embedded: Embedded, text: str) -> None:
    cut = TruncatedEncoder(load_encoder(str(embedded.encoder)), layers=0)
    for budget in (3, 10, 24):
        ids = StudentTokens(embedded.encoder / "tokenizer.json", budget=budget).encode([text])[0]
        assert ids == cut.tokenize(text, budget=budget)


def test_the_whole_encoder_is_built_where_cards_of_other_exams_need_it(
    embedded: Embedded, tmp_path: Path
) -> None:
    scorer = load_onnx_scorer(
        save_student(tmp_path / "student", encoder=embedded.encoder, name=EMBEDDED_ENCODER)
    )
    engines = cache_folder() / "engines"
    assert [path.name.partition("-")[0] for path in engines.iterdir()] == ["student"]
    scorer.encoder.embed(["tides"])
    assert sorted(path.name.partition("-")[0] for path in engines.iterdir()) == ["sentence", "student"]


def test_adapters_that_fit_nothing_are_refused(embedded: Embedded, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = save_student(tmp_path / "student", encoder=embedded.encoder, name=EMBEDDED_ENCODER)
    tensors = load_file(folder / WEIGHTS_FILE)
    for part in ("A", "B"):
        tensors[f"adapter.layers.5.x.{part}"] = tensors.pop(f"adapter.layers.0.attention.self.query.{part}")
    save_file(tensors, folder / WEIGHTS_FILE)
    with pytest.raises(CheckpointError, match=r"'layers\.5\.x' fits no linear map"):
        load_onnx_scorer(folder)
