"""Relu and Clip: their limits, and chains of them as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxino.errors import ConvertError
from onnxino_converter.quantize.graph import FloatGraph, describe

if TYPE_CHECKING:
    from onnx import NodeProto

CLAMPS = {"Relu", "Clip"}
Limits = tuple[float, float]


def limits_of(graph: FloatGraph, node: NodeProto) -> Limits:
    """Least and greatest value that a Relu or Clip gives. Raises ConvertError where they are no constants."""
    if node.op_type == "Relu":
        return 0.0, np.inf
    ends: list[float] = []
    for index, default in ((1, -np.inf), (2, np.inf)):
        value = graph.constant(node, index)
        if value is None and len(node.input) > index and node.input[index]:
            raise ConvertError(
                f"{describe(node)}: its limits are computed at run time", "export it with constant limits"
            )
        ends.append(default if value is None else float(value.reshape(-1)[0]))
    return ends[0], ends[1]


def merge_clamps(graph: FloatGraph) -> None:
    """Chains become one node: ONNX Runtime fuses one only."""
    producers = graph.producers()
    dead: list[NodeProto] = []
    for node in graph.nodes:
        first = producers.get(node.input[0]) if node.op_type in CLAMPS else None
        if first is None or first.op_type not in CLAMPS or graph.only_user(first.output[0]) is not node:
            continue
        (low, high), (least, most) = limits_of(graph, first), limits_of(graph, node)
        _set_limits(graph, node, (min(max(low, least), most), min(max(high, least), most)))
        node.input[0] = first.input[0]
        dead.append(first)
    graph.remove(dead)


def _set_limits(graph: FloatGraph, node: NodeProto, limits: Limits) -> None:
    x = node.input[0]
    del node.input[:]
    node.input.append(x)
    node.op_type = "Relu" if limits == (0.0, np.inf) else "Clip"
    if node.op_type == "Clip":
        for end, value in zip(("low", "high"), limits, strict=True):
            limit = graph.add_constant(f"{node.output[0]}_{end}", np.asarray(value, np.float32))
            node.input.append(limit if np.isfinite(value) else "")
