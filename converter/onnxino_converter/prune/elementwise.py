"""How channels pass operators that work element by element, with broadcasting: Add, Mul, Relu, PRelu, ..."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxino_converter.prune.labels import Vector
from onnxino_converter.prune.trace import Channels, Handler, Trace, pass_on, refuse
from onnxino_converter.quantize.graph import describe

if TYPE_CHECKING:
    from onnx import NodeProto

UNARY = [
    "Abs",
    "Cast",
    "Ceil",
    "Celu",
    "Clip",
    "Cos",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "Log",
    "Mish",
    "Neg",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Sin",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
]
BROADCAST = ["Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Sum", "Mean", "PRelu", "Where"]


def broadcast(state: Trace, node: NodeProto) -> None:
    """Channels that meet go together; constants for each channel shrink with them."""
    rank = state.rank(node.output[0])
    labelled = [name for name in node.input if state.of(name) is not None]
    if not labelled:
        return
    if rank is None or any(state.rank(name) is None for name in node.input):
        return refuse(state, node, "has operands of unknown shape")
    places = {name: _at(state, name, rank) for name in labelled}
    if len({place.axis for place in places.values()}) > 1:
        return refuse(state, node, "joins channels along different axes")
    axis = places[labelled[0]].axis
    count = max(len(place.labels) for place in places.values())
    if (state.shape(node.output[0]) or [])[axis] not in (count, None):
        return refuse(state, node, "spreads a single channel over several")
    labels = _meet(state, node, places, count)
    for index, name in enumerate(node.input):
        if name not in places:
            _other(state, node, index, axis - rank, labels)
    state.set(node.output[0], axis, labels)


def _at(state: Trace, name: str, rank: int) -> Channels:
    """The channels of an operand, with their axis in the output of this rank."""
    channels, own = state.channels[name], len(state.graph.shapes[name])
    return Channels(channels.axis + rank - own, channels.labels)


def _meet(state: Trace, node: NodeProto, places: dict[str, Channels], count: int) -> Vector:
    """The labels that all operands of `count` channels share; an operand of one channel meets all of them."""
    full = [place.labels for place in places.values() if len(place.labels) == count]
    for name, place in places.items():
        if len(place.labels) != count:
            state.pin(name, f"{describe(node)} spreads its single channel over {count}")
    for other in full[1:]:
        state.labels.unite(full[0], other, f"{describe(node)} joins it with channels that must stay")
    return full[0]


def _other(state: Trace, node: NodeProto, index: int, axis: int, labels: Vector) -> None:
    """An operand without labels: a constant, or a tensor whose channels must stay. axis: from the end, negative."""
    shape = state.graph.shapes[node.input[index]]
    if len(shape) < -axis or shape[axis] == 1:
        return
    if node.input[index] in state.graph.constants:
        state.use(node, index, len(shape) + axis, labels, "constant")
    else:
        state.labels.pin(labels, f"{describe(node)} joins it with '{node.input[index]}', whose channels must stay")


ELEMENTWISE: dict[str, Handler] = {**dict.fromkeys(UNARY, pass_on), **dict.fromkeys(BROADCAST, broadcast)}
