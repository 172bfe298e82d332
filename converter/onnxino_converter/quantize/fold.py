"""Folds per-channel scales and shifts (BatchNormalization, Mul, Add, ...) into the weights before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxino_converter.quantize.graph import Array, FloatGraph, attribute

if TYPE_CHECKING:
    from onnx import NodeProto

Affine = tuple[Array, Array]  # y = x * scale + shift, float64 [C] each


def fold_batch_norm(graph: FloatGraph) -> None:
    """Conv or Gemm and what scales and shifts its channels become one; a BatchNormalization alone a 1x1 Conv."""
    while _fold_one(graph):
        pass
    for index, node in enumerate(graph.nodes):
        if node.op_type == "BatchNormalization":
            graph.nodes[index] = _depthwise(graph, node)
    graph.remove_unused()


def _fold_one(graph: FloatGraph) -> bool:
    producers = graph.producers()
    for node in graph.nodes:
        for name in node.input[:2]:
            before = producers.get(name)
            if before is None or before.op_type not in ("Conv", "Gemm") or graph.only_user(name) is not node:
                continue
            weights = graph.constant(before, 1)
            if weights is None or (
                len(before.input) > 2 and before.input[2] and before.input[2] not in graph.constants
            ):
                continue
            axis = 0 if before.op_type == "Conv" or attribute(before, "transB", 0) else 1
            affine = _affine(graph, node, name, weights.shape[axis], weights.ndim)
            if affine is not None:
                _merge(graph, before, axis, affine)
                before.output[0] = node.output[0]
                graph.remove([node])
                return True
    return False


def _affine(graph: FloatGraph, node: NodeProto, x: str, channels: int, rank: int) -> Affine | None:
    """What a node does to the channels (axis 1) of its input x of this rank, where that is all it does."""
    ones, zeros = np.ones(channels), np.zeros(channels)
    if node.op_type == "BatchNormalization":
        return _normalization(graph, node)
    if node.op_type not in ("Mul", "Add", "Sub", "Div"):
        return None
    first = node.input[0] == x
    constant = graph.constant(node, 1 if first else 0)
    values = None if constant is None else _per_channel(constant, channels, rank)
    if values is None or (node.op_type == "Div" and not first):
        return None
    if node.op_type == "Add":
        return ones, values
    if node.op_type == "Sub":
        return (ones, -values) if first else (-ones, values)
    return (values if node.op_type == "Mul" else 1.0 / values), zeros


def _per_channel(constant: Array, channels: int, rank: int) -> Array | None:
    """A constant that differs at most along axis 1 of a tensor of this rank, as float64 [channels]."""
    if constant.ndim > rank:
        return None
    shape = [1] * (rank - constant.ndim) + list(constant.shape)
    if any(n != 1 for k, n in enumerate(shape) if k != 1) or shape[1] not in (1, channels):
        return None
    return np.broadcast_to(constant.reshape(-1).astype(np.float64), (channels,))


def _normalization(graph: FloatGraph, node: NodeProto) -> Affine | None:
    found = [graph.constant(node, k) for k in range(1, 5)]
    gamma, beta, mean, variance = (None if c is None else c.astype(np.float64) for c in found)
    if gamma is None or beta is None or mean is None or variance is None:
        return None
    scale = gamma / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
    return scale, beta - mean * scale


def _merge(graph: FloatGraph, node: NodeProto, axis: int, affine: Affine) -> None:
    scale, shift = affine
    weights, bias = graph.constants[node.input[1]], graph.constant(node, 2)
    shape = [-1 if k == axis else 1 for k in range(weights.ndim)]
    merged = weights.astype(np.float64) * scale.reshape(shape)
    moved = shift if bias is None else bias.astype(np.float64) * scale + shift
    stem = node.name or node.output[0]
    inputs = [
        node.input[0],
        graph.add_constant(f"{stem}_weights", merged.astype(np.float32)),
        graph.add_constant(f"{stem}_bias", np.asarray(moved, np.float32)),
    ]
    del node.input[:]
    node.input.extend(inputs)


def _depthwise(graph: FloatGraph, node: NodeProto) -> NodeProto:
    """The normalization as a convolution of its own; unchanged where its input has no spatial axes."""
    from onnx import helper

    affine, rank = _normalization(graph, node), graph.rank(node.input[0])
    if affine is None or rank is None or rank < 3:
        return node
    scale, shift = (a.astype(np.float32) for a in affine)
    weights = graph.add_constant(f"{node.output[0]}_weights", scale.reshape(-1, *[1] * (rank - 1)))
    bias = graph.add_constant(f"{node.output[0]}_bias", shift)
    inputs = [node.input[0], weights, bias]
    return helper.make_node("Conv", inputs, [node.output[0]], name=node.name, group=len(scale))
