"""Writes the QDQ graph: QuantizeLinear and DequantizeLinear around every operator, weights and biases as integers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnxino_converter.quantize.graph import Array, FloatGraph
from onnxino_converter.quantize.operators import WEIGHTED, weight_axis
from onnxino_converter.quantize.parameters import (
    Parameters,
    bias_steps,
    broadcast,
    for_range,
    quantize_weights,
    room_for_bias,
    weight_scales,
)
from onnxino_converter.quantize.ranges import constant_operands
from onnxino_converter.quantize.settings import Settings

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


@dataclass(frozen=True)
class WeightCodes:
    """Weights and bias of one node as integers. `scale` has one element for each index of `axis`, or none."""

    weights: NDArray[np.int8]
    scale: NDArray[np.float32]
    axis: int | None
    bias: NDArray[np.int32] | None
    bias_scale: NDArray[np.float32]

    @property
    def real_weights(self) -> Array:
        return self.weights.astype(np.float32) * broadcast(self.scale, self.weights.ndim, self.axis)

    @property
    def real_bias(self) -> Array | None:
        return None if self.bias is None else self.bias.astype(np.float32) * self.bias_scale


def encode_weights(
    graph: FloatGraph, node: NodeProto, parameters: dict[str, Parameters], settings: Settings
) -> WeightCodes | None:
    """The integers of a Conv, Gemm or MatMul with constant weights; None for other nodes."""
    weights = graph.constant(node, 1) if node.op_type in WEIGHTED else None
    if weights is None or node.input[0] not in parameters:
        return None
    x = parameters[node.input[0]].scale
    axis = weight_axis(graph, node) if settings.per_channel else None
    scale = weight_scales(weights, axis)
    bias = graph.constant(node, 2)
    steps = None
    if bias is not None:
        scale = room_for_bias(scale, bias, x)
        steps = bias_steps(bias, x, scale)
    return WeightCodes(quantize_weights(weights, scale, axis), scale, axis, steps, np.asarray(x * scale, np.float32))


@dataclass
class Writer:
    """The QDQ graph under construction."""

    graph: FloatGraph
    parameters: dict[str, Parameters]
    settings: Settings
    nodes: list[NodeProto] = field(default_factory=list["NodeProto"])
    dequantized: dict[str, str] = field(default_factory=dict[str, str])

    def write(self) -> ModelProto:
        graph = self.graph
        for name in graph.inputs:
            if name in self.parameters:
                self._quantize(name, name)
        for node in graph.nodes:
            self._operator(node)
        graph.nodes = self.nodes
        return graph.write()

    def _operator(self, node: NodeProto) -> None:
        codes = encode_weights(self.graph, node, self.parameters, self.settings)
        constants = constant_operands(self.graph, node)
        inputs = [self.dequantized.get(name, name) for name in node.input]
        for k in constants:
            inputs[k] = self._constant_activation(node.input[k])
        if codes is not None:
            inputs[1] = self._constant(node.input[1], codes.weights, codes.scale, codes.axis)
            if codes.bias is not None:
                axis = 0 if codes.bias_scale.ndim else None
                inputs[2] = self._constant(node.input[2], codes.bias, codes.bias_scale, axis)
        del node.input[:]
        node.input.extend(inputs)
        self.nodes.append(node)
        for k, name in enumerate(node.output):
            if name in self.parameters:
                raw = self.graph.name(f"{name}_float") if name in self.graph.outputs else name
                node.output[k] = raw
                self._quantize(name, raw)

    def _quantize(self, name: str, raw: str) -> None:
        """raw -> QuantizeLinear -> DequantizeLinear; a graph output keeps its name at the end."""
        p = self.parameters[name]
        quantized = self.graph.name(f"{name}_quantized")
        back = name if raw != name else self.graph.name(f"{name}_dequantized")
        self._node("QuantizeLinear", [raw, *self._scale(name, p.scale, np.asarray(p.zero_point, p.dtype))], quantized)
        self._node(
            "DequantizeLinear", [quantized, *self._scale(name, p.scale, np.asarray(p.zero_point, p.dtype))], back
        )
        self.dequantized[name] = back

    def _scale(self, name: str, scale: Array | np.float32, zero_point: Array) -> list[str]:
        """Fresh constants each time: ONNX Runtime 1.31 fails on shared ones with session.x64quantprecision."""
        add = self.graph.add_constant
        return [add(f"{name}_scale", np.asarray(scale, np.float32)), add(f"{name}_zero_point", zero_point)]

    def _constant_activation(self, name: str) -> str:
        array = self.graph.constants[name]
        p = for_range(float(array.min(initial=0.0)), float(array.max(initial=0.0)), self.settings.unsigned)
        codes, zero = p.quantize(array), np.asarray(p.zero_point, p.dtype)
        stored = self.graph.add_constant(f"{name}_quantized", codes)
        result = self.graph.name(f"{name}_dequantized")
        self._node("DequantizeLinear", [stored, *self._scale(name, p.scale, zero)], result)
        return result

    def _constant(self, name: str, codes: Array, scale: Array, axis: int | None) -> str:
        """Symmetric integers behind a DequantizeLinear."""
        stored = self.graph.add_constant(f"{name}_quantized", codes)
        result = self.graph.name(f"{name}_dequantized")
        inputs = [stored, *self._scale(name, scale, np.zeros(scale.shape, codes.dtype))]
        self._node("DequantizeLinear", inputs, result, axis)
        return result

    def _node(self, kind: str, inputs: list[str], output: str, axis: int | None = None) -> None:
        from onnx import helper

        attributes: dict[str, Any] = {} if axis is None else {"axis": axis}
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{output}_{kind}", **attributes))
