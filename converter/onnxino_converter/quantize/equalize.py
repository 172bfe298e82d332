"""Cross-layer equalization: moves scale between a layer and the next one, channel by channel.

A Relu passes a positive factor on, so that a channel's weights can be divided by s and the next layer's multiplied by s
without changing what the network computes. s makes both layers' greatest weights of the channel equal (Nagel et al.,
Data-Free Quantization Through Weight Equalization and Bias Correction, 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from onnxino_converter.quantize.graph import Array, FloatGraph, attribute

if TYPE_CHECKING:
    from onnx import NodeProto

SWEEPS = 20
ENOUGH = 1e-3  # a sweep that changes no channel by more is the last
LIMIT = 1e4  # a channel so much weaker than the strongest is dead, and its factor would be noise
# f(s * x) = s * f(x) for s > 0, each channel by itself
_HOMOGENEOUS = {"Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "PRelu"}
_FLATTENING = {"Flatten", "Reshape", "Squeeze"}


def equalize_channels(graph: FloatGraph) -> None:
    """Equalizes every pair of layers with nothing but homogeneous operators between them."""
    layers = {node.output[0]: _Layer.read(graph, node) for node in graph.nodes if _is_layer(graph, node)}
    pairs: list[tuple[_Layer, _Layer]] = []
    for first in layers.values():
        second = _next_layer(graph, first, layers)
        if second is not None:
            pairs.append((first, second))
    for _ in range(SWEEPS):
        if max((_equalize(first, second) for first, second in pairs), default=0.0) < ENOUGH:
            break
    for layer in {id(layer): layer for pair in pairs for layer in pair}.values():
        layer.write(graph)


def _is_layer(graph: FloatGraph, node: NodeProto) -> bool:
    if node.op_type not in ("Conv", "Gemm") or graph.constant(node, 1) is None:
        return False
    bias = len(node.input) > 2 and node.input[2]
    return not attribute(node, "transA", 0) and (not bias or node.input[2] in graph.constants)


def _next_layer(graph: FloatGraph, layer: _Layer, layers: dict[str, _Layer]) -> _Layer | None:
    """The layer that alone reads what this one computes, by way of homogeneous operators."""
    name = layer.node.output[0]
    while True:
        user = graph.only_user(name)
        if user is None or user.input[0] != name:
            return None
        name = user.output[0]
        if name in layers:
            return layers[name] if layers[name].inputs == layer.outputs else None
        flat = user.op_type in _FLATTENING and graph.shapes.get(name, [])[1:] == [layer.outputs]
        if user.op_type not in _HOMOGENEOUS and not flat:
            return None


@dataclass
class _Layer:
    """Weights as float64 [groups, outputs, inputs, taps], and the bias, while they are being changed."""

    node: NodeProto
    weights: Array
    bias: Array | None

    @classmethod
    def read(cls, graph: FloatGraph, node: NodeProto) -> _Layer:
        weights, bias = graph.constants[node.input[1]].astype(np.float64), graph.constant(node, 2)
        group = attribute(node, "group", 1)
        if node.op_type == "Gemm" and not attribute(node, "transB", 0):
            weights = weights.T
        shaped = weights.reshape(group, len(weights) // group, weights.shape[1], -1)
        return cls(node, shaped, None if bias is None else bias.astype(np.float64))

    def write(self, graph: FloatGraph) -> None:
        """Constants of its own: the old ones may be shared."""
        shape = graph.constants[self.node.input[1]].shape
        turned = self.node.op_type == "Gemm" and not attribute(self.node, "transB", 0)
        weights = self.weights.reshape(shape[::-1]).T if turned else self.weights.reshape(shape)
        inputs = [self.node.input[0], graph.add_constant(f"{self.node.input[1]}_equalized", weights.astype(np.float32))]
        if self.bias is not None:
            inputs.append(graph.add_constant(f"{self.node.input[2]}_equalized", self.bias.astype(np.float32)))
        del self.node.input[:]
        self.node.input.extend(inputs)

    @property
    def outputs(self) -> int:
        return self.weights.shape[0] * self.weights.shape[1]

    @property
    def inputs(self) -> int:
        return self.weights.shape[0] * self.weights.shape[2]

    def divide_outputs(self, factor: Array) -> None:
        self.weights /= factor.reshape(len(self.weights), -1, 1, 1)
        if self.bias is not None:
            self.bias /= factor

    def multiply_inputs(self, factor: Array) -> None:
        self.weights *= factor.reshape(len(self.weights), 1, -1, 1)


def _equalize(first: _Layer, second: _Layer) -> float:
    """One pair; returns how far the factors are from 1."""
    r1 = np.abs(first.weights).max(axis=(2, 3)).reshape(-1)
    r2 = np.abs(second.weights).max(axis=(1, 3)).reshape(-1)
    usable = (r1 > r1.max() / LIMIT) & (r2 > r2.max() / LIMIT)
    factor = np.where(usable, np.sqrt(r1 / np.where(usable, r2, 1.0)), 1.0)
    first.divide_outputs(factor)
    second.multiply_inputs(factor)
    return float(np.abs(factor - 1).max())
