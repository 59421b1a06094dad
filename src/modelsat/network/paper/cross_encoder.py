"""A cross-encoder: reads two texts together and gives one number, for re-ranking outputs."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from modelsat.errors import CheckpointError
from modelsat.network.pretrained import quiet_loading
from modelsat.types import FloatArray


class CrossEncoder:
    """A sequence classifier with one output (e.g. BGE re-rankers).

    Args:
        model: A transformers sequence classifier.
        tokenizer: Its tokenizer.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:  # noqa: ANN401 - transformers has no common type
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.longest = min(int(getattr(model.config, "max_position_embeddings", 512)), 512)

    @torch.inference_mode()
    def __call__(self, firsts: Sequence[str], seconds: Sequence[str], *, batch_size: int = 16) -> FloatArray:
        """How well each second text suits the first, [pair]."""
        relevance = np.zeros(len(firsts), dtype=np.float32)
        # Pairs of similar length together waste no work on padding.
        order = sorted(range(len(firsts)), key=lambda at: len(firsts[at]) + len(seconds[at]))
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            inputs = self.tokenizer(
                [firsts[row] for row in rows],
                [seconds[row] for row in rows],
                padding=True,
                # The longer of the two is cut, so that an output never disappears behind a long instruction.
                truncation="longest_first",
                max_length=self.longest,
                split_special_tokens=True,
                return_tensors="pt",
            )
            relevance[rows] = self.model(**inputs).logits[:, 0].float().numpy()
        return relevance


def load_cross_encoder(name: str) -> CrossEncoder:
    """Load a cross-encoder in fp32.

    Args:
        name: A local folder, or a hub name such as BAAI/bge-reranker-large.

    Raises:
        CheckpointError: It cannot be found or read, or has more than one output.
    """
    try:
        with quiet_loading():
            model = AutoModelForSequenceClassification.from_pretrained(name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"cross-encoder {name!r} cannot be loaded: {error}. Give a hub name or a local folder."
        ) from error
    if model.config.num_labels != 1:
        raise CheckpointError(
            f"cross-encoder {name!r} has {model.config.num_labels} outputs; a re-ranker has one."
        )
    return CrossEncoder(cast("Any", model), tokenizer)
