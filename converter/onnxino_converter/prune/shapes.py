"""Finds out the shapes that exporters leave to be computed: constants folded, entries of known dimensions as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxino_converter.quantize.graph import Array, FloatGraph, attribute
from onnxino_converter.quantize.simplify import fold_constants

if TYPE_CHECKING:
    from onnx import NodeProto


def resolve_shapes(graph: FloatGraph) -> None:
    """Fold what is constant, until nothing changes: a folded shape may tell the next one."""
    count = -1
    while count != len(graph.nodes):
        count = len(graph.nodes)
        fold_constants(graph)
        graph.infer()
        if any(None in shape[1:] for shape in graph.shapes.values()):
            _try_batches(graph)
        _fold_entries(graph)
    read = graph.users()
    graph.remove([n for n in graph.nodes if n.op_type == "Shape" and not read.get(n.output[0])])


def _try_batches(graph: FloatGraph) -> None:
    """Shapes that exporters compute from a free batch, x.view(x.size(0), -1): known is what two batches share."""
    from onnx import shape_inference

    tried: list[dict[str, list[int]]] = []
    for batch in (2, 3):
        model = graph.write()
        for port in model.graph.input:
            dims = port.type.tensor_type.shape.dim
            if dims and not dims[0].HasField("dim_value"):
                dims[0].dim_value = batch
        try:
            inferred = shape_inference.infer_shapes(model, data_prop=True).graph
        except Exception:  # of its own types: these shapes need another batch
            return
        found = {info.name: info.type.tensor_type.shape.dim for info in inferred.value_info}
        tried.append({name: [int(d.dim_value) for d in dims] for name, dims in found.items()})
    for name, first in tried[0].items():
        second, known = tried[1].get(name, []), graph.shapes.get(name)
        if known is not None and len(first) == len(second) == len(known) and all(first) and all(second):
            pairs = zip(known, first, second, strict=True)
            graph.shapes[name] = [a if k is None and a == b else k for k, a, b in pairs]


def _fold_entries(graph: FloatGraph) -> None:
    """Gather and Slice of a Shape, where they take dimensions that are known (the batch may be free)."""
    makers = graph.producers()
    kept: list[NodeProto] = []
    for node in graph.nodes:
        maker = makers.get(node.input[0]) if node.op_type in ("Gather", "Slice") else None
        value = _entries(graph, node, maker) if maker is not None and maker.op_type == "Shape" else None
        if value is None or node.output[0] in graph.outputs:
            kept.append(node)
        else:
            graph.constants[node.output[0]] = value
    graph.nodes = kept


def _entries(graph: FloatGraph, node: NodeProto, shape: NodeProto) -> Array | None:
    """The value of a Gather or Slice of this Shape; None where that is not known."""
    sizes = graph.shapes.get(shape.input[0])
    operands = [graph.constant(node, k) for k in range(1, len(node.input))]
    if sizes is None or not operands or any(operand is None for operand in operands):
        return None
    start, end = attribute(shape, "start", 0), attribute(shape, "end", None)
    sizes = sizes[start:end]
    numbers = [operand for operand in operands if operand is not None]
    which: Array = np.arange(len(sizes))
    if node.op_type == "Gather":
        which = which[numbers[0]]
    else:
        single = [int(n.reshape(-1)[0]) for n in numbers if n.size == 1]
        if len(single) != len(numbers) or len(single) < 2:
            return None
        which = which[single[0] : single[1] : single[3] if len(single) > 3 else 1]
    indices: list[int] = which.reshape(-1).tolist()
    taken = [sizes[k] for k in indices]
    known = [n for n in taken if n is not None]
    return np.array(known, np.int64).reshape(which.shape) if len(known) == len(taken) else None
