"""psi, the capability encoder: a sentence encoder for task keywords, representations and instructions.

It turns text into vectors. It does not know what the text is about.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModel

from modelsat.network.pretrained import load_pretrained
from modelsat.progress import Progress, no_progress
from modelsat.scoring.weights import EMBEDDED_ENCODER
from modelsat.types import FloatArray

# How each family was trained to be read: prefix of a text, and how token states become one vector.
_CONVENTIONS: tuple[tuple[str, str, str], ...] = (
    ("e5", "query: ", "mean"),
    ("bge", "", "first"),
    ("gte-large-en-v1.5", "", "first"),
    ("gte-base-en-v1.5", "", "first"),
    ("gte", "", "mean"),
    ("", "", "mean"),
)


class TextEncoder:
    """A sentence encoder with its family's conventions.

    Args:
        model: A transformers encoder.
        tokenizer: Its tokenizer.
        name: What it was loaded as; decides prefix and pooling.
    """

    def __init__(self, model: Any, tokenizer: Any, *, name: str) -> None:  # noqa: ANN401 - transformers has no common type
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name = name
        self.prefix, self.pooling = next(
            (prefix, pooling) for family, prefix, pooling in _CONVENTIONS if _is_family(name, family)
        )
        self.longest = min(int(getattr(model.config, "max_position_embeddings", 512)), 512)
        self.hidden_size = int(model.config.hidden_size)

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, prefix and end markers included."""
        return len(self.tokenizer.encode(self.prefix + text, split_special_tokens=True))

    @torch.inference_mode()
    def encode(
        self,
        texts: Sequence[str],
        *,
        batch_size: int = 32,
        budget: int = 256,
        progress: Progress = no_progress,
    ) -> FloatArray:
        """Embed texts as unit vectors.

        Args:
            texts: Any texts; one longer than the budget is read up to the budget.
            batch_size: Texts per pass.
            budget: Tokens to read of each text, at most what the encoder takes.
            progress: Called with (texts done, texts in all).

        Returns:
            [text, hidden] float32, rows of length 1.
        """
        vectors = np.zeros((len(texts), self.hidden_size), dtype=np.float32)
        # Similar lengths together waste no work on padding.
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            vectors[rows] = self._encode_batch([texts[row] for row in rows], budget).numpy()
            progress("embedding", min(start + batch_size, len(order)), len(order))
        return vectors

    def _encode_batch(self, texts: list[str], budget: int) -> Tensor:
        # A cut in characters first: a megabyte of text must not be tokenised whole to keep 256 tokens.
        inputs = self.tokenizer(
            # Half a surrogate pair, as broken JSON may hold, is no character that a tokenizer takes.
            [self.prefix + text[: budget * 40].encode("utf-8", "replace").decode() for text in texts],
            padding=True,
            truncation=True,
            max_length=min(budget, self.longest),
            # A text never acts as control tokens: "[SEP]" in it is five characters.
            split_special_tokens=True,
            return_tensors="pt",
        )
        states = self.model(**inputs).last_hidden_state
        if self.pooling == "first":
            pooled = states[:, 0]
        else:
            present = inputs["attention_mask"][..., None].float()
            pooled = (states * present).sum(1) / present.sum(1)
        return torch.nn.functional.normalize(pooled, dim=-1)


def _is_family(name: str, family: str) -> bool:
    # Whole words of the last part only: a folder called "/data/3e5f/minilm" is no E5.
    return re.search(rf"(^|[-_]){re.escape(family)}", Path(name).name.lower()) is not None


def load_encoder(name: str = EMBEDDED_ENCODER) -> TextEncoder:
    """Load a sentence encoder in fp32.

    Args:
        name: "all-minilm-l6-v2" (embedded), a local folder, or a hub name.

    Raises:
        CheckpointError: It cannot be found or read.
    """
    model, tokenizer = load_pretrained(AutoModel, name, kind="encoder")
    return TextEncoder(model, tokenizer, name=name)
