"""Computes nodes whose inputs are known at convert time, with the reference implementation of ONNX."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxino_converter.importer.context import RawNode
from onnxino_converter.ir import Array

if TYPE_CHECKING:
    from onnx import NodeProto

LIMIT = 1 << 22  # elements; nothing that fits the board is larger


def evaluate(raw: RawNode, node: NodeProto, opsets: dict[str, int]) -> list[Array] | None:
    """The outputs of a node that can be computed ahead, or None where the reference does not know the operator."""
    if raw.op == "Shape":
        return [_shape(raw)]
    if raw.op == "Size":
        return [np.asarray(raw.input(0).elements, np.int64)]
    if raw.op in ("Identity", "Constant"):
        return None  # their handlers do it
    if any(value is not None and value.elements > LIMIT for value in raw.inputs) or _grows(raw):
        return None
    return _reference(raw, node, opsets)


def _grows(raw: RawNode) -> bool:
    """Whether the result would be larger than the limit, of operators that make it from a few numbers."""
    if raw.op == "ConstantOfShape":
        shape = tuple(int(v) for v in raw.constant(0, "the shape").ravel())
        if math.prod(shape) > LIMIT:
            raise raw.refuse(f"its output {list(shape)} has {math.prod(shape):,} elements", f"up to {LIMIT:,}")
    if raw.op not in ("Expand", "Tile"):
        return False
    factors = math.prod(int(v) for v in raw.constant(1, "the second input").ravel())
    return raw.input(0).elements * factors > LIMIT if raw.op == "Tile" else factors > LIMIT


def _shape(raw: RawNode) -> Array:
    shape = raw.input(0).shape
    end = raw.int("end", len(shape))
    return np.asarray(shape[raw.int("start", 0) : end], np.int64)


def _reference(raw: RawNode, node: NodeProto, opsets: dict[str, int]) -> list[Array] | None:
    from onnx import TypeProto, helper
    from onnx.reference import ReferenceEvaluator

    names = [name for name in node.input if name]
    values: dict[str, Any] = {v.name: v.constant for v in raw.inputs if v is not None}
    feeds = {name: values[v.name] for name, v in zip(node.input, raw.inputs, strict=True) if v is not None}
    inputs = [helper.make_value_info(name, TypeProto()) for name in dict.fromkeys(names)]
    outputs = [helper.make_value_info(name, TypeProto()) for name in node.output]
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets.items()]
    model = helper.make_model(helper.make_graph([node], "constant", inputs, outputs), opset_imports=imports)
    try:
        evaluator: Any = ReferenceEvaluator(model)  # untyped
        results: list[Any] = evaluator.run(None, feeds)
    except Exception:  # the reference raises anything for odd inputs; the operator's handler then says what is wrong
        return None
    arrays = [np.asarray(result) for result in results]
    return arrays if all(array.size <= LIMIT for array in arrays) else None
