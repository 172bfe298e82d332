"""Quantize and dequantize at the graph's borders: a float port becomes an int8 tensor with a scale and zero point.

1. input -> Q  : the port's device tensor is Q's output
2. DQ -> output: the port's device tensor is DQ's input
int8 and uint8 ports take the quantization of the operator that reads or writes them.
"""

from __future__ import annotations

import numpy as np

from onnxino_converter.fuse.operands import operand_of, per_tensor
from onnxino_converter.ir import Graph, Node, PortInfo, Quantization, Value
from onnxino_converter.quantized import ReshapeSpec
from onnxino_converter.refusal import QUANTIZE_HINT, refusal

FLOAT = np.dtype(np.float32)


def resolve_ports(graph: Graph) -> bool:
    for port in graph.inputs:
        if port.dtype == FLOAT:
            _float_input(graph, port)
        else:
            port.quantization = port.value.quantization
    for port in graph.outputs:
        if port.value.dtype == FLOAT:
            _float_output(graph, port)
        elif str(port.value.dtype) not in ("int8", "uint8"):
            raise refusal(f"graph output '{port.name}'", f"it is of type {port.value.dtype}", "float32, int8, uint8")
        else:
            port.quantization = port.value.quantization
    graph.remove_dead()
    return True


def _float_input(graph: Graph, port: PortInfo) -> None:
    where = f"graph input '{port.name}'"
    users = graph.users().get(port.value, [])
    if port.value in graph.output_values():
        raise refusal(where, "it is also a graph output, without any operator between", "inputs that are quantized")
    others = [node for node in users if node.op != "QuantizeLinear"]
    if others:
        raise refusal(others[0].describe(), f"it reads the float {where} without QuantizeLinear", None, QUANTIZE_HINT)
    found = {per_tensor(node, node.attributes["scale"], node.attributes["zero_point"], where) for node in users}
    if len(found) > 1:
        listed = ", ".join(sorted(map(str, found)))
        raise refusal(where, f"it is quantized in {len(found)} ways: {listed}", "one quantization for each float input")
    q = found.pop() if found else Quantization(1.0, 0, False)
    value = Value(graph.unique_name(f"{port.name}_quantized"), port.value.shape, np.dtype(np.int8), quantization=q)
    if users:
        value = users[0].output
        value.quantization = q
        graph.replace({node.output: value for node in users[1:]})
        graph.nodes = [node for node in graph.nodes if node not in users]
    port.value, port.quantization = value, q


def _float_output(graph: Graph, port: PortInfo) -> None:
    node = graph.producers().get(port.value)
    if node is None or node.op != "DequantizeLinear":
        described = node.describe() if node else "no node"
        raise refusal(
            f"graph output '{port.name}'",
            f"it is float and comes from {described}",
            "outputs that are int8, uint8 or the result of DequantizeLinear",
            QUANTIZE_HINT,
        )
    operand = operand_of(node)
    q = per_tensor(node, operand.scale, operand.zero_point, f"graph output '{port.name}'")
    source = operand.value
    if source.constant is not None:
        raise refusal(f"graph output '{port.name}'", "it is constant", "outputs that depend on inputs")
    if source.quantization is not None and not source.quantization.same_mapping(q):
        source = _view(graph, source, q)
    elif source.quantization is None:
        source.quantization = q
    port.value, port.quantization = source, q


def _view(graph: Graph, value: Value, q: Quantization) -> Value:
    """The same bytes, read with other parameters than they were written with."""
    view = graph.new_value(f"{value.name}_view", value.shape, value.dtype, q)
    graph.nodes.append(Node("Reshape", "", [value], [view], spec=ReshapeSpec()))
    return view
