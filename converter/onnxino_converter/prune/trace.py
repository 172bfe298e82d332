"""Follows channels through a float graph: which index of which weight belongs to which channel, and which must stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import ConvertError
from onnxino_converter.prune.labels import Labels, Vector, fixed
from onnxino_converter.quantize.graph import Array, FloatGraph, describe
from onnxino_converter.refusal import CHECK_HINT

if TYPE_CHECKING:
    from onnx import NodeProto

Kept = Callable[[Vector], NDArray[np.bool_]]  # labels -> True where the channel stays
Repair = Callable[[Kept], None]  # what a node needs when channels have gone: its group, its sizes
Handler = Callable[["Trace", "NodeProto"], None]


@dataclass(frozen=True)
class Channels:
    """The channel axis of a tensor (0 and up), and the labels along it."""

    axis: int
    labels: Vector


@dataclass(frozen=True)
class Layer:
    """A node with weights: the labels of its output channels, which lie along this axis of its weights."""

    node: NodeProto
    name: str
    weights: str
    axis: int
    labels: Vector
    reason: str | None = None  # why it cannot be pruned, where labels do not tell


@dataclass(frozen=True)
class Use:
    """An axis of an initializer that shrinks with channels. kind: weights, bias, scale, shift, statistic, constant for
    what makes a channel, input for what reads it."""

    initializer: str
    axis: int
    labels: Vector
    kind: str


class Trace:
    """What is known of a graph's channels. Handlers of operators fill it in, in the graph's order."""

    def __init__(self, graph: FloatGraph) -> None:
        self.graph = graph
        self.labels = Labels()
        self.channels: dict[str, Channels] = {}
        self.layers: list[Layer] = []
        self.uses: list[Use] = []
        self.repairs: list[Repair] = []
        self._shared: dict[tuple[str, int], Vector] = {}
        self._understood: set[tuple[int, int, int]] = set()  # node, input, axis

    def of(self, name: str) -> Channels | None:
        """The channels of a tensor; None where it has none that could go."""
        return self.channels.get(name)

    def set(self, name: str, axis: int, labels: Vector) -> None:
        self.channels[name] = Channels(axis, labels)

    def shape(self, name: str) -> list[int | None] | None:
        return self.graph.shapes.get(name)

    def rank(self, name: str) -> int | None:
        return self.graph.rank(name)

    def constant(self, node: NodeProto, index: int) -> Array | None:
        return self.graph.constant(node, index)

    def pin(self, name: str, reason: str) -> None:
        """The channels of this tensor must stay."""
        channels = self.of(name)
        if channels is not None:
            self.labels.pin(channels.labels, reason)

    def use(self, node: NodeProto, index: int, axis: int, labels: Vector, kind: str) -> None:
        """An initializer read by a node shrinks along an axis with these labels: the same ones wherever it is read."""
        name = node.input[index]
        self._understood.add((id(node), index, axis))
        before = self._shared.setdefault((name, axis), labels)
        if before is not labels:
            self.labels.unite(
                before, labels, f"the initializer '{name}' is shared with a layer whose channels must stay"
            )
        self.uses.append(Use(name, axis, labels, kind))

    def add_layer(self, node: NodeProto, axis: int, labels: Vector, reason: str | None = None) -> None:
        self.layers.append(Layer(node, layer_name(node), node.input[1], axis, labels, reason))

    def add_fixed(self, node: NodeProto, axis: int, reason: str) -> None:
        """A layer whose output channels must stay."""
        self.add_layer(node, axis, fixed(0), reason)

    def finish(self) -> None:
        """Pin what the graph shows outside, and what others than the handlers read.

        Raises ConvertError where the model states another number of channels than its weights make."""
        for name, channels in self.channels.items():
            shape, made = self.shape(name), len(channels.labels)
            stated = shape[channels.axis] if shape else None
            if stated not in (None, made):
                raise ConvertError(
                    f"tensor '{name}' is said to have {stated} channels; its weights make {made}", CHECK_HINT
                )
        for name in self.graph.outputs:
            self.pin(name, f"its channels are those of the graph output '{name}'")
        self._pin_shared()

    def _pin_shared(self) -> None:
        """An initializer that shrinks along an axis must not be read by anything that does not shrink with it there."""
        labels: dict[str, list[tuple[int, Vector]]] = {}
        for use in self.uses:
            labels.setdefault(use.initializer, []).append((use.axis, use.labels))
        for node in self.graph.nodes:
            for index, name in enumerate(node.input):
                for axis, vector in labels.get(name, []):
                    if (id(node), index, axis) not in self._understood:
                        self.labels.pin(vector, f"{describe(node)} reads the initializer '{name}' as well")
        for name in self.graph.outputs:
            for _, vector in labels.get(name, []):
                self.labels.pin(vector, f"the initializer '{name}' is a graph output")

    def why(self, labels: Vector) -> str | None:
        """Why all of these channels must stay; None where one of them may go."""
        if not len(labels):
            return "it has no channels of its own"
        if (self.labels.roots(labels) >= 0).any():
            return None
        found = (self.labels.reason(int(label)) for label in labels)
        return next((reason for reason in found if reason), "it passes on channels that must stay")


def layer_name(node: NodeProto) -> str:
    """How a layer is named: by its node, or by its output where the node has no name."""
    return node.name or node.output[0]


def trace(graph: FloatGraph, exclude: frozenset[str] = frozenset()) -> Trace:
    """Follow the channels of a graph (constants folded, shapes inferred). exclude: names of layers that must stay."""
    from onnxino_converter.prune.handlers import HANDLERS, JOINING, unknown

    result = Trace(graph)
    for node in graph.nodes:
        handler = HANDLERS.get(node.op_type, unknown) if node.domain in ("", "ai.onnx") else unknown
        handler(result, node)
        if node.op_type not in JOINING:  # handlers of others follow the first operand alone
            for name in node.input[1:]:
                result.pin(name, f"{describe(node)} takes it as a parameter")
    for layer in result.layers:
        if layer.name in exclude:
            result.labels.pin(layer.labels, f"the layer '{layer.name}' is excluded")
    result.finish()
    return result


def pass_on(state: Trace, node: NodeProto) -> None:
    """Each channel of the output is that channel of the input."""
    channels = state.of(node.input[0])
    if channels is None:
        return
    if any(node.output[1:]):
        state.pin(node.input[0], f"{describe(node)} has a second output that depends on the channels")
    state.set(node.output[0], channels.axis, channels.labels)


def refuse(state: Trace, node: NodeProto, reason: str) -> None:
    """All channels that this node reads must stay."""
    for name in node.input:
        state.pin(name, f"{describe(node)} {reason}")


def set_attribute(node: NodeProto, name: str, value: Any) -> None:
    """Replace an attribute, or add it."""
    from onnx import helper

    kept = [a for a in node.attribute if a.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])
