"""How channels pass pools, reductions and what normalizes over an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxino_converter.prune.trace import Handler, Trace, pass_on, refuse
from onnxino_converter.quantize.graph import attribute

if TYPE_CHECKING:
    from onnx import NodeProto

_POOLS = ["AveragePool", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "LpPool", "MaxPool"]
_REDUCE = [
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
]


def pool(state: Trace, node: NodeProto) -> None:
    channels = state.of(node.input[0])
    if channels is not None and channels.axis != 1:
        return refuse(state, node, "pools over that axis")
    pass_on(state, node)


def reduce(state: Trace, node: NodeProto) -> None:
    """Over other axes than that of the channels; these may go (keepdims = 0)."""
    channels, rank = state.of(node.input[0]), state.rank(node.input[0])
    if channels is None:
        return
    given = state.constant(node, 1)
    if rank is None or (given is None and len(node.input) > 1 and node.input[1]):
        return refuse(state, node, "reduces over axes that are not known")
    found = attribute(node, "axes", []) if given is None else given.reshape(-1)
    axes = {int(axis) % rank for axis in found}
    if not axes and not attribute(node, "noop_with_empty_axes", 0):
        axes = set(range(rank))
    if channels.axis in axes:
        return refuse(state, node, "computes across channels")
    gone = 0 if attribute(node, "keepdims", 1) else sum(axis < channels.axis for axis in axes)
    state.set(node.output[0], channels.axis - gone, channels.labels)


def over_axis(state: Trace, node: NodeProto) -> None:
    """Softmax and its like: one axis, and in opsets below 13 all axes from there on."""
    channels, rank = state.of(node.input[0]), state.rank(node.input[0])
    if channels is None:
        return
    old = state.graph.opset < 13 and node.op_type != "LpNormalization"
    axis = int(attribute(node, "axis", 1 if old else -1))
    if rank is None or channels.axis == axis % rank or (old and channels.axis > axis % rank):
        return refuse(state, node, "computes across channels")
    pass_on(state, node)


REDUCTIONS: dict[str, Handler] = {
    **dict.fromkeys(_POOLS, pool),
    **dict.fromkeys(_REDUCE, reduce),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax", "LpNormalization"), over_axis),
}
