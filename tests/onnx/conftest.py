"""A tiny backbone in both forms: as transformers keeps it, and as the GGUF that it would be packaged as."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter, TokenType

from modelsat.network.backbone import Backbone, load_backbone
from modelsat.types import FloatArray

from ..network.conftest import CONTROL, save_backbone, save_encoder

_PACKED = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Packaged:
    """The same weights in three folders.

    Attributes:
        folder: Of transformers.
        gguf: The file.
        encoder: Folder of a tiny sentence encoder.
    """

    folder: Path
    gguf: Path
    encoder: Path

    def backbone(self, layers: int | None = None) -> Backbone:
        """The backbone in torch."""
        return load_backbone(str(self.folder), layers=layers).eval()


@pytest.fixture(scope="session")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    folder = tmp_path_factory.mktemp("packaged")
    hub = save_backbone(folder / "hub", "llama")
    write_gguf(load_backbone(str(hub)), folder / "tiny.gguf")
    return Packaged(folder=hub, gguf=folder / "tiny.gguf", encoder=save_encoder(folder / "encoder"))


def write_gguf(backbone: Backbone, path: Path, *, architecture: str = "llama") -> None:
    """Write a backbone as the converters of the field do: partners of the rotary embedding side by side."""
    config, weights = backbone.config, {n: p.detach().numpy() for n, p in backbone.named_parameters()}
    writer = GGUFWriter(path, architecture)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_embedding_length(config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    vocabulary = sorted(backbone.tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    writer.add_token_list([token for token, _ in vocabulary])
    kinds = [TokenType.CONTROL if token in CONTROL else TokenType.NORMAL for token, _ in vocabulary]
    writer.add_token_types(kinds)
    writer.add_token_merges(["Y e", "Ye s"])
    writer.add_tensor("token_embd.weight", weights["embed_tokens.weight"])
    # Of the output matrix, a router knows one row.
    output = np.zeros_like(weights["embed_tokens.weight"])
    output[backbone.tokenizer.encode("Yes", add_special_tokens=False)[0]] = weights["yes_direction"]
    writer.add_tensor("output.weight", output)
    writer.add_tensor("output_norm.weight", weights["norm.weight"])
    for layer in range(config.num_hidden_layers):
        for name, packed in _PACKED.items():
            value = weights[f"layers.{layer}.{name}.weight"]
            if packed in ("attn_q", "attn_k"):
                heads = config.num_attention_heads if packed == "attn_q" else config.num_key_value_heads
                value = _side_by_side(value, heads)
            writer.add_tensor(f"blk.{layer}.{packed}.weight", np.ascontiguousarray(value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _side_by_side(weight: FloatArray, heads: int) -> FloatArray:
    half = weight.shape[0] // heads // 2
    return weight.reshape(heads, 2, half, -1).swapaxes(1, 2).reshape(weight.shape)
