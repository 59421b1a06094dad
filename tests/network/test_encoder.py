from pathlib import Path

import numpy as np
import pytest
import torch

from modelsat.errors import CheckpointError
from modelsat.network.encoder import TextEncoder, load_encoder

from .conftest import save_encoder

TEXTS = ["a lawyer reads", "x", "maths, algebra, 12 numbers", ""]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_encoder(tmp_path_factory.mktemp("encoders") / "minilm")


@pytest.fixture(scope="module")
def encoder(folder: Path) -> TextEncoder:
    return load_encoder(str(folder))


@pytest.mark.parametrize(
    ("name", "prefix", "pooling"),
    [
        ("intfloat/e5-large-v2", "query: ", "mean"),
        ("intfloat/multilingual-e5-base", "query: ", "mean"),
        ("BAAI/bge-small-en-v1.5", "", "first"),
        ("thenlper/gte-large", "", "mean"),
        ("Alibaba-NLP/gte-large-en-v1.5", "", "first"),
        ("all-minilm-l6-v2", "", "mean"),
        ("/data/e5/3e5f/some-model", "", "mean"),
    ],
)
def test_conventions_go_by_family(encoder: TextEncoder, name: str, prefix: str, pooling: str) -> None:
    named = TextEncoder(encoder.model, encoder.tokenizer, name=name)
    assert (named.prefix, named.pooling) == (prefix, pooling)


@pytest.mark.parametrize("family", ["e5-tiny", "bge-tiny", "gte-tiny"])
def test_vectors_follow_the_convention(tmp_path: Path, family: str) -> None:
    encoder = load_encoder(str(save_encoder(tmp_path / family)))
    inputs = encoder.tokenizer([encoder.prefix + TEXTS[0]], return_tensors="pt")
    with torch.inference_mode():
        states = encoder.model(**inputs).last_hidden_state[0]
    expected = states[0] if family == "bge-tiny" else states.mean(0)
    expected = torch.nn.functional.normalize(expected, dim=0)
    np.testing.assert_allclose(encoder.encode(TEXTS)[0], expected.numpy(), atol=1e-5)


def test_a_text_has_the_same_vector_in_any_batch(encoder: TextEncoder) -> None:
    together = encoder.encode(TEXTS)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    for index, text in enumerate(TEXTS):
        np.testing.assert_allclose(encoder.encode([text])[0], together[index], atol=1e-5)
    np.testing.assert_allclose(encoder.encode(TEXTS, batch_size=1), together, atol=1e-5)


def test_a_megabyte_is_read_up_to_the_budget(encoder: TextEncoder) -> None:
    text = "law " * 250_000
    np.testing.assert_allclose(encoder.encode([text])[0], encoder.encode([text[:4000]])[0], atol=1e-5)


def test_progress_ends_at_the_last_text(encoder: TextEncoder) -> None:
    done: list[tuple[str, int, int]] = []
    encoder.encode(TEXTS, batch_size=3, progress=lambda *at: done.append(at))
    assert done == [("embedding", 3, 4), ("embedding", 4, 4)]


def test_text_never_acts_as_control_tokens(encoder: TextEncoder) -> None:
    special = set(encoder.tokenizer.all_special_ids)
    inputs = encoder.tokenizer(["law [SEP] [PAD] maths"], split_special_tokens=True)["input_ids"][0]
    unknown = encoder.tokenizer.unk_token_id  # A bracket is no letter of this tokenizer.
    assert [token for token in inputs if token in special - {unknown}] == [inputs[0], inputs[-1]]
    whole, cut = encoder.encode(["law [PAD] maths", "law  maths"])
    assert not np.allclose(whole, cut)


def test_half_a_surrogate_pair_is_read(encoder: TextEncoder) -> None:
    assert np.isfinite(encoder.encode(["law \ud800"])).all()


def test_no_texts_give_no_vectors(encoder: TextEncoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.hidden_size)


def test_a_missing_encoder_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="Give a hub name, a local folder"):
        load_encoder(str(tmp_path / "nothing"))
