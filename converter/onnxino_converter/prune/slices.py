"""How channels pass Slice and Gather, which take parts of a tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxino_converter.prune.trace import Channels, Handler, Kept, Trace, refuse
from onnxino_converter.quantize.graph import attribute

if TYPE_CHECKING:
    from onnx import NodeProto


def gather(state: Trace, node: NodeProto) -> None:
    """Along other axes than that of the channels."""
    channels, rank, out = state.of(node.input[0]), state.rank(node.input[0]), state.rank(node.output[0])
    if state.of(node.input[1]) is not None:
        return refuse(state, node, "takes its indices from channels")
    if channels is None:
        return
    if rank is None or out is None or channels.axis == int(attribute(node, "axis", 0)) % rank:
        return refuse(state, node, "takes single channels out")
    after = channels.axis > int(attribute(node, "axis", 0)) % rank
    state.set(node.output[0], channels.axis + (out - rank if after else 0), channels.labels)


def slice_(state: Trace, node: NodeProto) -> None:
    """Along the channels: neighbours, in their order; where they begin and end is written anew."""
    channels, rank = state.of(node.input[0]), state.rank(node.input[0])
    if channels is None:
        return
    axes = _axes(state, node)
    if rank is None or axes is None:
        return refuse(state, node, "cuts by what is computed while it runs")
    axes = [axis % rank for axis in axes]
    if channels.axis not in axes:
        return state.set(node.output[0], channels.axis, channels.labels)
    at = axes.index(channels.axis)
    operands = [state.constant(node, k) for k in range(1, len(node.input)) if node.input[k]]
    if len(operands) < 2 or any(operand is None for operand in operands):
        return refuse(state, node, "cuts by what is computed while it runs")
    numbers = [int(operand.reshape(-1)[at]) for operand in operands if operand is not None]
    taken = range(len(channels.labels))[slice(numbers[0], numbers[1], numbers[3] if len(numbers) > 3 else 1)]
    if taken.step != 1 or not len(taken):
        return refuse(state, node, "takes single channels out")
    state.set(node.output[0], channels.axis, channels.labels[taken.start : taken.stop])
    _repair_bounds(state, node, channels, at, taken)


def _repair_bounds(state: Trace, node: NodeProto, channels: Channels, at: int, taken: range) -> None:
    def repair(kept: Kept) -> None:
        mask = kept(channels.labels)
        for index, (kind, bound) in enumerate((("starts", taken.start), ("ends", taken.stop)), start=1):
            values = state.graph.constants[node.input[index]].copy()
            values.reshape(-1)[at] = np.count_nonzero(mask[:bound])
            node.input[index] = state.graph.add_constant(f"{node.output[0]}_{kind}", values)

    state.repairs.append(repair)


def _axes(state: Trace, node: NodeProto) -> list[int] | None:
    """The axes that a Slice cuts, in the order of its other operands; attributes before opset 10."""
    if len(node.input) > 3 and node.input[3]:
        given = state.constant(node, 3)
        return None if given is None else [int(axis) for axis in given.reshape(-1)]
    starts = state.constant(node, 1)
    count = len(attribute(node, "starts", [])) if starts is None else starts.size
    return list(attribute(node, "axes", range(count))) if count else None


SLICES: dict[str, Handler] = {"Gather": gather, "Slice": slice_}
