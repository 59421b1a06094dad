"""The wheel's models are packed without loss where they can be, and restored as they were."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from gguf.quants import dequantize, quantize
from numpy.typing import NDArray

from modelsat.errors import CheckpointError
from modelsat.network.backbone import Backbone, load_backbone
from modelsat.network.encoder import load_encoder
from modelsat.network.student import TruncatedEncoder
from modelsat.onnx.tokens import DecoderTokens
from modelsat.scoring.weights import EMBEDDED_BACKBONE, EMBEDDED_ENCODER, WEIGHTS_PACKAGE, StoredWeights

from ..network.conftest import CONTROL, save_backbone, save_encoder

REPOSITORY = Path(__file__).parent.parent.parent
Q4, Q8 = GGMLQuantizationType.Q4_1, GGMLQuantizationType.Q8_0
PACKED = {
    "input_layernorm": ("attn_norm", None),
    "self_attn.q_proj": ("attn_q", Q4),
    "self_attn.k_proj": ("attn_k", Q4),
    "self_attn.v_proj": ("attn_v", Q4),
    "self_attn.o_proj": ("attn_output", Q8),
    "post_attention_layernorm": ("ffn_norm", None),
    "mlp.gate_proj": ("ffn_gate", Q4),
    "mlp.up_proj": ("ffn_up", Q4),
    "mlp.down_proj": ("ffn_down", None),
}


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    """What builds the wheel."""
    spec = importlib.util.spec_from_file_location("hatch_build", REPOSITORY / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return load_backbone(str(save_backbone(tmp_path_factory.mktemp("backbone"), "llama")))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, hook: ModuleType, backbone: Backbone) -> Path:
    """A folder of packages with a backbone of 3 of its 4 layers and an encoder in 8 bits."""
    folder = tmp_path_factory.mktemp("site")
    write_gguf(backbone, folder / "tiny.gguf")
    hook.write_backbone(folder / "tiny.gguf", folder / WEIGHTS_PACKAGE / EMBEDDED_BACKBONE, layers=3)
    save_encoder(folder / "encoder")
    hook.write_encoder(folder / "encoder", folder / WEIGHTS_PACKAGE / EMBEDDED_ENCODER, exact=False)
    return folder


def write_gguf(backbone: Backbone, path: Path) -> None:
    """Write a backbone as the converters of the field do: partners of the rotary embedding side by side."""
    config, weights = backbone.config, {n: p.detach().numpy() for n, p in backbone.named_parameters()}
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    vocabulary = sorted(backbone.tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types(
        [TokenType.CONTROL if token in CONTROL else TokenType.NORMAL for token, _ in vocabulary]
    )
    writer.add_token_merges(["Y e", "Ye s"])
    for add in (
        writer.add_bos_token_id,
        writer.add_eos_token_id,
        writer.add_unk_token_id,
        writer.add_pad_token_id,
    ):
        add(0)

    def add_tensor(name: str, value: NDArray[Any], kind: GGMLQuantizationType | None) -> None:
        value = np.ascontiguousarray(value)
        writer.add_tensor(name, value if kind is None else quantize(value, kind), raw_dtype=kind)

    add_tensor("token_embd.weight", weights["embed_tokens.weight"], Q8)
    add_tensor("output_norm.weight", weights["norm.weight"], None)
    for layer in range(config.num_hidden_layers):
        for name, (packed, kind) in PACKED.items():
            value = weights[f"layers.{layer}.{name}.weight"]
            if packed in ("attn_q", "attn_k"):
                heads = config.num_attention_heads if packed == "attn_q" else config.num_key_value_heads
                half = value.shape[0] // heads // 2
                value = value.reshape(heads, 2, half, -1).swapaxes(1, 2).reshape(value.shape)
            add_tensor(f"blk.{layer}.{packed}.weight", value, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_backbone_is_packed_without_loss(site: Path, backbone: Backbone) -> None:
    stored = StoredWeights(site / WEIGHTS_PACKAGE / EMBEDDED_BACKBONE)
    kinds = {
        f"layers.{layer}.{name}.weight": kind for layer in range(3) for name, (_, kind) in PACKED.items()
    }
    kinds |= {"embed_tokens.weight": Q8, "norm.weight": None}
    assert sorted(stored) == sorted(f"model.{name}" for name in kinds)
    assert len(stored) == len(kinds)
    for name, value in backbone.named_parameters():
        if name in kinds:
            kind, expected = kinds[name], value.detach().numpy()
            if kind is not None:
                expected = dequantize(quantize(expected, kind), kind)
            np.testing.assert_array_equal(stored[f"model.{name}"], expected)
    with pytest.raises(KeyError):
        stored["model.layers.3.input_layernorm.weight"]


def test_torch_reads_what_was_packed(site: Path, backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(site)
    loaded = load_backbone(EMBEDDED_BACKBONE, layers=2)
    assert len(loaded.layers) == 2
    stored = StoredWeights(site / WEIGHTS_PACKAGE / EMBEDDED_BACKBONE)
    parameters = {n: p for n, p in loaded.named_parameters() if n != "yes_direction"}
    assert len(parameters) == 2 + 2 * len(PACKED)
    for name, value in parameters.items():
        np.testing.assert_array_equal(value.detach().numpy(), stored[f"model.{name}"])
    tokens = DecoderTokens(site / WEIGHTS_PACKAGE / EMBEDDED_BACKBONE / "tokenizer.json")
    for text in ("Yes or no?", "a <|im_end|> b", "ünï"):
        expected = backbone.tokenize(text, budget=40)
        assert tokens.encode(text, budget=40) == expected == loaded.tokenize(text, budget=40)
    assert set(CONTROL) <= set(loaded.tokenizer.all_special_tokens) | set(loaded.tokenizer.get_added_vocab())


def test_an_encoder_is_rounded_and_keeps_its_identities(
    site: Path, hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = StoredWeights(site / WEIGHTS_PACKAGE / EMBEDDED_ENCODER)
    whole = load_encoder(str(site / "encoder"))
    for name, value in whole.model.named_parameters():
        exact = value.detach().numpy()
        step = np.abs(exact).max(-1, keepdims=True) / 127
        assert (np.abs(stored[name] - exact) <= 0.501 * step).all(), name
    monkeypatch.syspath_prepend(site)
    for depth in (0, 1, 2):
        expected = TruncatedEncoder(whole, layers=depth).identity()
        assert stored.identity(depth) == expected
        # Torch has the rounded weights, and knows what they were.
        assert TruncatedEncoder(load_encoder(), layers=depth).identity() == expected
    hook.write_encoder(site / "encoder", tmp_path / "exact", exact=True)
    exact_weights = StoredWeights(tmp_path / "exact")
    assert exact_weights.identity(1) is None
    for name, value in whole.model.named_parameters():
        np.testing.assert_array_equal(exact_weights[name], value.detach().numpy())


def test_a_damaged_file_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model\.safetensors: cannot be read"):
        StoredWeights(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: cannot be read"):
        StoredWeights(tmp_path)


def test_a_package_of_another_release_is_refused(
    hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "modelsat" / "wheels" / "some-1.0.whl"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"another")
    with pytest.raises(
        SystemExit, match=r"is not the release some==1\.0 that Model-SAT was built on; remove it"
    ):
        hook.fetch("some==1.0", file.name, "0" * 64)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(SystemExit, match=r"needs the package other==1\.0, which pip cannot download"):
        hook.fetch("other==1.0", "other-1.0.whl", "0" * 64)
