"""How channels pass operators that move values: Concat, Split, Transpose, Pad, Resize."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from onnxino_converter.prune.labels import Vector, fixed
from onnxino_converter.prune.reshape import RESHAPES
from onnxino_converter.prune.slices import SLICES
from onnxino_converter.prune.trace import Channels, Handler, Kept, Trace, refuse, set_attribute
from onnxino_converter.quantize.graph import attribute, describe

if TYPE_CHECKING:
    from onnx import NodeProto


def concat(state: Trace, node: NodeProto) -> None:
    """Along the channels: one operand's after the other's. Along another axis: the operands' channels go together."""
    rank = state.rank(node.output[0])
    found = [(name, state.of(name)) for name in node.input]
    known = [channels for _, channels in found if channels is not None]
    if not known:
        return
    if rank is None or len({channels.axis for channels in known}) > 1:
        return refuse(state, node, "joins channels along different axes")
    axis = known[0].axis
    if int(attribute(node, "axis", 0)) % rank != axis:
        return _stack(state, node, known, len(known) < len(node.input))
    parts: list[Vector] = []
    for name, channels in found:
        count = (state.shape(name) or [None] * rank)[axis]
        if channels is None and count is None:
            return refuse(state, node, "joins channels whose number is not known")
        parts.append(fixed(int(count or 0)) if channels is None else channels.labels)
    state.set(node.output[0], axis, np.concatenate(parts))


def _stack(state: Trace, node: NodeProto, known: list[Channels], others: bool) -> None:
    for channels in known[1:]:
        state.labels.unite(known[0].labels, channels.labels, f"{describe(node)} joins it with channels that must stay")
    if others:
        return refuse(state, node, "joins them with a tensor whose channels must stay")
    state.set(node.output[0], known[0].axis, known[0].labels)


def split(state: Trace, node: NodeProto) -> None:
    """Along the channels each output gets its part, and the sizes are written anew."""
    channels, rank = state.of(node.input[0]), state.rank(node.input[0])
    if channels is None:
        return
    if rank is None or int(attribute(node, "axis", 0)) % rank != channels.axis:
        for name in node.output:
            if rank is None:
                state.pin(node.input[0], f"{describe(node)} has an operand of unknown shape")
            else:
                state.set(name, channels.axis, channels.labels)
        return
    sizes = [(state.shape(name) or [None] * rank)[channels.axis] for name in node.output]
    if None in sizes or sum(int(n or 0) for n in sizes) != len(channels.labels):
        return refuse(state, node, "splits channels into parts of unknown size")
    ends = np.cumsum([int(n or 0) for n in sizes])[:-1]
    parts = np.split(channels.labels, ends)
    for name, part in zip(node.output, parts, strict=True):
        state.set(name, channels.axis, part)

    def repair(kept: Kept) -> None:
        counts = [int(np.count_nonzero(kept(part))) for part in parts]
        if state.graph.opset < 13:
            return set_attribute(node, "split", counts)
        rest = [a for a in node.attribute if a.name != "num_outputs"]
        del node.attribute[:]
        node.attribute.extend(rest)
        del node.input[1:]
        node.input.append(state.graph.add_constant(f"{node.output[0]}_split", np.array(counts, np.int64)))

    state.repairs.append(repair)


def transpose(state: Trace, node: NodeProto) -> None:
    channels, rank = state.of(node.input[0]), state.rank(node.input[0])
    if channels is None:
        return
    if rank is None:
        return refuse(state, node, "has an operand of unknown shape")
    order = list(attribute(node, "perm", list(range(rank))[::-1]))
    state.set(node.output[0], order.index(channels.axis), channels.labels)


def pad(state: Trace, node: NodeProto) -> None:
    """Channels that are padded with must stay."""
    channels, rank = state.of(node.input[0]), state.rank(node.input[0])
    if channels is None:
        return
    given, axes = state.constant(node, 1), state.constant(node, 3)
    pads: Any = attribute(node, "pads", attribute(node, "paddings", None)) if given is None else given.tolist()
    if rank is None or pads is None or (len(node.input) > 3 and node.input[3] and axes is None):
        return refuse(state, node, "pads by what is computed while it runs")
    order = list(range(rank)) if axes is None else [int(axis) % rank for axis in axes]
    before, after = 0, 0
    if channels.axis in order:
        at = order.index(channels.axis)
        before, after = int(pads[at]), int(pads[at + len(order)])
    if min(before, after) < 0 or ((before or after) and attribute(node, "mode", b"constant") != b"constant"):
        return refuse(state, node, "cuts channels off, or repeats them")
    state.set(node.output[0], channels.axis, np.concatenate([fixed(before), channels.labels, fixed(after)]))


def resize(state: Trace, node: NodeProto) -> None:
    """Resize and Upsample, where they leave the channels alone."""
    channels, rank = state.of(node.input[0]), state.rank(node.input[0])
    if channels is None:
        return
    old = node.op_type == "Upsample" or state.graph.opset < 11
    scales = state.constant(node, 1 if old else 2)
    if scales is None and attribute(node, "scales", None) is not None:
        scales = np.array(attribute(node, "scales", None), np.float32)
    sizes = None if old else state.constant(node, 3)
    values = scales if scales is not None and scales.size else sizes
    if rank is None or values is None:
        return refuse(state, node, "resizes by what is computed while it runs")
    order = [int(axis) % rank for axis in attribute(node, "axes", list(range(rank)))]
    if channels.axis in order:
        value = float(values[order.index(channels.axis)])
        if value != (len(channels.labels) if values is sizes else 1.0):
            return refuse(state, node, "resizes along the channels")
        if values is sizes:
            _repair_sizes(state, node, channels, order)
    state.set(node.output[0], channels.axis, channels.labels)


def _repair_sizes(state: Trace, node: NodeProto, channels: Channels, order: list[int]) -> None:
    def repair(kept: Kept) -> None:
        sizes = state.graph.constants[node.input[3]].copy()
        sizes[order.index(channels.axis)] = np.count_nonzero(kept(channels.labels))
        node.input[3] = state.graph.add_constant(f"{node.output[0]}_sizes", sizes)

    state.repairs.append(repair)


MOVEMENT: dict[str, Handler] = {
    "Concat": concat,
    "Split": split,
    "Transpose": transpose,
    "Pad": pad,
    "Resize": resize,
    "Upsample": resize,
    **RESHAPES,
    **SLICES,
}
