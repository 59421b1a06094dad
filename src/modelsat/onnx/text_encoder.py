"""The text encoder as a graph: a BERT-type encoder, whole as unit vectors, or its first layers as a student."""

from collections.abc import Mapping

import numpy as np
from onnx import ModelProto

from modelsat.onnx.graph import Graph
from modelsat.onnx.sizes import EncoderSizes, Precision
from modelsat.types import FloatArray


def sentence_graph(
    sizes: EncoderSizes, weights: Mapping[str, FloatArray], *, precision: Precision
) -> ModelProto:
    """Write the graph of the whole encoder.

    Inputs: `ids` [batch, position]; `mask` [batch, 1, 1, position], added to attention scores; `pick` [batch, 1,
    position], how much each position counts in the result. Output: [batch, hidden], rows of length 1.

    Args:
        sizes: Of the encoder.
        weights: By transformers' names with "layers." for "encoder.layer.", matrices as [out, in].
        precision: Of linear maps.
    """
    graph = Graph(precision=precision)
    states = _encoder_states(graph, sizes, weights)
    pick = graph.input("pick", "float32", ["batch", 1, "position"])
    pooled = graph.add("Reshape", graph.add("MatMul", pick, states), graph.shape(0, sizes.hidden))
    return graph.finish(graph.add("LpNormalization", pooled, axis=-1, p=2), ["batch", sizes.hidden])


def student_graph(
    sizes: EncoderSizes,
    weights: Mapping[str, FloatArray],
    embedding_projection: tuple[FloatArray, FloatArray],
    *,
    precision: Precision,
) -> ModelProto:
    """Write the graph of a student: inputs as of `sentence_graph`, with two picks for mean and last state.

    Output: [batch, pooled + text], pooled states and then the projected sentence embedding.

    Args:
        sizes: Of the encoder, cut to the student's depth.
        weights: As of `sentence_graph`, adapters merged.
        embedding_projection: Weight [text, pooled] and bias [text].
        precision: Of linear maps within layers.
    """
    graph = Graph(precision=precision)
    states = _encoder_states(graph, sizes, weights)
    pick = graph.input("pick", "float32", ["batch", 2, "position"])
    pooled = graph.add("Reshape", graph.add("MatMul", pick, states), graph.shape(0, 2 * sizes.hidden))
    weight, bias = embedding_projection
    projected = graph.add("Add", graph.add("MatMul", pooled, graph.constant(weight.T)), graph.constant(bias))
    projected = graph.add("LpNormalization", projected, axis=-1, p=2)
    return graph.finish(
        graph.add("Concat", pooled, projected, axis=-1), ["batch", 2 * sizes.hidden + np.shape(weight)[0]]
    )


def _encoder_states(graph: Graph, sizes: EncoderSizes, weights: Mapping[str, FloatArray]) -> str:
    """Declare the inputs `ids` and `mask`, and run all layers: [batch, position, hidden]."""
    ids = graph.input("ids", "int64", ["batch", "position"])
    mask = graph.input("mask", "float32", ["batch", 1, 1, "position"])
    words = graph.lookup(weights["embeddings.word_embeddings.weight"], ids)
    # A text is one segment, so that the segment's vector can stand in the table of positions.
    places = (
        weights["embeddings.position_embeddings.weight"]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    length = graph.add("Shape", ids, start=1, end=2)
    zero, axis = (graph.constant(np.array([0], dtype=np.int64)) for _ in range(2))
    place = graph.add("Slice", graph.constant(places), zero, length, axis)
    states = _norm(graph, graph.add("Add", words, place), weights, "embeddings.LayerNorm", sizes)
    for index in range(sizes.layers):
        states = _layer(graph, states, mask, weights, f"layers.{index}", sizes)
    return states


def _layer(
    graph: Graph, states: str, mask: str, weights: Mapping[str, FloatArray], name: str, sizes: EncoderSizes
) -> str:
    width = sizes.hidden // sizes.heads
    parts = [
        _linear(graph, states, weights, f"{name}.attention.self.{part}") for part in ("query", "key", "value")
    ]
    query, key, value = (
        graph.add(
            "Transpose", graph.add("Reshape", part, graph.shape(0, 0, sizes.heads, width)), perm=[0, 2, 1, 3]
        )
        for part in parts
    )
    scale = graph.constant(np.array(width**-0.5, dtype=np.float32))
    scores = graph.add(
        "MatMul", graph.add("Mul", query, scale), graph.add("Transpose", key, perm=[0, 1, 3, 2])
    )
    attention = graph.add("Softmax", graph.add("Add", scores, mask), axis=-1)
    mixed = graph.add("Transpose", graph.add("MatMul", attention, value), perm=[0, 2, 1, 3])
    mixed = _linear(
        graph,
        graph.add("Reshape", mixed, graph.shape(0, 0, sizes.hidden)),
        weights,
        f"{name}.attention.output.dense",
    )
    states = _norm(
        graph, graph.add("Add", states, mixed), weights, f"{name}.attention.output.LayerNorm", sizes
    )
    inner = graph.add("Gelu", _linear(graph, states, weights, f"{name}.intermediate.dense"))
    outer = _linear(graph, inner, weights, f"{name}.output.dense")
    return _norm(graph, graph.add("Add", states, outer), weights, f"{name}.output.LayerNorm", sizes)


def _linear(graph: Graph, states: str, weights: Mapping[str, FloatArray], name: str) -> str:
    return graph.linear(states, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _norm(
    graph: Graph, states: str, weights: Mapping[str, FloatArray], name: str, sizes: EncoderSizes
) -> str:
    weight, bias = graph.constant(weights[f"{name}.weight"]), graph.constant(weights[f"{name}.bias"])
    return graph.add("LayerNormalization", states, weight, bias, axis=-1, epsilon=sizes.epsilon)
