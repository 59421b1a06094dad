"""phi, the backbone: a causal LLM up to a chosen depth, run layer by layer.

The backbone knows token ids, positions and who may see whom. It does not know candidates, exams or layouts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
)

from modelsat.errors import LayoutError
from modelsat.network.pretrained import load_pretrained
from modelsat.scoring.tokens import clip_text, keep_ends
from modelsat.scoring.weights import weights_identity


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenBatch:
    """Token sequences padded at the end.

    Attributes:
        ids: [batch, position] int64; padding holds 0.
        lengths: [batch] int64, each at least 1.
    """

    ids: Tensor
    lengths: Tensor

    @property
    def present(self) -> Tensor:
        """[batch, position] bool; False on padding."""
        return torch.arange(self.ids.shape[1], device=self.ids.device)[None] < self.lengths[:, None]


def pad(sequences: Sequence[Sequence[int]]) -> TokenBatch:
    """Join token sequences of different lengths into one batch."""
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    ids = torch.zeros(len(sequences), int(lengths.max()), dtype=torch.int64)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = torch.tensor(sequence)
    return TokenBatch(ids=ids, lengths=lengths)


def causal_visibility(present: Tensor) -> Tensor:
    """Who sees whom in plain causal attention.

    Args:
        present: [batch, position] bool; False on padding.

    Returns:
        [batch, query, key] bool. A padding position sees itself, so that no row of attention is empty.
    """
    length = present.shape[1]
    causal = torch.ones(length, length, dtype=torch.bool, device=present.device).tril()
    return (causal & present[:, None, :]) | torch.eye(length, dtype=torch.bool, device=present.device)


class Backbone(nn.Module):
    """A causal LLM cut after `layers` layers, with its final norm and its 'Yes' direction.

    Args:
        model: A transformers causal LM of the Llama family's shape (Llama, Qwen2, Phi-3, ...).
        tokenizer: Its tokenizer.
        name: What it was loaded as.
        layers: Layers to keep; None keeps all.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401 - transformers' models have no common type
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str,
        layers: int | None = None,
    ) -> None:
        super().__init__()
        core: Any = getattr(model, "model", None)
        if not all(hasattr(core, part) for part in ("embed_tokens", "layers", "norm", "rotary_emb")):
            raise LayoutError(
                f"backbone {name} is of type {model.config.model_type!r}; expected a causal LLM of the "
                "Llama family's shape (Llama, Mistral, Qwen2, Phi-3, Gemma, Gemma 2, ...)."
            )
        if layers is not None and not 1 <= layers <= len(core.layers):
            raise LayoutError(f"backbone {name} has {len(core.layers)} layers; {layers} were asked for.")
        self.name = name
        self.config = model.config
        self.embed_tokens: nn.Module = core.embed_tokens
        self.layers: nn.ModuleList = core.layers[:layers]
        self.norm: nn.Module = core.norm
        self.rotary: nn.Module = core.rotary_emb
        self.tokenizer = tokenizer
        self.windows = attention_windows(self.config, len(self.layers))
        # Read once: the full output matrix is not needed to ask for one word.
        yes = self.tokenizer.encode("Yes", add_special_tokens=False)[0]
        head = model.get_output_embeddings()
        self.yes_direction = nn.Parameter(head.weight[yes].detach().clone().float(), requires_grad=False)
        self.requires_grad_(False)

    @property
    def hidden_size(self) -> int:
        """Width of a state."""
        return int(self.config.hidden_size)

    @property
    def longest_position(self) -> int:
        """First position that must not be used.

        A longrope model ends where it would switch its frequencies: it does so for a whole batch at once, so
        that one long sequence would change the scores of all others.
        """
        limit = int(self.config.max_position_embeddings)
        rope = getattr(self.config, "rope_parameters", None) or {}
        if rope.get("rope_type") != "longrope":
            return limit
        original = rope.get("original_max_position_embeddings")
        return min(limit, int(original or self.config.original_max_position_embeddings))

    def identity(self) -> str:
        """Hash of the weights in use (without adapters)."""
        return weights_identity(
            (name.replace(".base_layer", ""), tensor.detach().float().cpu().numpy())
            for name, tensor in self.named_parameters()
            if "lora_" not in name
        )

    def tokenize(self, text: str, *, budget: int) -> list[int]:
        """Token ids of a text that no one vouches for.

        Control tokens in the text are encoded as plain text, never as control. A text over the budget keeps
        its first and last halves: the beginning says what is asked about, the end says what is asked.

        Args:
            text: Any text; an empty one becomes one space, since a sequence needs a token.
            budget: Tokens to keep, at least 2.
        """
        text = clip_text(text, budget)
        ids = cast(
            "list[int]",
            self.tokenizer.encode(text or " ", add_special_tokens=False, split_special_tokens=True),
        )
        if not ids:
            ids = cast("list[int]", self.tokenizer.encode(" ", add_special_tokens=False)) or [0]
        return keep_ends(ids, budget)

    def embed(self, ids: Tensor) -> Tensor:
        """[..., position] token ids -> [..., position, hidden] input embeddings."""
        return cast("Tensor", self.embed_tokens(ids))

    def run(
        self,
        states: Tensor,
        *,
        positions: Tensor,
        visible: Tensor,
        start: int = 0,
        stop: int | None = None,
    ) -> Tensor:
        """Run a range of layers.

        Args:
            states: [batch, position, hidden]; input embeddings when `start` is 0.
            positions: [batch, position] int64; may repeat, when several branches share a prefix.
            visible: [batch, query, key] bool; sliding windows are applied on top, by distance of positions.
            start: First layer to run.
            stop: Layer to stop before; None runs to the end and applies the final norm.

        Returns:
            [batch, position, hidden].
        """
        rotary = self.rotary(states, position_ids=positions)
        masks = {
            window: additive_mask(visible, positions, window, states.dtype)
            for window in set(self.windows[start:stop])
        }
        for layer, window in zip(self.layers[start:stop], self.windows[start:stop], strict=True):
            output = layer(
                states, attention_mask=masks[window], position_embeddings=rotary, position_ids=positions
            )
            states = output[0] if isinstance(output, tuple) else output
        return states if stop is not None else cast("Tensor", self.norm(states))


def attention_windows(config: PreTrainedConfig, layers: int) -> list[int | None]:
    """Sliding window of each layer in tokens; None where a layer sees everything before it.

    Raises:
        LayoutError: A layer is of another kind than full or sliding attention.
    """
    other = set(getattr(config, "layer_types", None) or ()) - {"full_attention", "sliding_attention"}
    if other:
        raise LayoutError(
            f"backbone of type {config.model_type!r} has layers of kind {', '.join(sorted(other))}; "
            "only full and sliding attention can be run."
        )
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    if window is None or getattr(config, "use_sliding_window", True) is False:
        return [None] * layers
    if kinds is None:
        return [int(window)] * layers
    return [int(window) if kind == "sliding_attention" else None for kind in kinds[:layers]]


def additive_mask(visible: Tensor, positions: Tensor, window: int | None, dtype: torch.dtype) -> Tensor:
    """[batch, 1, query, key]: 0 where a query sees a key, the lowest number elsewhere."""
    if window is not None:
        visible = visible & (positions[:, :, None] - positions[:, None, :] < window)
    mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return mask.masked_fill_(~visible, torch.finfo(dtype).min)[:, None]


def load_backbone(name: str, *, layers: int | None = None) -> Backbone:
    """Load a backbone in fp32.

    Args:
        name: "smollm2-135m-instruct" (embedded), a local folder, or a hub name.
        layers: Layers to keep; None keeps all.

    Raises:
        CheckpointError: It cannot be found or read.
        LayoutError: It has fewer layers.
    """
    model, tokenizer = load_pretrained(AutoModelForCausalLM, name, kind="backbone", layers=layers)
    return Backbone(model, tokenizer, name=name, layers=layers)
