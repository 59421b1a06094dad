"""A student reads with the first layers of the text encoder alone."""

import json
from pathlib import Path

import numpy as np
import pytest

from modelsat.errors import CheckpointError, LayoutError
from modelsat.network.encoder import load_encoder
from modelsat.network.load import load_scorer
from modelsat.network.student import TruncatedEncoder
from modelsat.scoring.checkpoint import CONFIG_FILE, WEIGHTS_FILE, load_checkpoint
from modelsat.types import Instruction

from .conftest import save_backbone, save_encoder
from .small_router import save_router, small_profiles
from .small_student import save_student


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("encoder"))


def instructions(*texts: str) -> list[Instruction]:
    return [Instruction(id=str(at), text=text) for at, text in enumerate(texts)]


def test_scores_do_not_depend_on_company(encoder: Path, tmp_path: Path) -> None:
    scorer = load_scorer(save_student(tmp_path / "student", encoder=encoder))
    profiles = small_profiles()
    asked = instructions("what is a prime", "a" * 200, "why?")
    together = scorer.score(asked, profiles).logits
    alone = np.stack([scorer.score([one], profiles[2:4]).logits[0] for one in asked])
    np.testing.assert_allclose(together[:, 2:4], alone, atol=1e-5)


def test_a_long_text_keeps_its_ends(encoder: Path) -> None:
    cut = TruncatedEncoder(load_encoder(str(encoder)), layers=1)
    ids = cut.tokenize("a" * 50 + "b" * 50, budget=10)
    assert len(ids) == 10
    assert len(set(ids[1:5])) <= 2
    assert ids[1] != ids[8] or ids[2] != ids[7]
    assert cut.tokenize("", budget=10) == [ids[0], ids[-1]]


def test_control_tokens_in_a_text_are_text(encoder: Path) -> None:
    cut = TruncatedEncoder(load_encoder(str(encoder)), layers=1)
    ids = cut.tokenize("[SEP] [CLS]", budget=24)
    assert ids.count(ids[0]) == 1
    assert ids.count(ids[-1]) == 1


def test_depth_zero_reads_token_embeddings(encoder: Path, tmp_path: Path) -> None:
    scorer = load_scorer(save_student(tmp_path / "static", encoder=encoder, layers=0))
    assert np.isfinite(scorer.score(instructions("what is a prime"), small_profiles()).logits).all()


def test_more_layers_than_there_are_is_refused(encoder: Path) -> None:
    with pytest.raises(LayoutError, match="has 2 layers; 3 were asked for"):
        TruncatedEncoder(load_encoder(str(encoder)), layers=3)


def test_a_student_without_imitation_is_refused(encoder: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = save_student(tmp_path / "student", encoder=encoder)
    tensors = load_file(folder / WEIGHTS_FILE)
    del tensors["embedding_projection.bias"]
    save_file(tensors, folder / WEIGHTS_FILE)
    with pytest.raises(CheckpointError, match=r"a student needs tensors 'embedding_projection\.weight'"):
        load_scorer(folder)


def test_another_encoder_is_refused(encoder: Path, tmp_path: Path) -> None:
    folder = save_student(tmp_path / "student", encoder=encoder)
    config = json.loads((folder / CONFIG_FILE).read_text("utf-8"))
    (folder / CONFIG_FILE).write_text(json.dumps({**config, "backbone_identity": "f" * 64}), "utf-8")
    with pytest.raises(CheckpointError, match="field 'backbone_identity' is ffffffffffff"):
        load_scorer(folder)


def test_the_margin_survives_the_checkpoint(encoder: Path, tmp_path: Path) -> None:
    assert load_checkpoint(save_student(tmp_path / "student", encoder=encoder, margin=0.3)).margin == 0.3
    backbone = save_backbone(tmp_path / "backbone", "llama")
    router = save_router(tmp_path / "router", backbone=backbone, encoder=encoder)
    assert load_checkpoint(router).margin is None
