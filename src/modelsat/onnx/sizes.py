"""Files and sizes of an engine, as plain data."""

from dataclasses import dataclass
from typing import Literal

DECODER_FILE = "decoder.onnx"
SENTENCE_FILE = "sentence.onnx"
STUDENT_FILE = "student.onnx"
TOKENIZER_FILE = "tokenizer.json"
ENCODER_WEIGHTS = "model.safetensors"

Precision = Literal["fp32", "int8"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderSizes:
    """Sizes of a Llama-type decoder.

    Attributes:
        layers: Decoder layers.
        hidden: Width of a state.
        heads: Query heads.
        key_heads: Key and value heads; each serves heads / key_heads query heads.
        head_width: Width of a head.
        rope_base: Base of the rotary frequencies.
        epsilon: Of the root-mean-square norms.
    """

    layers: int
    hidden: int
    heads: int
    key_heads: int
    head_width: int
    rope_base: float
    epsilon: float
