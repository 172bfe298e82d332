"""The float graph that the passes change: ONNX nodes in order, and constants as arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Array = NDArray[Any]
Feeds = dict[str, Array]


@dataclass
class FloatGraph:
    """A private copy of a model. `shapes` and `floats` (names of float32 tensors) are those of infer()."""

    model: ModelProto
    nodes: list[NodeProto]
    constants: dict[str, Array]
    inputs: list[str]
    outputs: list[str]
    shapes: dict[str, list[int | None]] = field(default_factory=dict[str, "list[int | None]"])
    floats: set[str] = field(default_factory=set[str])
    _taken: set[str] = field(default_factory=set[str])

    @classmethod
    def read(cls, model: ModelProto) -> FloatGraph:
        from onnx import ModelProto as Proto
        from onnx import numpy_helper

        copy = Proto()
        copy.CopyFrom(model)
        constants: dict[str, Array] = {t.name: numpy_helper.to_array(t) for t in copy.graph.initializer}
        inputs = [i for i in copy.graph.input if i.name not in constants]
        del copy.graph.input[:]
        copy.graph.input.extend(inputs)
        graph = cls(
            copy, list(copy.graph.node), constants, [i.name for i in inputs], [o.name for o in copy.graph.output]
        )
        graph._taken = {name for node in graph.nodes for name in (*node.input, *node.output)} | set(constants)
        return graph

    @property
    def opset(self) -> int:
        return next(int(o.version) for o in self.model.opset_import if o.domain in ("", "ai.onnx"))

    def write(self) -> ModelProto:
        """The model as it is now; only constants that are read."""
        from onnx import ModelProto as Proto
        from onnx import numpy_helper

        result = Proto()
        result.CopyFrom(self.model)
        for part in (result.graph.node, result.graph.initializer, result.graph.value_info):
            del part[:]
        result.graph.node.extend(self.nodes)
        used = {name for node in self.nodes for name in node.input} | set(self.outputs)
        for name, array in self.constants.items():
            if name in used:
                result.graph.initializer.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return result

    def infer(self) -> None:
        """Fill shapes and floats."""
        import onnx
        from onnx import TensorProto

        inferred = onnx.shape_inference.infer_shapes(self.write(), data_prop=True).graph
        self.shapes, self.floats = {}, set()
        for info in (*inferred.input, *inferred.value_info, *inferred.output):
            kind = info.type.tensor_type
            if kind.HasField("shape"):
                self.shapes[info.name] = [int(d.dim_value) if d.HasField("dim_value") else None for d in kind.shape.dim]
            if kind.elem_type == TensorProto.FLOAT:
                self.floats.add(info.name)
        for name, array in self.constants.items():
            self.shapes[name] = list(array.shape)
            if array.dtype == np.float32:
                self.floats.add(name)

    def rank(self, name: str) -> int | None:
        return len(self.shapes[name]) if name in self.shapes else None

    def producers(self) -> dict[str, NodeProto]:
        return {name: node for node in self.nodes for name in node.output if name}

    def users(self) -> dict[str, list[NodeProto]]:
        """Name -> the nodes that read it (a node that reads it twice is listed twice)."""
        users: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                if name:
                    users.setdefault(name, []).append(node)
        return users

    def only_user(self, name: str) -> NodeProto | None:
        """The node that alone reads this tensor, where it is no output."""
        users = self.users().get(name, [])
        return users[0] if len(users) == 1 and name not in self.outputs else None

    def constant(self, node: NodeProto, index: int) -> Array | None:
        return self.constants.get(node.input[index]) if index < len(node.input) else None

    def name(self, wanted: str) -> str:
        """A tensor name that nothing else has."""
        name, number = wanted, 2
        while name in self._taken:
            name, number = f"{wanted}_{number}", number + 1
        self._taken.add(name)
        return name

    def add_constant(self, wanted: str, array: Array) -> str:
        name = self.name(wanted)
        self.constants[name] = array
        return name

    def redirect(self, old: str, new: str) -> None:
        """Make every reader of `old` read `new`. `old` is no output."""
        for node in self.nodes:
            for k, name in enumerate(node.input):
                if name == old:
                    node.input[k] = new

    def remove(self, dead: Iterable[NodeProto]) -> None:
        gone = {id(node) for node in dead}
        self.nodes = [node for node in self.nodes if id(node) not in gone]

    def remove_unused(self) -> None:
        """Drop nodes of which no output is read."""
        wanted = set(self.outputs)
        kept: list[NodeProto] = []
        for node in reversed(self.nodes):
            if any(name in wanted for name in node.output):
                kept.append(node)
                wanted.update(node.input)
        self.nodes = kept[::-1]


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    """An attribute's value, or the default."""
    from onnx import helper

    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def describe(node: NodeProto) -> str:
    """How messages name a node."""
    return f"node '{node.name}' ({node.op_type})" if node.name else f"node {node.op_type} that makes '{node.output[0]}'"
