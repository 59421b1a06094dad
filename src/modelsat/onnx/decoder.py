"""The backbone as a graph: a Llama-type decoder cut after some layers, read out as pooled states."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from onnx import ModelProto

from modelsat.onnx.graph import Graph
from modelsat.onnx.sizes import DecoderSizes, Precision
from modelsat.types import FloatArray


def decoder_graph(
    sizes: DecoderSizes, *, layers: int, weights: Mapping[str, FloatArray], precision: Precision
) -> ModelProto:
    """Write the graph.

    Inputs: `ids` [batch, position]; `cos` and `sin` [position, half a head] of the rotary embedding; `mask`
    [position, position], added to attention scores; `pick` [batch, 2, position], how much each position counts in the
    two results. Output: [batch, 2 hidden], the picked states after the final norm.

    Args:
        sizes: Of the decoder.
        layers: Layers to run.
        weights: By transformers' names without "model.", adapters merged, matrices as [out, in].
        precision: Of linear maps.
    """
    graph = Graph(precision=precision)
    ids = graph.input("ids", "int64", ["batch", "position"])
    turns = (
        graph.input("cos", "float32", ["position", sizes.head_width // 2]),
        graph.input("sin", "float32", ["position", sizes.head_width // 2]),
    )
    mask = graph.input("mask", "float32", ["position", "position"])
    pick = graph.input("pick", "float32", ["batch", 2, "position"])
    states = graph.lookup(weights["embed_tokens.weight"], ids)
    for index in range(layers):
        part = partial(_named, weights, f"layers.{index}")
        normed = _norm(graph, states, part("input_layernorm"), sizes)
        states = graph.add("Add", states, _attention(graph, normed, part, sizes, turns, mask))
        normed = _norm(graph, states, part("post_attention_layernorm"), sizes)
        states = graph.add("Add", states, _gated(graph, normed, part))
    states = _norm(graph, states, weights["norm.weight"], sizes)
    picked = graph.add("Reshape", graph.add("MatMul", pick, states), graph.shape(0, -1))
    return graph.finish(picked, ["batch", 2 * sizes.hidden])


def _named(weights: Mapping[str, FloatArray], layer: str, name: str) -> FloatArray:
    return weights[f"{layer}.{name}.weight"]


def _norm(graph: Graph, states: str, weight: FloatArray, sizes: DecoderSizes) -> str:
    return graph.add("RMSNormalization", states, graph.constant(weight), axis=-1, epsilon=sizes.epsilon)


def _attention(
    graph: Graph,
    states: str,
    part: Callable[[str], FloatArray],
    sizes: DecoderSizes,
    turns: tuple[str, str],
    mask: str,
) -> str:
    q, k, v = (graph.linear(states, part(f"self_attn.{name}_proj")) for name in "qkv")
    query = _turn(graph, _heads(graph, q, sizes.heads, sizes), turns)
    key = _turn(graph, _heads(graph, k, sizes.key_heads, sizes), turns)
    value = _heads(graph, v, sizes.key_heads, sizes)
    # Query heads that share a key head stand side by side: [batch, key head, sharing, position, width].
    shared = sizes.heads // sizes.key_heads
    query = graph.add("Reshape", query, graph.shape(0, sizes.key_heads, shared, -1, sizes.head_width))
    axis = graph.constant(np.array([2], dtype=np.int64))
    key = graph.add("Unsqueeze", graph.add("Transpose", key, perm=[0, 1, 3, 2]), axis)
    value = graph.add("Unsqueeze", value, axis)
    scale = graph.constant(np.array(sizes.head_width**-0.5, dtype=np.float32))
    scores = graph.add("MatMul", graph.add("Mul", query, scale), key)
    attention = graph.add("Softmax", graph.add("Add", scores, mask), axis=-1)
    mixed = graph.add("MatMul", attention, value)
    mixed = graph.add("Reshape", mixed, graph.shape(0, sizes.heads, -1, sizes.head_width))
    mixed = graph.add("Transpose", mixed, perm=[0, 2, 1, 3])
    mixed = graph.add("Reshape", mixed, graph.shape(0, 0, sizes.hidden))
    return graph.linear(mixed, part("self_attn.o_proj"))


def _heads(graph: Graph, states: str, heads: int, sizes: DecoderSizes) -> str:
    """[batch, position, heads x width] -> [batch, head, position, width]."""
    apart = graph.add("Reshape", states, graph.shape(0, 0, heads, sizes.head_width))
    return graph.add("Transpose", apart, perm=[0, 2, 1, 3])


def _turn(graph: Graph, states: str, turns: tuple[str, str]) -> str:
    """Rotary embedding: partners stand half a head apart."""
    cos, sin = turns
    first, second = graph.split("Split", states, outputs=2, axis=-1, num_outputs=2)
    left = graph.add("Sub", graph.add("Mul", first, cos), graph.add("Mul", second, sin))
    right = graph.add("Add", graph.add("Mul", second, cos), graph.add("Mul", first, sin))
    return graph.add("Concat", left, right, axis=-1)


def _gated(graph: Graph, states: str, part: Callable[[str], FloatArray]) -> str:
    gate, up = (graph.linear(states, part(f"mlp.{name}_proj")) for name in ("gate", "up"))
    active = graph.add("Mul", graph.add("Mul", gate, graph.add("Sigmoid", gate)), up)
    return graph.linear(active, part("mlp.down_proj"))
