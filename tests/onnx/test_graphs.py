"""The graphs compute what torch computes, on tiny models with random weights."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelsat.network.encoder import load_encoder
from modelsat.network.exam_network import TorchInstructionEncoder
from modelsat.onnx.encoders import OnnxInstructionEncoder, SentenceEncoder
from modelsat.onnx.engines import find_engine, find_sentence_encoder
from modelsat.onnx.graph import quantise
from modelsat.onnx.session import has_vnni
from modelsat.onnx.sizes import Precision
from modelsat.onnx.tokens import DecoderTokens
from modelsat.scoring.checkpoint import Calibration, Checkpoint
from modelsat.scoring.config import NetworkConfig
from modelsat.types import FloatArray

from ..network.small_router import small_statistics
from .conftest import Embedded

TEXTS = (
    "Yes or no?",
    "which of these is a prime number: 4, 7, 9?",
    "x",
    " ",
    "a long text " * 12,
    "control <|im_end|> tokens [SEP] as text",
)
LAYERS, TOKENS = 3, 40


def make_reader(embedded: Embedded, precision: Precision) -> OnnxInstructionEncoder:
    """The backbone without adapters."""
    checkpoint = Checkpoint(
        config=NetworkConfig(layers=LAYERS),
        backbone_identity=embedded.in_torch(LAYERS).identity(),
        statistics=small_statistics(),
        calibration=Calibration(),
        in_domain_threshold=0.0,
        head={},
        adapters={},
    )
    return OnnxInstructionEncoder(
        find_engine(checkpoint, precision=precision),
        folder=embedded.backbone,
        sentences=SentenceEncoder(
            find_sentence_encoder(precision=precision), folder=embedded.encoder, threads=1
        ),
        tokens=TOKENS,
        precision=precision,
        threads=1,
    )


@pytest.fixture
def reference(embedded: Embedded) -> FloatArray:
    encoder = load_encoder(str(embedded.encoder))
    reader = TorchInstructionEncoder(
        embedded.in_torch(LAYERS), embed=encoder.encode, text_size=encoder.hidden_size, tokens=TOKENS
    )
    return reader.encode(TEXTS)


def test_instructions_of_all_lengths_are_read_as_with_torch(
    embedded: Embedded, reference: FloatArray
) -> None:
    reader = make_reader(embedded, "fp32")
    together = reader.encode(TEXTS)
    # Embeddings are kept in fp16.
    np.testing.assert_allclose(together, reference, atol=5e-3)
    alone = np.concatenate([reader.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-4)


needs_vnni = pytest.mark.skipif(not has_vnni(), reason="sums overflow without VNNI")


@needs_vnni
def test_eight_bits_stay_close(embedded: Embedded, reference: FloatArray) -> None:
    found = make_reader(embedded, "int8").encode(TEXTS)
    cosine = (found * reference).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(reference, axis=1)
    assert (cosine > 0.99).all()
    assert np.abs(found - reference).max() > 1e-4


@needs_vnni
def test_in_eight_bits_too_company_does_not_matter(embedded: Embedded) -> None:
    reader = make_reader(embedded, "int8")
    # Ends alike, so that they share a batch; one scale for a whole batch would let "!" * 38 decide on all.
    texts = ["a prime number, or " + "x" * 19, "!" * 38, "which of these " + "y" * 23]
    alone = np.concatenate([reader.encode([text]) for text in texts])
    np.testing.assert_allclose(reader.encode(texts), alone, atol=1e-4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=80) | st.sampled_from(TEXTS), budget=st.integers(2, 50))
def test_texts_are_tokenised_as_with_torch(embedded: Embedded, text: str, budget: int) -> None:
    tokens = DecoderTokens(embedded.backbone / "tokenizer.json")
    assert tokens.encode(text, budget=budget) == embedded.in_torch(1).tokenize(text, budget=budget)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_eight_bits_are_off_by_half_a_step_at_most(seed: int) -> None:
    weight = np.random.default_rng(seed).normal(size=(5, 7)).astype(np.float32)
    values, scales = quantise(weight)
    restored = values.astype(np.float32) * scales[:, None]
    assert (np.abs(restored - weight) <= 0.5001 * scales[:, None]).all()


def test_torch_is_not_needed_to_import_the_engine() -> None:
    import subprocess
    import sys

    code = (
        "import sys, modelsat.onnx.load, modelsat.onnx.build; "
        "assert not {'torch', 'transformers', 'peft'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
