"""Reads an ONNX classifier: its nodes and constants, and which of the constants are trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import ConvertError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Array = NDArray[Any]

# Operator -> the inputs that are weights where they are constant.
_WEIGHTS: dict[str, tuple[int, ...]] = {
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "Gemm": (0, 1, 2),
    "MatMul": (0, 1),
    "BatchNormalization": (1, 2),
    "PRelu": (1,),
}
_LAYERS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
_AFFINE = {"Add", "Sub", "Mul"}
# A weight may pass through these before it is used.
_MOVES = {"Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten"}


@dataclass
class Graph:
    """A private copy of a model. `trained`: names of constants that are parameters; `statistics`: means and variances
    of batch normalizations; `varying`: tensors that depend on the input. Shapes hold None for open dimensions."""

    model: ModelProto
    constants: dict[str, Array]
    input: str
    input_shape: list[int | None]
    output: str
    opset: int
    trained: list[str] = field(default_factory=list[str])
    statistics: list[str] = field(default_factory=list[str])
    varying: set[str] = field(default_factory=set[str])

    @property
    def nodes(self) -> list[NodeProto]:
        """Without the nodes that are constants."""
        return [node for node in self.model.graph.node if node.op_type != "Constant"]


def describe(node: NodeProto) -> str:
    """How messages name a node."""
    return f"node '{node.name}' ({node.op_type})" if node.name else f"node {node.op_type} that makes '{node.output[0]}'"


def read_graph(model: ModelProto | Path | str | bytes) -> Graph:
    """Raises ConvertError for a model that is none, that has several inputs or outputs, or sparse weights."""
    from onnx import ModelProto as Proto

    from onnxino_converter.importer import load_source

    copy = Proto()
    copy.CopyFrom(load_source(model).model)
    if len(copy.graph.sparse_initializer):
        raise ConvertError("the model has sparse weights, which cannot be trained", "store its weights as dense ones")
    constants = _constants(copy)
    inputs = [port for port in copy.graph.input if port.name not in constants]
    if len(inputs) != 1 or len(copy.graph.output) != 1:
        raise ConvertError(
            f"the model has {len(inputs)} inputs and {len(copy.graph.output)} outputs; a classifier has one of each",
            'cut it: python -c "import onnx.utils; '
            "onnx.utils.extract_model('model.onnx', 'cut.onnx', ['INPUT'], ['OUTPUT'])\"",
        )
    opset = next((int(o.version) for o in copy.opset_import if o.domain in ("", "ai.onnx")), 1)
    graph = Graph(copy, constants, inputs[0].name, _input_shape(inputs[0]), copy.graph.output[0].name, opset)
    _untie(graph)
    _find_varying(graph)
    _find_trained(graph)
    return graph


def _constants(model: ModelProto) -> dict[str, Array]:
    from onnx import numpy_helper

    constants: dict[str, Array] = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = _constant_value(node)
    return constants


def _constant_value(node: NodeProto) -> Array:
    from onnx import helper, numpy_helper

    for item in node.attribute:
        value = helper.get_attribute_value(item)
        if item.name == "value":
            return numpy_helper.to_array(value)
        if item.name in ("value_float", "value_floats"):
            return np.array(value, np.float32)
        if item.name in ("value_int", "value_ints"):
            return np.array(value, np.int64)
    raise ConvertError(f"{describe(node)}: the constant is neither an array nor a number", "export the model again")


def _input_shape(port: Any) -> list[int | None]:
    from onnx import TensorProto

    kind = port.type.tensor_type
    if kind.elem_type != TensorProto.FLOAT:
        found = TensorProto.DataType.Name(kind.elem_type).lower()
        raise ConvertError(
            f"the input '{port.name}' is {found}; training takes float32", "give the float model, before quantization"
        )
    shape: list[int | None] = [int(d.dim_value) if d.dim_value > 0 else None for d in kind.shape.dim]
    if not shape:
        raise ConvertError(
            f"the input '{port.name}' has no axis that counts samples", "export the model with a batch dimension"
        )
    return shape


def _untie(graph: Graph) -> None:
    """Gives what merely has equal values a constant of its own: exporters make one of equal arrays (torch with an
    Identity in between), so that a new network's scales of 1 would move with its variances of 1."""
    from onnx import numpy_helper

    proto = graph.model.graph

    def own(name: str, value: Array) -> None:
        graph.constants[name] = value.copy()
        proto.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))

    outputs = {port.name for port in proto.output}
    for node in list(proto.node):
        if node.op_type == "Identity" and node.input[0] in graph.constants and node.output[0] not in outputs:
            own(node.output[0], graph.constants[node.input[0]])
            proto.node.remove(node)
    for node in proto.node:
        statistics = (3, 4) if node.op_type == "BatchNormalization" and len(node.input) == 5 else ()
        for index in statistics:
            name = node.input[index]
            if name in graph.constants and _reads(graph, name) > 1:
                fresh = free_name(graph, f"{node.output[0]}_{'mean' if index == 3 else 'variance'}")
                own(fresh, graph.constants[name])
                node.input[index] = fresh
    used = {name for node in proto.node for name in node.input} | outputs
    for tensor in [t for t in proto.initializer if t.name not in used]:
        del graph.constants[tensor.name]
        proto.initializer.remove(tensor)


def _reads(graph: Graph, name: str) -> int:
    return sum(list(node.input).count(name) for node in graph.model.graph.node)


def free_name(graph: Graph, wanted: str) -> str:
    """The wanted name, or with a number where it is taken."""
    taken = {name for node in graph.model.graph.node for name in (*node.input, *node.output)} | set(graph.constants)
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}_{number}", number + 1
    return name


def _find_varying(graph: Graph) -> None:
    graph.varying = {graph.input}
    for node in graph.nodes:
        if any(name in graph.varying for name in node.input):
            graph.varying.update(name for name in node.output if name)


def _find_trained(graph: Graph) -> None:
    makers = {name: node for node in graph.model.graph.node for name in node.output}
    behind: set[str] = set()  # behind a layer: constants before the first one prepare the input and stay
    trained: dict[str, None] = {}
    for node in graph.nodes:
        layer = node.op_type in _LAYERS and any(name in graph.varying for name in node.input)
        if layer or any(name in behind for name in node.input):
            behind.update(node.output)
        for name in _weight_names(node, behind):
            root = _root(name, makers)
            value = graph.constants.get(root)
            if value is None or value.dtype.kind != "f":
                continue
            if value.dtype != np.float32:
                raise ConvertError(
                    f"{describe(node)}: its weights '{root}' are {value.dtype}; training takes float32",
                    "give the model in float32",
                )
            if node.op_type in _WEIGHTS or value.size > 1:  # one number for all: a part of HardSwish and the like
                trained.setdefault(root)
        if node.op_type == "BatchNormalization":
            graph.statistics += [name for name in node.input[3:5] if name in graph.constants]
    graph.trained = [name for name in trained if name not in graph.statistics]


def _weight_names(node: NodeProto, behind: set[str]) -> Iterator[str]:
    for index in _WEIGHTS.get(node.op_type, ()):
        if index < len(node.input):
            yield node.input[index]
    if node.op_type in _AFFINE and any(name in behind for name in node.input):
        yield from node.input


def _root(name: str, makers: dict[str, NodeProto]) -> str:
    while name in makers and makers[name].op_type in _MOVES:
        name = makers[name].input[0]
    return name
