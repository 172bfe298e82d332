"""Give operators on quantized tensors (Reshape, Transpose, Take, Pad, MaxPool, Concat, ArgMax, Clip) their specs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from onnxino.schema.model import Exactness
from onnxino_converter.arithmetic import all_device_values
from onnxino_converter.floats import PadSpec
from onnxino_converter.fuse.islands import moving_spec
from onnxino_converter.fuse.operands import device_bytes
from onnxino_converter.ir import Graph, Node, Value
from onnxino_converter.quantized import ConcatSpec, LookupSpec, MaxPoolSpec
from onnxino_converter.refusal import refusal

FLOAT = np.dtype(np.float32)


def integer_movement(graph: Graph) -> bool:
    graph.remove_dead()

    def rule(node: Node) -> list[Node] | None:
        if node.spec is not None or node.op in ("QuantizeLinear", "DequantizeLinear"):
            return None
        if any(value.dtype == FLOAT for value in [*node.present, *node.outputs]):
            return None
        indices = node.op == "ArgMax" or node.input(0).dtype.itemsize == 8
        if str(node.output.dtype) not in ("int8", "uint8") and not indices:
            if node.op in ("Reshape", "Transpose", "Take", "Pad", "MaxPool"):
                return None  # of 16-bit tensors, which stay float
            raise refusal(node.describe(), f"it computes on {node.output.dtype}", "int8 and uint8 tensors")
        return [_with_spec(graph, node)]

    return graph.rewrite(rule)


def _with_spec(graph: Graph, node: Node) -> Node:
    spec = moving_spec(node)
    if node.op == "MaxPool":
        spec = MaxPoolSpec(node.attributes["window"])
    elif node.op == "Concat":
        spec = ConcatSpec(node.attributes["axis"], Exactness.Exact)
    elif node.op == "Pad" and node.input(0).dtype == np.uint8:
        spec = PadSpec(node.attributes["before"], int(node.attributes["value"]) - 128)
    elif node.op == "Clip":
        spec = LookupSpec(_clipped(node))
    if spec is None:
        raise refusal(
            node.describe(),
            f"it computes on {node.output.dtype} without scales",
            "Reshape, Transpose, Slice, Split, Gather, Resize, Pad, MaxPool, Concat, ArgMax, Clip",
        )
    known = [value.quantization for value in node.present if value.quantization is not None]
    if node.output.quantization is None and known and node.op != "ArgMax":
        node.output.quantization = known[0]
    inputs: list[Value | None] = [
        graph.new_constant(f"{v.name}_device", device_bytes(v.constant), v.quantization)
        if v and v.constant is not None
        else v
        for v in node.inputs
    ]
    return Node("Lookup" if node.op == "Clip" else node.op, node.name, inputs, node.outputs, spec=spec)


def _clipped(node: Node) -> NDArray[np.int8]:
    """Clip of each 8-bit value, between a QuantizeLinear and a DequantizeLinear."""
    shift = 128 if node.input(0).dtype == np.uint8 else 0
    low, high = node.attributes["low"] - shift, node.attributes["high"] - shift
    return np.clip(np.minimum(np.maximum(all_device_values().astype(np.float64), low), high), -128, 127).astype(np.int8)
