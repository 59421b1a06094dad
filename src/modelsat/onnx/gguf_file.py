"""The embedded backbone as it is packaged: weights, sizes and tokenizer of one GGUF file, as numpy arrays.

Names of weights are those that transformers gives them, so that adapters and identities of checkpoints fit.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from modelsat.errors import CheckpointError, MissingExtraError
from modelsat.onnx.sizes import DecoderSizes
from modelsat.types import FloatArray

_OF_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_CONTROL_TOKEN = 3


class GGUFFile:
    """An open GGUF file of a Llama-type model.

    Args:
        path: The file; weights are read from it when they are asked for.

    Raises:
        CheckpointError: It is no GGUF file of that type.
        MissingExtraError: The package that reads it is not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            from gguf import GGUFReader
        except ImportError:
            raise MissingExtraError("engine", "building the engine from packaged weights") from None
        try:
            self._reader: Any = GGUFReader(path)
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{path}: cannot be read as GGUF: {error}") from None
        self.path = path
        if self.field("general.architecture") != "llama":
            raise CheckpointError(
                f"{path}: architecture is {self.field('general.architecture')!r}; expected 'llama'."
            )
        heads = int(self.field("llama.attention.head_count"))
        hidden = int(self.field("llama.embedding_length"))
        self.sizes = DecoderSizes(
            layers=int(self.field("llama.block_count")),
            hidden=hidden,
            heads=heads,
            key_heads=int(self.field("llama.attention.head_count_kv")),
            head_width=hidden // heads,
            rope_base=float(self.field("llama.rope.freq_base")),
            epsilon=float(self.field("llama.attention.layer_norm_rms_epsilon")),
        )
        self._tensors = {tensor.name: tensor for tensor in self._reader.tensors}

    def field(self, name: str) -> Any:  # noqa: ANN401 - numbers, texts or lists of them
        """A field of the file's header.

        Raises:
            CheckpointError: It is missing.
        """
        field = self._reader.get_field(name)
        if field is None:
            raise CheckpointError(f"{self.path}: field {name!r} is missing.")
        return field.contents()

    def control_tokens(self) -> frozenset[str]:
        """Tokens that a model takes as control, not as text."""
        kinds = self.field("tokenizer.ggml.token_type")
        tokens = self.field("tokenizer.ggml.tokens")
        return frozenset(t for t, kind in zip(tokens, kinds, strict=True) if kind == _CONTROL_TOKEN)

    def embeddings(self) -> FloatArray:
        """[token, hidden] input embeddings."""
        return self._read("token_embd")

    def output_direction(self, token: int) -> FloatArray:
        """[hidden] row of the output matrix, which is the input embeddings where the file has no other."""
        matrix = self._read("output" if "output.weight" in self._tensors else "token_embd")
        return np.asarray(matrix[token])

    def final_norm(self) -> FloatArray:
        """[hidden] weights of the last norm."""
        return self._read("output_norm")

    def layer(self, index: int) -> dict[str, FloatArray]:
        """Weights of one layer by transformers' names, matrices as [out, in]."""
        weights = {name: self._read(f"blk.{index}.{packed}") for packed, name in _OF_LAYER.items()}
        for name, heads in (
            ("self_attn.q_proj", self.sizes.heads),
            ("self_attn.k_proj", self.sizes.key_heads),
        ):
            weights[name] = _halves_of_heads(weights[name], heads)
        return weights

    def named_weights(self, layers: int) -> Iterator[tuple[str, FloatArray]]:
        """All weights of a backbone cut after some layers, one at a time, as its identity counts them."""
        embeddings = self.embeddings()
        yield "embed_tokens.weight", embeddings
        for index in range(layers):
            for name, weight in self.layer(index).items():
                yield f"layers.{index}.{name}.weight", weight
        yield "norm.weight", self.final_norm()

    def _read(self, name: str) -> FloatArray:
        from gguf.quants import dequantize

        tensor = self._tensors.get(f"{name}.weight")
        if tensor is None:
            raise CheckpointError(f"{self.path}: tensor '{name}.weight' is missing.")
        return np.asarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)


def _halves_of_heads(weight: FloatArray, heads: int) -> FloatArray:
    """Undo GGUF's order of rotary pairs: it puts partners side by side, transformers half a head apart."""
    half = weight.shape[0] // heads // 2
    return weight.reshape(heads, half, 2, -1).swapaxes(1, 2).reshape(weight.shape)
