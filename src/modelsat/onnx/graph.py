"""Writing an ONNX graph node by node: the few operations that an encoder or a decoder needs.

Linear maps are written in the precision that was asked for; everything else stays in fp32.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from modelsat.onnx.sizes import Precision
from modelsat.types import FloatArray

_OPSET = 23
_IR_VERSION = 10
# What stands for nothing where one divides by the largest entry.
_LEAST = 1e-12
# States between -1 and 1 as unsigned 8 bits around the middle.
_STEP, _MIDDLE = np.float32(1 / 127), np.uint8(128)
_TYPES = {"int64": TensorProto.INT64, "float32": TensorProto.FLOAT}


class Graph:
    """A graph under construction; every method adds nodes and returns the name of their result.

    Args:
        precision: Of linear maps. "int8": weights in 8 bits per output channel, inputs in 8 bits per position. Without
            VNNI, sums of signed products can overflow: `modelsat.onnx.session.best_precision` knows.
    """

    def __init__(self, *, precision: Precision) -> None:
        self.precision = precision
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._in_8: dict[str, tuple[str, str]] = {}

    def input(self, name: str, kind: str, shape: Sequence[str | int]) -> str:
        """Declare an input; named dimensions are free."""
        self._inputs.append(helper.make_tensor_value_info(name, _TYPES[kind], list(shape)))
        return name

    def constant(self, value: NDArray[Any] | np.generic) -> str:
        """Store an array in the graph."""
        name = f"c{len(self._constants)}"
        # Not ascontiguousarray: it makes a scalar a vector.
        self._constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def shape(self, *sizes: int) -> str:
        """A shape for `Reshape`; 0 keeps a dimension, -1 infers it."""
        return self.constant(np.array(sizes, dtype=np.int64))

    def add(self, op: str, *inputs: str, domain: str = "", **attributes: Any) -> str:  # noqa: ANN401 - what onnx takes
        """Add a node with one output."""
        return self.split(op, *inputs, outputs=1, domain=domain, **attributes)[0]

    def split(self, op: str, *inputs: str, outputs: int, domain: str = "", **attributes: Any) -> list[str]:  # noqa: ANN401
        """Add a node with several outputs."""
        names = [f"n{len(self._nodes)}_{at}" for at in range(outputs)]
        self._nodes.append(helper.make_node(op, list(inputs), names, domain=domain, **attributes))
        return names

    def linear(self, states: str, weight: FloatArray, bias: FloatArray | None = None) -> str:
        """States @ weight.T + bias.

        Args:
            states: [..., in].
            weight: [out, in].
            bias: [out].
        """
        multiply = self._in_8_bits if self.precision == "int8" else self._in_full
        product = multiply(states, weight)
        return product if bias is None else self.add("Add", product, self.constant(bias))

    def _in_full(self, states: str, weight: FloatArray) -> str:
        return self.add("MatMul", states, self.constant(weight.T))

    def _in_8_bits(self, states: str, weight: FloatArray) -> str:
        inputs, largest = self._rounded(states)
        values, scales = quantise(weight)
        zeros = self.constant(np.zeros(len(weight), dtype=np.int8))
        product = self.add(
            "MatMulIntegerToFloat",
            *(inputs, self.constant(values.T), self.constant(_STEP), self.constant(scales)),
            *(self.constant(_MIDDLE), zeros),
            domain="com.microsoft",
        )
        return self.add("Mul", product, largest)

    def _rounded(self, states: str) -> tuple[str, str]:
        """States in 8 bits, and what to multiply results by; once, however many maps read them.

        Every position is rounded by its own largest entry: one scale for all would mix the batch.
        """
        if states not in self._in_8:
            last = self.constant(np.array([-1], dtype=np.int64))
            largest = self.add("ReduceMax", self.add("Abs", states), last, keepdims=1)
            largest = self.add("Max", largest, self.constant(np.float32(_LEAST)))
            unit = self.add("Div", states, largest)
            rounded = self.add("QuantizeLinear", unit, self.constant(_STEP), self.constant(_MIDDLE))
            self._in_8[states] = rounded, largest
        return self._in_8[states]

    def lookup(self, table: FloatArray, ids: str) -> str:
        """Rows of a table, kept in fp16."""
        rows = self.add("Gather", self.constant(table.astype(np.float16)), ids)
        return self.add("Cast", rows, to=TensorProto.FLOAT)

    def finish(self, output: str, shape: Sequence[str | int]) -> ModelProto:
        """The model, with one fp32 output."""
        self._nodes.append(helper.make_node("Identity", [output], ["output"]))
        graph = helper.make_graph(
            self._nodes,
            "modelsat",
            self._inputs,
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, list(shape))],
            self._constants,
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)


def quantise(weight: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """8 bits per output channel, symmetric.

    Args:
        weight: [out, in].

    Returns:
        Values [out, in] and scales [out].
    """
    scales = np.maximum(np.abs(weight).max(1), _LEAST).astype(np.float32) / np.float32(127)
    return np.round(weight / scales[:, None]).astype(np.int8), scales
