"""Every node of an ONNX model that cannot be converted, not only the first.

The converter stops at the first node that it refuses. Here that node is taken out, what it computed becomes an input of
the graph, and the rest is converted again, until nothing more is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from onnxino.errors import ConvertError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

ROUNDS = 200  # so many refused nodes are listed at most


@dataclass(frozen=True)
class Refusal:
    """Why a node, or with an empty `node` the model as a whole, cannot be converted."""

    node: str
    operator: str
    reason: str
    hint: str | None


@dataclass
class Findings:
    """`unchecked`: names of nodes that could not be looked at, because what they read cannot be known."""

    refusals: list[Refusal] = field(default_factory=list[Refusal])
    unchecked: list[str] = field(default_factory=list[str])
    complete: bool = True


def named(model: ModelProto) -> ModelProto:
    """A copy in which every node has a name of its own."""
    from onnx import ModelProto as Proto

    copy = Proto()
    copy.CopyFrom(model)
    used: set[str] = set()
    for index, node in enumerate(copy.graph.node):
        if not node.name or node.name in used:
            node.name = f"{node.name or node.op_type}#{index}"
        used.add(node.name)
    return copy


def find_refusals(model: ModelProto) -> Findings:
    """All that keeps `model` (from `named`) from being converted; no refusals where it converts.

    Raises ConvertError for what is no usable ONNX graph at all.
    """
    from onnx import ModelProto as Proto

    from onnxino_converter import convert

    rest = Proto()
    rest.CopyFrom(model)
    types = _types(model)
    findings = Findings()
    for _ in range(ROUNDS):
        if not rest.graph.node or not rest.graph.output:
            return findings
        try:
            convert(rest, name="inspected", board=None, float=True)
        except ConvertError as error:
            node = _culprit(rest, error.message)
            if node is None:
                findings.refusals.append(Refusal("", "", error.message, error.hint))
                findings.complete = False
                return findings
            findings.refusals.append(Refusal(node.name, _operator(node), _reason(error.message), error.hint))
            findings.unchecked += _cut(rest, node, types)
        else:
            return findings
    findings.complete = False
    return findings


def _operator(node: NodeProto) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type


def _culprit(model: ModelProto, message: str) -> NodeProto | None:
    """The node that a message is about: it begins with the node's name."""
    found = re.match(r"node '(.*?)' \(", message)
    if found is None:
        return None
    return next((node for node in model.graph.node if node.name == found[1]), None)


def _reason(message: str) -> str:
    """The message without the node's name, and without the list of all operators."""
    text = re.sub(r"^node '.*?' \([^)]*\): ", "", message)
    return text.split("; docs/")[0] if text.startswith("the operator is not supported") else text


def _types(model: ModelProto) -> dict[str, ValueInfoProto]:
    """What ONNX knows about the type and shape of each tensor."""
    from onnx import shape_inference

    try:
        inferred = shape_inference.infer_shapes(model)
    except Exception:  # damaged or unknown operators: less is known then
        inferred = model
    return {info.name: info for info in (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output)}


def _cut(model: ModelProto, node: NodeProto, types: dict[str, ValueInfoProto]) -> list[str]:
    """Takes a node out; what it made becomes graph inputs. Readers of what cannot be an input go too: their names."""
    unchecked: list[str] = []
    pending: list[Any] = [node]
    graph = model.graph
    known = {tensor.name for tensor in graph.initializer}
    known |= {name for other in graph.node if other.op_type == "Constant" for name in other.output}
    while pending:
        current = pending.pop()
        if not any(other.name == current.name for other in graph.node):
            continue
        outputs = [name for name in current.output if name]
        kept = [other for other in graph.node if other.name != current.name]
        if current is not node:
            unchecked.append(current.name)
        del graph.node[:]
        graph.node.extend(kept)
        for name in outputs:
            readers = [other for other in graph.node if name in other.input]
            info = types.get(name)
            if readers and info is not None and all(given in known for given in current.input if given):
                graph.initializer.append(_some_constant(info))
            elif readers and info is not None and _can_be_input(info):
                graph.input.append(info)
            else:
                pending += readers
        ends = [info for info in graph.output if info.name not in outputs]
        del graph.output[:]
        graph.output.extend(ends)
    _keep_alive(model, types)
    return unchecked


def _keep_alive(model: ModelProto, types: dict[str, ValueInfoProto]) -> None:
    """Every tensor that nobody reads is an output, so that what led to the node is looked at, too."""
    from onnx import ValueInfoProto as Info

    graph = model.graph
    read = {name for node in graph.node for name in node.input} | {info.name for info in graph.output}
    for node in graph.node:
        for name in node.output:
            if name and name not in read and node.op_type != "Constant":
                graph.output.append(types.get(name) or Info(name=name))
    used = {name for node in graph.node for name in node.input}
    inputs = [info for info in graph.input if info.name in used]
    del graph.input[:]
    graph.input.extend(inputs)


def _some_constant(info: ValueInfoProto) -> TensorProto:
    """In place of a constant that a refused node would have computed (weights): ones."""
    import numpy as np
    from onnx import helper, numpy_helper

    tensor = info.type.tensor_type
    shape = [max(1, d.dim_value) for d in tensor.shape.dim]
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type or 1)
    return numpy_helper.from_array(np.ones(shape, dtype), info.name)


def _can_be_input(info: ValueInfoProto) -> bool:
    """float32, int8 or uint8, with a shape that is fixed but for the batch."""
    from onnx import TensorProto

    tensor = info.type.tensor_type
    if tensor.elem_type not in (TensorProto.FLOAT, TensorProto.INT8, TensorProto.UINT8) or not tensor.HasField("shape"):
        return False
    dims = tensor.shape.dim
    return 1 <= len(dims) <= 6 and all(d.HasField("dim_value") and d.dim_value > 0 for d in dims[1:])
