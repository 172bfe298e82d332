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
        return refuse(state, node, "moves a single channel")
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
        pieces = _pieces(state, node.input[1])
        if pieces is not None and len(pieces) > result.axis and pieces[result.axis] == -1:
            return True
        refuse(state, node, "reshapes to what is computed while it runs")
        return False
    target = [int(n) for n in shape.reshape(-1)]
    found = state.graph.shapes[node.output[0]]

    def repair(kept: Kept) -> None:
        sizes = [given if known is None else known for given, known in zip(target, found, strict=True)]
        sizes[result.axis] = int(np.count_nonzero(kept(result.labels)))
        node.input[1] = state.graph.add_constant(f"{node.output[0]}_shape", np.array(sizes, np.int64))

    state.repairs.append(repair)
    return True


def _pieces(state: Trace, name: str) -> list[int | None] | None:
    """The entries of a shape that is computed by Concat; None for those that are not constant."""
    maker = state.graph.producers().get(name)
    if maker is None or maker.op_type != "Concat":
        return None
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
