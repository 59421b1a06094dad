"""A student as a graph: the first layers of the sentence encoder with adapters merged, and what it says of a text."""

from collections.abc import Mapping

import numpy as np
from onnx import ModelProto

from modelsat.onnx.graph import Graph
from modelsat.onnx.sentence import EncoderSizes, encoder_states
from modelsat.onnx.sizes import Precision
from modelsat.types import FloatArray


def build_student(
    sizes: EncoderSizes,
    weights: Mapping[str, FloatArray],
    embedding_projection: tuple[FloatArray, FloatArray],
    *,
    precision: Precision,
) -> ModelProto:
    """Write the graph.

    Inputs: `ids` [batch, position]; `mask` [batch, 1, 1, position], added to attention scores; `pick` [batch, 2,
    position], how much each position counts in mean and last state. Output: [batch, pooled + text], pooled states and
    then the imitated sentence embedding.

    Args:
        sizes: Of the encoder, cut to the student's depth.
        weights: By transformers' names, matrices as [out, in].
        embedding_projection: Weight [text, pooled] and bias [text].
        precision: Of linear maps within layers.
    """
    graph = Graph(precision=precision)
    states = encoder_states(graph, sizes, weights)
    pick = graph.input("pick", "float32", ["batch", 2, "position"])
    pooled = graph.add("Reshape", graph.add("MatMul", pick, states), graph.shape(0, 2 * sizes.hidden))
    weight, bias = embedding_projection
    said = graph.add("Add", graph.add("MatMul", pooled, graph.constant(weight.T)), graph.constant(bias))
    said = graph.add("LpNormalization", said, axis=-1, p=2)
    return graph.finish(
        graph.add("Concat", pooled, said, axis=-1), ["batch", 2 * sizes.hidden + np.shape(weight)[0]]
    )
