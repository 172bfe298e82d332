"""Give operators on quantized tensors (Reshape, Transpose, MaxPool, Concat) their specs; refuse other leftovers."""

from __future__ import annotations

import numpy as np

from onnxino.schema.model import Exactness
from onnxino_converter.fuse.operands import device_bytes
from onnxino_converter.ir import Graph, Node, Value
from onnxino_converter.quantized import ConcatSpec, MaxPoolSpec, ReshapeSpec, TransposeSpec
from onnxino_converter.refusal import QUANTIZE_HINT, refusal

FLOAT = np.dtype(np.float32)


def integer_movement(graph: Graph) -> bool:
    graph.remove_dead()
    borders = {port.value for port in graph.inputs}

    def rule(node: Node) -> list[Node] | None:
        if node.spec is not None:
            return None
        if node.op in ("QuantizeLinear", "DequantizeLinear"):
            _check_border(graph, node, borders)
            return None
        if any(value.dtype == FLOAT for value in [*node.present, *node.outputs]):
            raise _float_refusal(graph, node)
        if str(node.output.dtype) not in ("int8", "uint8"):
            raise refusal(node.describe(), f"it computes on {node.output.dtype}", "int8 and uint8 tensors")
        return [_with_spec(graph, node)]

    return graph.rewrite(rule)


def _with_spec(graph: Graph, node: Node) -> Node:
    spec = {
        "Reshape": lambda: ReshapeSpec(),
        "Transpose": lambda: TransposeSpec(tuple(node.attributes["perm"])),
        "MaxPool": lambda: MaxPoolSpec(node.attributes["window"]),
        "Concat": lambda: ConcatSpec(node.attributes["axis"], Exactness.Exact),
    }.get(node.op)
    if spec is None:
        raise refusal(
            node.describe(), f"it computes on {node.output.dtype} without scales", "Reshape, Transpose, MaxPool, Concat"
        )
    known = [value.quantization for value in node.present if value.quantization is not None]
    if node.output.quantization is None and known:
        node.output.quantization = known[0]
    inputs: list[Value | None] = [
        graph.new_constant(f"{v.name}_device", device_bytes(v.constant), v.quantization)
        if v and v.constant is not None
        else v
        for v in node.inputs
    ]
    return Node(node.op, node.name, inputs, node.outputs, spec=spec())


def _check_border(graph: Graph, node: Node, inputs: set[Value]) -> None:
    """Conversions are left only at the graph's borders; anything else computes in float."""
    if node.op == "QuantizeLinear" and node.input(0) not in inputs:
        raise refusal(node.describe(), f"its input '{node.input(0).name}' stays float", None, QUANTIZE_HINT)
    if node.op == "DequantizeLinear" and node.output not in graph.output_values():
        raise _float_refusal(graph, next(n for n in graph.nodes if node.output in n.inputs))


def _float_refusal(graph: Graph, node: Node) -> Exception:
    """Says which of the node's tensors has no QuantizeLinear and DequantizeLinear."""
    producers = graph.producers()
    found = f"no QuantizeLinear follows its result '{node.output.name}'"
    for value in node.present:
        source = producers.get(value)
        if value.dtype == FLOAT and value.constant is None and (source is None or source.op != "DequantizeLinear"):
            found = f"its input '{value.name}' is not quantized"
    hint = QUANTIZE_HINT
    if node.output in graph.output_values() and "follows" in found:
        hint = "quantize the output, too"
        if node.op == "Softmax":
            hint = f"remove the last {node.op} (the largest value stays the largest), or {hint}"
    return refusal(node.describe(), f"it computes in float: {found}", "operators between quantized tensors", hint)
