"""Writes what the device runs as an ONNX file for viewers such as Netron: one node of domain org.onnxino per operator.

Weights, biases and scales are initializers, single numbers attributes. No runtime runs such a file.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import ConvertError
from onnxino.model import dtype_of, shape_of
from onnxino.schema.model import ElementType, Model, Operator, Weights
from onnxino_converter.importer.graph import VIEWER_DOMAIN as DOMAIN

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

SHORT = 16  # numbers up to which an array is an attribute


def save_for_viewer(model: Model, path: Path) -> None:
    """Raises ConvertError when the file cannot be written."""
    try:
        path.write_bytes(viewer_model(model).SerializeToString(deterministic=True))
    except OSError as error:
        raise ConvertError(f"{path}: cannot be written ({error.strerror})") from None


def viewer_model(model: Model) -> ModelProto:
    """The model's operators and tensors (in the device's layout) as ONNX nodes and values."""
    from onnx import helper, numpy_helper

    names = _names(model)
    kinds = [helper.np_dtype_to_tensor_dtype(np.dtype(dtype_of(tensor))) for tensor in model.tensors]
    values = [
        helper.make_tensor_value_info(names[i], kinds[i], list(shape_of(tensor)))
        for i, tensor in enumerate(model.tensors)
    ]
    initializers = [
        numpy_helper.from_array(np.asarray(t.data).view(dtype_of(t)).reshape(shape_of(t)), names[i])
        for i, t in enumerate(model.tensors)
        if t.data is not None
    ]
    nodes: list[Any] = []
    made: set[int] = {p.tensor for p in model.inputs}
    for operator in model.operators:
        for index in map(int, operator.inputs):
            alias = model.tensors[index].alias_of
            if alias >= 0 and index not in made:
                made.add(index)
                nodes.append(helper.make_node("Reshape", [names[alias]], [names[index]], domain=DOMAIN))
        nodes.append(_node(operator, names, initializers))
        made.update(map(int, operator.outputs))
    for port in model.outputs:
        alias = model.tensors[port.tensor].alias_of
        if alias >= 0 and port.tensor not in made:
            nodes.append(helper.make_node("Reshape", [names[alias]], [names[port.tensor]], domain=DOMAIN))
    graph = helper.make_graph(
        nodes,
        model.name,
        [values[p.tensor] for p in model.inputs],
        [values[p.tensor] for p in model.outputs],
        initializers,
        value_info=values,
    )
    made_model = helper.make_model(graph, opset_imports=[helper.make_opsetid(DOMAIN, 1)], producer_name="onnxino")
    made_model.doc_string = "What Onnxino runs, for viewers only: its operators are not ONNX operators."
    return made_model


def _names(model: Model) -> list[str]:
    """Unique names of the tensors."""
    seen: dict[str, int] = {}
    names: list[str] = []
    for tensor in model.tensors:
        count = seen[tensor.name] = seen.get(tensor.name, 0) + 1
        names.append(tensor.name if count == 1 else f"{tensor.name}#{count}")
    return names


def _node(operator: Operator, names: list[str], initializers: list[TensorProto]) -> Any:
    from onnx import helper, numpy_helper

    inputs = [names[int(i)] for i in operator.inputs]
    attributes: dict[str, Any] = {"exactness": operator.exactness.name}
    first = names[int(operator.outputs[0])]
    for key, value in _flat(operator.kernel):
        if not isinstance(value, np.ndarray):
            attributes[key] = value
            continue
        array: NDArray[Any] = np.asarray(value)  # pyright: ignore[reportUnknownArgumentType]
        if array.size > SHORT:
            initializers.append(numpy_helper.from_array(array, f"{first}.{key}"))
            inputs.append(f"{first}.{key}")
        else:
            attributes[key] = array.tolist()
    outputs = [names[int(i)] for i in operator.outputs]
    kind = type(operator.kernel).__name__
    return helper.make_node(kind, inputs, outputs, name=operator.name, domain=DOMAIN, **attributes)


def _flat(table: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """A kernel's fields and those of the tables in it, as plain values and arrays."""
    found: list[tuple[str, Any]] = []
    for entry in fields(table):
        value: Any = getattr(table, entry.name)
        if isinstance(value, Weights):
            kind = np.float32 if value.type == ElementType.Float32 else np.int8
            found.append((f"{prefix}{entry.name}", np.ascontiguousarray(value.data).view(kind)))
        elif is_dataclass(value):
            found += _flat(value, f"{prefix}{entry.name}.")
        elif isinstance(value, IntEnum):
            found.append((f"{prefix}{entry.name}", value.name))
        elif value is not None:
            found.append((f"{prefix}{entry.name}", int(value) if isinstance(value, bool) else value))
    return found
