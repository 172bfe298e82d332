"""How channels pass nodes with weights: convolutions, matrix products, normalizations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxino_converter.prune.labels import Vector, fixed
from onnxino_converter.prune.trace import Handler, Kept, Trace, pass_on, refuse, set_attribute
from onnxino_converter.quantize.graph import attribute, describe

if TYPE_CHECKING:
    from onnx import NodeProto

_NO_CONSTANT = "its weights are computed while it runs"
_NO_BIAS = "its bias is computed while it runs"


def conv(state: Trace, node: NodeProto) -> None:
    """Weights [outputs, inputs / group, ...]."""
    weights, bias = state.constant(node, 1), _bias(state, node)
    channels = state.of(node.input[0])
    if weights is None or bias is False:
        return _give_up(state, node, _NO_CONSTANT if weights is None else _NO_BIAS)
    if channels is not None and channels.axis != 1:
        refuse(state, node, "convolves over that axis")
        channels = None
    group = int(attribute(node, "group", 1))
    inputs = fixed(weights.shape[1] * group) if channels is None else channels.labels
    outputs, per_group = weights.shape[0], weights.shape[0] // max(group, 1)
    if group > 1 and (weights.shape[1] == 1 or per_group == 1):
        labels = _whole_groups(state, node, inputs, weights.shape[1], per_group)
    else:
        labels = state.labels.new(outputs)
        if group > 1:
            _alike(state, inputs, group, node)
            _alike(state, labels, group, node)
        state.use(node, 1, 1, inputs[: weights.shape[1]], "input")
    state.use(node, 1, 0, labels, "weights")
    if bias is not None:
        state.use(node, 2, 0, labels, "bias")
    state.add_layer(node, 0, labels)
    state.set(node.output[0], 1, labels)


def _alike(state: Trace, labels: Vector, group: int, node: NodeProto) -> None:
    """Groups of a convolution must stay equally large: the k-th channel goes from each group or from none."""
    first, *others = labels.reshape(group, -1)
    for part in others:
        state.labels.unite(first, part, f"{describe(node)} needs groups of the same size")


def _whole_groups(state: Trace, node: NodeProto, inputs: Vector, per_input: int, per_output: int) -> Vector:
    """Depthwise, or one output for each group: a group goes as a whole. Returns the outputs' labels."""
    state.use(node, 1, 1, fixed(per_input), "input")
    reason = f"{describe(node)} filters channels that must stay"
    for part in inputs.reshape(-1, per_input):
        state.labels.unite_all(part, reason)

    def repair(kept: Kept) -> None:
        set_attribute(node, "group", int(np.count_nonzero(kept(inputs))) // per_input)

    state.repairs.append(repair)
    return np.repeat(inputs[::per_input], per_output)


def conv_transpose(state: Trace, node: NodeProto) -> None:
    """Weights [inputs, outputs / group, ...]."""
    weights, bias = state.constant(node, 1), _bias(state, node)
    channels = state.of(node.input[0])
    if weights is None or bias is False:
        return _give_up(state, node, _NO_CONSTANT if weights is None else _NO_BIAS)
    group = int(attribute(node, "group", 1))
    if group != 1 or (channels is not None and channels.axis != 1):
        return _give_up(state, node, f"transposed convolutions of {group} groups are not pruned")
    labels = state.labels.new(weights.shape[1])
    state.use(node, 1, 0, fixed(weights.shape[0]) if channels is None else channels.labels, "input")
    state.use(node, 1, 1, labels, "weights")
    if bias is not None:
        state.use(node, 2, 0, labels, "bias")
    state.add_layer(node, 1, labels)
    state.set(node.output[0], 1, labels)


def gemm(state: Trace, node: NodeProto) -> None:
    """x [rows, inputs] times weights [inputs, outputs], or [outputs, inputs] with transB."""
    weights, channels = state.constant(node, 1), state.of(node.input[0])
    if weights is None or weights.ndim != 2:
        return _give_up(state, node, _NO_CONSTANT)
    transposed = bool(attribute(node, "transB", 0))
    if attribute(node, "transA", 0) or (channels is not None and channels.axis != 1):
        return _give_up(state, node, "it multiplies over another axis than that of the channels")
    outputs, axis = weights.shape[0 if transposed else 1], 0 if transposed else 1
    labels = state.labels.new(outputs)
    state.use(node, 1, 1 - axis, fixed(weights.shape[1 - axis]) if channels is None else channels.labels, "input")
    state.use(node, 1, axis, labels, "weights")
    state.add_layer(node, axis, labels)
    state.set(node.output[0], 1, labels)
    if len(node.input) > 2 and node.input[2]:
        _gemm_bias(state, node, labels)


def _gemm_bias(state: Trace, node: NodeProto, labels: Vector) -> None:
    bias = state.constant(node, 2)
    if bias is None:
        state.labels.pin(labels, f"{describe(node)}: {_NO_BIAS}")
        state.pin(node.input[2], f"{describe(node)} adds it to a product")
    elif bias.ndim and bias.shape[-1] == len(labels):
        state.use(node, 2, bias.ndim - 1, labels, "bias")


def matmul(state: Trace, node: NodeProto) -> None:
    """x [..., inputs] times weights [inputs, outputs]."""
    weights, channels, rank = state.constant(node, 1), state.of(node.input[0]), state.rank(node.input[0])
    if weights is None or weights.ndim != 2 or node.input[0] in state.graph.constants:
        return _give_up(state, node, "it does not multiply by one constant matrix on its right")
    if rank is None or rank < 2 or (channels is not None and channels.axis != rank - 1):
        return _give_up(state, node, "it multiplies over another axis than that of the channels")
    labels = state.labels.new(weights.shape[1])
    state.use(node, 1, 0, fixed(weights.shape[0]) if channels is None else channels.labels, "input")
    state.use(node, 1, 1, labels, "weights")
    state.add_layer(node, 1, labels)
    state.set(node.output[0], rank - 1, labels)


def normalization(state: Trace, node: NodeProto) -> None:
    """BatchNormalization and InstanceNormalization: parameters [channels] for each channel of axis 1."""
    channels = state.of(node.input[0])
    if channels is None:
        return
    if channels.axis != 1:
        return refuse(state, node, "normalizes along another axis")
    kinds = ("scale", "shift", "statistic", "statistic")
    for index in range(1, len(node.input)):
        if state.constant(node, index) is None:
            return refuse(state, node, "has parameters that are computed while it runs")
    for index in range(1, len(node.input)):
        state.use(node, index, 0, channels.labels, kinds[index - 1])
    pass_on(state, node)


def _bias(state: Trace, node: NodeProto) -> str | bool | None:
    """The name of the bias; None without one, False where it is no constant."""
    if len(node.input) < 3 or not node.input[2]:
        return None
    return node.input[2] if node.input[2] in state.graph.constants else False


def _give_up(state: Trace, node: NodeProto, reason: str) -> None:
    refuse(state, node, f"cannot be pruned: {reason}")
    state.add_fixed(node, 0, reason)


WEIGHTED: dict[str, Handler] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Gemm": gemm,
    "MatMul": matmul,
    "BatchNormalization": normalization,
    "InstanceNormalization": normalization,
}
