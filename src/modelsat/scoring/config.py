"""What a router's network is made of, and which combinations exist.

A configuration is plain data: it is stored in every checkpoint and says everything that is needed to build the same
network again.
"""

from dataclasses import dataclass, field
from typing import Literal

from modelsat.errors import LayoutError
from modelsat.scoring.weights import EMBEDDED_BACKBONE, EMBEDDED_ENCODER

Layout = Literal["capability_first", "shared_prefix", "exam_attention"]
Encoder = Literal["text", "numeric", "items", "none"]
Head = Literal["yes_token", "regression", "attention"]

INQUIRY = (
    "Based on the model description and the test sample, predict whether the model can handle test sample by "
    "indicating 'Yes' or 'No'."
)

# Which capability encoders and heads each layout can take.
_ENCODERS: dict[Layout, tuple[Encoder, ...]] = {
    "capability_first": ("text", "numeric", "items", "none"),
    "shared_prefix": ("text", "numeric", "items"),
    "exam_attention": ("numeric",),
}
_HEADS: dict[Layout, tuple[Head, ...]] = {
    "capability_first": ("yes_token", "regression"),
    "shared_prefix": ("yes_token", "regression"),
    "exam_attention": ("attention",),
}


# Sentence embeddings are unit vectors; this brings their entries to about unit variance, beside the normed states.
TEXT_SCALE = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """A network's parts.

    Attributes:
        layout: How candidates and instruction meet (DESIGN: three layouts).
        capability_encoder: psi: from a profile to vectors.
        head: How the score is read.
        backbone: Name of phi: the embedded default, a folder, or a hub name; a student's is its text encoder.
        text_encoder: Name of the sentence encoder.
        layers: Backbone layers to run; None runs all.
        frozen_layers: First layers that tuning leaves as they are (their states can be cached).
        tokens: Token budget of an instruction; longer ones keep head and tail.
        lora_rank: Rank of the adapters in the tuned layers; 0 tunes no adapter.
        lora_alpha: Scale of the adapters (scale = alpha / rank).
    """

    layout: Layout = "exam_attention"
    capability_encoder: Encoder = "numeric"
    head: Head = "attention"
    backbone: str = EMBEDDED_BACKBONE
    text_encoder: str = EMBEDDED_ENCODER
    layers: int | None = 18
    frozen_layers: int = 0
    tokens: int = 192
    lora_rank: int = 8
    lora_alpha: int = 16
    attention: "AttentionConfig" = field(default_factory=lambda: AttentionConfig())

    def __post_init__(self) -> None:
        if self.layout not in _ENCODERS:
            raise LayoutError(f"layout is {self.layout!r}; expected one of {', '.join(_ENCODERS)}.")
        if self.capability_encoder not in _ENCODERS[self.layout]:
            raise LayoutError(
                f"layout {self.layout} cannot take capability_encoder {self.capability_encoder!r}; "
                f"it takes {', '.join(_ENCODERS[self.layout])}."
            )
        if self.head not in _HEADS[self.layout]:
            raise LayoutError(
                f"layout {self.layout} cannot take the head {self.head!r}; "
                f"it takes {', '.join(_HEADS[self.layout])}."
            )
        if self.tokens < 2:
            raise LayoutError(f"tokens is {self.tokens}; an instruction needs a budget of at least 2.")
        if self.layers is not None and not 0 <= self.frozen_layers <= self.layers:
            raise LayoutError(f"frozen_layers is {self.frozen_layers}; expected 0 to {self.layers} (layers).")

    @property
    def is_student(self) -> bool:
        """Whether the text encoder stands in for the backbone: its first layers alone read an instruction."""
        return self.backbone == self.text_encoder


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionConfig:
    """Sizes of the exam attention (layout exam_attention).

    Attributes:
        heads: Heads that are averaged.
        hidden: Width of a head's hidden layer.
        query: Width of queries and keys.
        sharpness: Sharpness of the attention at the start of tuning.
        input_dropout: Dropout on the features.
        hidden_dropout: Dropout on the hidden layer.
    """

    heads: int = 3
    hidden: int = 256
    query: int = 64
    sharpness: float = 6.0
    input_dropout: float = 0.4
    hidden_dropout: float = 0.5
