"""The tuned exam attention in numpy: what `modelsat.network.attention` computes, for engines with torch or without.

Equations and names are those of that module; a test holds the two together.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modelsat.errors import CheckpointError
from modelsat.scoring.config import TEXT_SCALE, NetworkConfig
from modelsat.scoring.numeric_encoder import CardBatch
from modelsat.types import FloatArray

_NORM_EPSILON = np.float32(1e-5)
# A few hundred values an instruction: not worth the third of a second that importing scipy takes.
_erf = np.frompyfunc(math.erf, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Queries:
    """Instructions as the head sees them, whoever the candidates are.

    Attributes:
        difficulty: [head, instruction, 1] logit of a candidate of average level.
        gain: [head, instruction, 1] logits that a unit of level adds.
        query: [head, instruction, query] what is held against the keys of items.
        text: [instruction, text] sentence embeddings, unit vectors.
        nearest: [instruction] cosine of the closest item of the exam.
    """

    difficulty: FloatArray
    gain: FloatArray
    query: FloatArray
    text: FloatArray
    nearest: FloatArray

    def row(self, at: int) -> "Queries":
        """One instruction alone, without holding on to the others."""
        return Queries(
            difficulty=self.difficulty[:, [at]],
            gain=self.gain[:, [at]],
            query=self.query[:, [at]],
            text=self.text[[at]],
            nearest=self.nearest[[at]],
        )


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
        # [head, query, item] unit vectors, ready to multiply.
        self._keys = np.stack([_unit(self._linear(f"{prefix}key", items)).T for prefix in self._prefixes])
        weights = [tensors[f"{prefix}residual_weight"] for prefix in self._prefixes]
        self._residual_weights = np.array(weights, dtype=np.float32)[:, None, None]

    def __call__(self, features: FloatArray, cards: CardBatch) -> tuple[FloatArray, FloatArray]:
        """Score candidates on encoded instructions; see `score`.

        Args:
            features: [instruction, pooled + text].
            cards: The candidates, in the exam that the head was tuned with.
        """
        return self.score(self.queries(features), cards)

    def queries(self, features: FloatArray) -> Queries:
        """All that scores depend on besides the cards.

        Args:
            features: [instruction, pooled + text].
        """
        text = features[:, self._pooled :]
        joined = self._features(features)
        states = [(prefix, _gelu(self._linear(f"{prefix}body.1", joined))) for prefix in self._prefixes]
        return Queries(
            difficulty=np.stack([self._linear(f"{prefix}difficulty", state) for prefix, state in states]),
            gain=np.stack(
                [
                    self._tensors[f"{prefix}level_weight"] + self._linear(f"{prefix}gain", state)
                    for prefix, state in states
                ]
            ),
            query=np.stack(
                [
                    _unit(self._linear(f"{prefix}query", state))
                    * np.exp(self._tensors[f"{prefix}log_sharpness"])
                    for prefix, state in states
                ]
            ),
            text=text,
            nearest=(text @ self.item_embeddings.T).max(1),
        )

    def score(self, queries: Queries, cards: CardBatch) -> tuple[FloatArray, FloatArray]:
        """Score candidates.

        Returns:
            Logits without residuals, and what residuals add; both [head, instruction, candidate].
        """
        attention = self._attention(queries)
        attended = attention @ (cards.weights * cards.residuals).T / _attended_in_all(attention, cards)
        base: FloatArray = queries.difficulty + queries.gain * cards.levels
        return base, np.asarray(self._residual_weights * attended)

    def item_attention(self, query: Queries, cards: CardBatch) -> tuple[FloatArray, FloatArray]:
        """How much of its attention one instruction gives to each item, and what a unit of residual there adds.

        Args:
            query: Of one instruction.
            cards: The candidates.

        Returns:
            Both [candidate, item]. The first sums to 1 over the items; the second times the residuals sums to what
            residuals add to a score.
        """
        attention = self._attention(query)
        shares = attention * cards.weights / np.swapaxes(_attended_in_all(attention, cards), 1, 2)
        return shares.mean(0), (self._residual_weights * shares).mean(0)

    def _attention(self, queries: Queries) -> FloatArray:
        """[head, instruction, item], the highest of each row 1: what was sat decides how it is normalised."""
        match = queries.query @ self._keys
        return np.asarray(np.exp(match - match.max(2, keepdims=True)))

    def _features(self, features: FloatArray) -> FloatArray:
        pooled, text = features[:, : self._pooled], features[:, self._pooled :]
        mean, variance = pooled.mean(1, keepdims=True), pooled.var(1, keepdims=True)
        normed = (pooled - mean) / np.sqrt(variance + _NORM_EPSILON)
        scaled = normed * self._tensors["norm.weight"] + self._tensors["norm.bias"]
        return np.concatenate([scaled, self._centred(text)], axis=1)

    def _linear(self, name: str, values: FloatArray) -> FloatArray:
        return np.asarray(values @ self._tensors[f"{name}.weight"].T + self._tensors[f"{name}.bias"])

    def _centred(self, text: FloatArray) -> FloatArray:
        return np.asarray(np.float32(TEXT_SCALE) * (text - self._tensors["center"]))


def _attended_in_all(attention: FloatArray, cards: CardBatch) -> FloatArray:
    """[head, instruction, candidate]; attention to all that a candidate sat."""
    return np.asarray(np.maximum(attention @ cards.weights.T, np.float32(1e-9)))


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
