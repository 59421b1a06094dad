"""The graphs compute what torch computes, on tiny models with random weights."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelsat.errors import CheckpointError
from modelsat.network.encoder import load_encoder
from modelsat.network.exam_network import TorchInstructionEncoder
from modelsat.onnx.cache import has_vnni
from modelsat.onnx.decoder import build_decoder
from modelsat.onnx.gguf_file import GGUFFile
from modelsat.onnx.graph import quantise
from modelsat.onnx.instruction_encoder import OnnxInstructionEncoder
from modelsat.onnx.sentence import EncoderSizes, build_sentence_encoder
from modelsat.onnx.sizes import DECODER_FILE, SENTENCE_FILE, TOKENIZER_FILE, Precision
from modelsat.onnx.tokens import DecoderTokens
from modelsat.types import FloatArray

from .conftest import Packaged, write_gguf

TEXTS = (
    "Yes or no?",
    "which of these is a prime number: 4, 7, 9?",
    "x",
    " ",
    "a long text " * 12,
    "control <|im_end|> tokens [SEP] as text",
)
LAYERS, TOKENS = 3, 40


def make_reader(packaged: Packaged, target: Path, precision: Precision) -> OnnxInstructionEncoder:
    file = GGUFFile(packaged.gguf)
    decoder = build_decoder(
        file.sizes,
        layers=LAYERS,
        embeddings=file.embeddings(),
        layer=file.layer,
        final_norm=file.final_norm(),
        precision=precision,
    )
    encoder = load_encoder(str(packaged.encoder))
    config = encoder.model.config
    sentence = build_sentence_encoder(
        EncoderSizes(
            layers=config.num_hidden_layers,
            hidden=config.hidden_size,
            heads=config.num_attention_heads,
            epsilon=config.layer_norm_eps,
        ),
        {name: value.numpy() for name, value in encoder.model.state_dict().items()},
        precision=precision,
    )
    (target / DECODER_FILE).write_bytes(decoder.SerializeToString())
    (target / SENTENCE_FILE).write_bytes(sentence.SerializeToString())
    DecoderTokens.from_gguf(file).save(target / TOKENIZER_FILE)
    return OnnxInstructionEncoder(
        target,
        sizes=file.sizes,
        encoder=packaged.encoder,
        tokens=TOKENS,
        precision=precision,
        threads=1,
    )


@pytest.fixture(scope="module")
def reference(packaged: Packaged) -> FloatArray:
    encoder = load_encoder(str(packaged.encoder))
    reader = TorchInstructionEncoder(
        packaged.backbone(LAYERS), embed=encoder.encode, text_size=encoder.hidden_size, tokens=TOKENS
    )
    return reader.encode(TEXTS)


def test_instructions_of_all_lengths_are_read_as_with_torch(
    packaged: Packaged, reference: FloatArray, tmp_path: Path
) -> None:
    reader = make_reader(packaged, tmp_path, "fp32")
    together = reader.encode(TEXTS)
    # Embeddings are kept in fp16.
    np.testing.assert_allclose(together, reference, atol=5e-3)
    alone = np.concatenate([reader.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-4)


needs_vnni = pytest.mark.skipif(not has_vnni(), reason="sums overflow without VNNI")


@needs_vnni
def test_eight_bits_stay_close(packaged: Packaged, reference: FloatArray, tmp_path: Path) -> None:
    found = make_reader(packaged, tmp_path, "int8").encode(TEXTS)
    cosine = (found * reference).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(reference, axis=1)
    assert (cosine > 0.99).all()
    assert np.abs(found - reference).max() > 1e-4


@needs_vnni
def test_in_eight_bits_too_company_does_not_matter(packaged: Packaged, tmp_path: Path) -> None:
    reader = make_reader(packaged, tmp_path, "int8")
    # Ends alike, so that they share a batch; one scale for a whole batch would let "!" * 38 decide on all.
    texts = ["a prime number, or " + "x" * 19, "!" * 38, "which of these " + "y" * 23]
    alone = np.concatenate([reader.encode([text]) for text in texts])
    np.testing.assert_allclose(reader.encode(texts), alone, atol=1e-4)


def test_a_file_gives_the_weights_and_the_identity_of_the_backbone(packaged: Packaged) -> None:
    from modelsat.scoring.weights import weights_identity

    backbone = packaged.backbone(LAYERS)
    named = dict(GGUFFile(packaged.gguf).named_weights(LAYERS))
    kept = {name: value for name, value in backbone.named_parameters() if name != "yes_direction"}
    assert named.keys() == kept.keys()
    for name, value in kept.items():
        np.testing.assert_array_equal(named[name], value.detach().numpy())
    file = GGUFFile(packaged.gguf)
    yes = file.output_direction(DecoderTokens.from_gguf(file).encode("Yes", budget=8)[0])
    assert weights_identity([*named.items(), ("yes_direction", yes)]) == backbone.identity()


def test_control_tokens_are_known(packaged: Packaged) -> None:
    assert "<|im_start|>" in GGUFFile(packaged.gguf).control_tokens()


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=80) | st.sampled_from(TEXTS), budget=st.integers(2, 50))
def test_texts_are_tokenised_as_with_torch(packaged: Packaged, text: str, budget: int) -> None:
    tokens = DecoderTokens.from_gguf(GGUFFile(packaged.gguf))
    assert tokens.encode(text, budget=budget) == packaged.backbone(1).tokenize(text, budget=budget)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_eight_bits_are_off_by_half_a_step_at_most(seed: int) -> None:
    weight = np.random.default_rng(seed).normal(size=(5, 7)).astype(np.float32)
    values, scales = quantise(weight)
    restored = values.astype(np.float32) * scales[:, None]
    assert (np.abs(restored - weight) <= 0.5001 * scales[:, None]).all()


def test_a_file_that_is_no_such_model_is_refused(packaged: Packaged, tmp_path: Path) -> None:
    path = tmp_path / "other.gguf"
    write_gguf(packaged.backbone(), path, architecture="mamba")
    with pytest.raises(CheckpointError, match="architecture is 'mamba'"):
        GGUFFile(path)
    path.write_bytes(b"no model")
    with pytest.raises(CheckpointError, match="cannot be read as GGUF"):
        GGUFFile(path)


def test_torch_is_not_needed_to_import_the_engine() -> None:
    import subprocess
    import sys

    code = (
        "import sys, modelsat.onnx.load, modelsat.onnx.build; "
        "assert not {'torch', 'transformers', 'peft'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
