"""How channels pass Reshape, Flatten, Squeeze and Unsqueeze: where a channel's values lie afterwards."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from onnxino_converter.prune.trace import Channels, Handler, Kept, Trace, refuse
from onnxino_converter.quantize.graph import attribute, describe

if TYPE_CHECKING:
    from onnx import NodeProto

LIMIT = 1 << 24  # values of a tensor that are followed one by one


def reshape(state: Trace, node: NodeProto) -> None:
    """Each value keeps its place in row-major order; channels along several axes of the result go together."""
    channels = state.of(node.input[0])
    if channels is None:
        return
    before, after = _known(state.shape(node.input[0]), state.shape(node.output[0]))
    if before is None or after is None or math.prod(before) > LIMIT:
        return refuse(state, node, "moves values of a tensor whose shape is not known")
    dropped = len(state.graph.shapes[node.input[0]]) - len(before)  # an unknown batch is left out
    if channels.axis < dropped or math.prod(before) != math.prod(after):
        return refuse(state, node, "moves values from one sample of a batch to another")
    shape = [-1 if k == channels.axis - dropped else 1 for k in range(len(before))]
    first, which = np.unique(state.labels.roots(channels.labels), return_index=True, return_inverse=True)[1:]
    values = np.broadcast_to(which.reshape(shape), before).reshape(after)
    varies = [k for k in range(len(after)) if after[k] > 1 and (values != values.take([0], k)).any()]
    if not varies:
        return refuse(state, node, "moves channels that could only go all together")
    axis = varies[-1]
    rows = np.moveaxis(values, axis, 0).reshape(after[axis], -1)
    if len(varies) > 1:
        for row in rows:
            state.labels.unite_all(
                channels.labels[first[np.unique(row)]], f"{describe(node)} mixes it with what must stay"
            )
    result = Channels(axis + dropped, channels.labels[first[rows[:, 0]]])
    if node.op_type != "Reshape" or _shape_follows(state, node, result):
        state.set(node.output[0], result.axis, result.labels)


def _known(
    before: list[int | None] | None, after: list[int | None] | None
) -> tuple[list[int] | None, list[int] | None]:
    """Both shapes, without the batch where that is known in neither."""
    if not before or not after:
        return None, None
    if before[0] is None and after[0] is None:
        before, after = before[1:], after[1:]
    known = [[n for n in shape if n is not None] for shape in (before, after)]
    if len(known[0]) != len(before) or len(known[1]) != len(after):
        return None, None
    return known[0], known[1]


def _shape_follows(state: Trace, node: NodeProto, result: Channels) -> bool:
    """Whether the second operand of Reshape can be made to fit; if so, it will be."""
    shape = state.constant(node, 1)
    if shape is None:
        return _computed_shape_follows(state, node, result)
    target = [int(n) for n in shape.reshape(-1)]
    found = state.graph.shapes[node.output[0]]

    def repair(kept: Kept) -> None:
        sizes = [given if known is None else known for given, known in zip(target, found, strict=True)]
        sizes[result.axis] = int(np.count_nonzero(kept(result.labels)))
        node.input[1] = state.graph.add_constant(f"{node.output[0]}_shape", np.array(sizes, np.int64))

    state.repairs.append(repair)
    return True


def _computed_shape_follows(state: Trace, node: NodeProto, result: Channels) -> bool:
    """A shape that Concat makes of the batch and constants: the number of channels among them is written anew."""
    maker = state.graph.producers().get(node.input[1])
    pieces = _pieces(state, maker) if maker is not None and maker.op_type == "Concat" else None
    if maker is None or pieces is None or len(pieces) <= result.axis or pieces[result.axis] is None:
        refuse(state, node, "reshapes to what is computed while it runs")
        return False
    if pieces[result.axis] == -1:
        return True

    def repair(kept: Kept) -> None:
        """By a Concat of its own, where others read the old one as well."""
        graph, own, place = state.graph, maker, result.axis
        if graph.only_user(maker.output[0]) is not node:
            own = type(maker)()
            own.CopyFrom(maker)
            own.name, own.output[0] = "", graph.name(f"{node.output[0]}_to")
            graph.nodes.insert(next(k for k, n in enumerate(graph.nodes) if n is node), own)
            node.input[1] = own.output[0]
        for index, name in enumerate(maker.input):
            length = (state.shape(name) or [0])[0] or 0
            if 0 <= place < length:
                values = graph.constants[name].copy()
                values[place] = np.count_nonzero(kept(result.labels))
                own.input[index] = graph.add_constant(f"{node.output[0]}_size", values)
            place -= length

    state.repairs.append(repair)
    return True


def _pieces(state: Trace, maker: NodeProto) -> list[int | None] | None:
    """The entries of a shape that Concat makes; None for those that are not constant."""
    result: list[int | None] = []
    for piece in maker.input:
        constant, shape = state.graph.constants.get(piece), state.shape(piece)
        if constant is not None:
            result += [int(n) for n in constant.reshape(-1)]
        elif shape is not None and len(shape) == 1 and shape[0] is not None:
            result += [None] * shape[0]
        else:
            return None
    return result


def shape(state: Trace, node: NodeProto) -> None:
    """Fine where nobody reads the number of channels from it."""
    channels, rank = state.of(node.input[0]), state.rank(node.input[0])
    if channels is None:
        return
    entries = range(rank or 0)[attribute(node, "start", 0) : attribute(node, "end", None)]
    if not rank or (channels.axis in entries and not _unread(state, node.output[0], entries.index(channels.axis))):
        refuse(state, node, "reads the number of channels")


def _unread(state: Trace, name: str, entry: int) -> bool:
    """Whether all that is taken from this vector are single entries other than that one."""
    length = (state.shape(name) or [None])[0]
    for user in state.graph.users().get(name, []):
        constants = [state.constant(user, k) for k in range(1, len(user.input))]
        if length is None or any(constant is None for constant in constants):
            return False
        numbers = [int(c.reshape(-1)[0]) for c in constants if c is not None and c.size == 1]
        if user.op_type == "Gather" and len(numbers) == 1:
            taken = [numbers[0] % length]
        elif user.op_type == "Slice" and len(numbers) == len(constants) >= 2:
            step = numbers[3] if len(numbers) > 3 else 1
            taken = list(range(length)[numbers[0] : numbers[1] : step])
        else:
            return False
        if entry in taken:
            return False
    return name not in state.graph.outputs


RESHAPES: dict[str, Handler] = {
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), reshape),
    "Shape": shape,
}
