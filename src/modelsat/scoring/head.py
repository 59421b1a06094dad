"""The tuned exam attention in numpy: what `modelsat.network.attention` computes, for engines with torch or without.

Equations and names are those of that module; a test holds the two together.
"""

import math
from collections.abc import Mapping

import numpy as np

from modelsat.errors import CheckpointError
from modelsat.scoring.config import TEXT_SCALE, NetworkConfig
from modelsat.scoring.numeric_encoder import CardBatch
from modelsat.types import FloatArray

_NORM_EPSILON = np.float32(1e-5)
# A few hundred values an instruction: not worth the third of a second that importing scipy takes.
_erf = np.frompyfunc(math.erf, 1, 1)


class ExamAttentionHead:
    """The tuned head.

    Args:
        tensors: A checkpoint's head.
        config: Its network.
        pooled: Width of pooled states.

    Raises:
        CheckpointError: A tensor is missing, unknown or of another shape.
    """

    def __init__(self, tensors: Mapping[str, FloatArray], *, config: NetworkConfig, pooled: int) -> None:
        text = tensors["item_embeddings"].shape[1]
        _check(tensors, _shapes(config, pooled=pooled, text=text))
        self.item_embeddings = tensors["item_embeddings"]
        self._tensors = tensors
        self._pooled = pooled
        self._prefixes = [f"attention.heads.{head}." for head in range(config.attention.heads)]
        items = self._centred(self.item_embeddings)
        # [query, item] unit vectors of each head, ready to multiply.
        self._keys = [_unit(self._linear(f"{prefix}key", items)).T for prefix in self._prefixes]

    def __call__(self, features: FloatArray, cards: CardBatch) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Score candidates.

        Args:
            features: [instruction, pooled + text].
            cards: The candidates, in the exam that the head was tuned with.

        Returns:
            Logits without residuals [head, instruction, candidate]; what residuals add, the same shape; and the
            unnormalised attention over items, [head, instruction, item].
        """
        features = self._features(features)
        known = cards.weights * cards.residuals
        results = [
            self._head(prefix, features, cards, known, key)
            for prefix, key in zip(self._prefixes, self._keys, strict=True)
        ]
        base, attended, unnormalised_attention = (np.stack(parts) for parts in zip(*results, strict=True))
        return base, attended, unnormalised_attention

    def _features(self, features: FloatArray) -> FloatArray:
        pooled, text = features[:, : self._pooled], features[:, self._pooled :]
        mean, variance = pooled.mean(1, keepdims=True), pooled.var(1, keepdims=True)
        normed = (pooled - mean) / np.sqrt(variance + _NORM_EPSILON)
        scaled = normed * self._tensors["norm.weight"] + self._tensors["norm.bias"]
        return np.concatenate([scaled, self._centred(text)], axis=1)

    def _head(
        self, prefix: str, features: FloatArray, cards: CardBatch, known: FloatArray, key: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        state = _gelu(self._linear(f"{prefix}body.1", features))
        gain = self._tensors[f"{prefix}level_weight"] + self._linear(f"{prefix}gain", state)
        base = self._linear(f"{prefix}difficulty", state) + gain * cards.levels[None]
        query = _unit(self._linear(f"{prefix}query", state))
        match = query @ key * np.exp(self._tensors[f"{prefix}log_sharpness"])
        unnormalised_attention = np.exp(match - match.max(1, keepdims=True))
        attended = (unnormalised_attention @ known.T) / np.maximum(
            unnormalised_attention @ cards.weights.T, np.float32(1e-9)
        )
        return base, self._tensors[f"{prefix}residual_weight"] * attended, unnormalised_attention

    def _linear(self, name: str, values: FloatArray) -> FloatArray:
        return np.asarray(values @ self._tensors[f"{name}.weight"].T + self._tensors[f"{name}.bias"])

    def _centred(self, text: FloatArray) -> FloatArray:
        return np.asarray(np.float32(TEXT_SCALE) * (text - self._tensors["center"]))


def _gelu(values: FloatArray) -> FloatArray:
    spread = _erf(values * np.float32(2**-0.5)).astype(np.float32)
    return np.asarray(values * np.float32(0.5) * (1 + spread))


def _unit(vectors: FloatArray) -> FloatArray:
    length = np.sqrt((vectors * vectors).sum(-1, keepdims=True))
    return np.asarray(vectors / np.maximum(length, np.float32(1e-12)))


def _shapes(config: NetworkConfig, *, pooled: int, text: int) -> dict[str, tuple[int, ...]]:
    """Shapes of all tensors but the items' embeddings."""
    hidden, query = config.attention.hidden, config.attention.query
    linear = {
        "body.1": (hidden, pooled + text),
        "difficulty": (1, hidden),
        "gain": (1, hidden),
        "query": (query, hidden),
        "key": (query, text),
    }
    shapes: dict[str, tuple[int, ...]] = {
        "norm.weight": (pooled,),
        "norm.bias": (pooled,),
        "center": (text,),
    }
    for head in range(config.attention.heads):
        prefix = f"attention.heads.{head}."
        for name, shape in linear.items():
            shapes |= {f"{prefix}{name}.weight": shape, f"{prefix}{name}.bias": shape[:1]}
        shapes |= {f"{prefix}{name}": () for name in ("level_weight", "residual_weight", "log_sharpness")}
    return shapes


def _check(tensors: Mapping[str, FloatArray], shapes: Mapping[str, tuple[int, ...]]) -> None:
    unknown = sorted(set(tensors) - set(shapes) - {"item_embeddings"})
    if unknown:
        raise CheckpointError(f"tensor 'head.{unknown[0]}' is unknown.")
    for name, shape in shapes.items():
        if name not in tensors:
            raise CheckpointError(f"tensor 'head.{name}' is missing.")
        if tensors[name].shape != shape:
            raise CheckpointError(
                f"tensor 'head.{name}' is {list(tensors[name].shape)}; expected {list(shape)}."
            )
