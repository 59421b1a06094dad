"""Sizes and precisions of the embedded models, as plain data."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

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

    @classmethod
    def of(cls, folder: Path) -> "DecoderSizes":
        """Read a model's config.json."""
        config = _config(folder)
        hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
        rope = config.get("rope_parameters") or config
        return cls(
            layers=int(config["num_hidden_layers"]),
            hidden=hidden,
            heads=heads,
            key_heads=int(config["num_key_value_heads"]),
            head_width=int(config.get("head_dim") or hidden // heads),
            rope_base=float(rope["rope_theta"]),
            epsilon=float(config["rms_norm_eps"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSizes:
    """Sizes of a BERT-type encoder.

    Attributes:
        layers: Layers.
        hidden: Width of a state.
        heads: Attention heads.
        epsilon: Of the layer norms.
    """

    layers: int
    hidden: int
    heads: int
    epsilon: float

    @classmethod
    def of(cls, folder: Path) -> "EncoderSizes":
        """Read a model's config.json."""
        config = _config(folder)
        return cls(
            layers=int(config["num_hidden_layers"]),
            hidden=int(config["hidden_size"]),
            heads=int(config["num_attention_heads"]),
            epsilon=float(config["layer_norm_eps"]),
        )


def _config(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    return read
