"""Quantize and dequantize at the graph's borders: a float port becomes an int8 tensor with a scale and zero point.

1. input -> Q  : the port's device tensor is Q's output
2. DQ -> output: the port's device tensor is DQ's input
Any other float port is a float32 tensor on the device; int8 and uint8 ports take the
quantization of the operator that reads or writes them.
"""

from __future__ import annotations

import numpy as np

from onnxino_converter.fuse.operands import held, operand_of, per_tensor
from onnxino_converter.ir import Graph, Node, PortInfo, Quantization, Value
from onnxino_converter.quantized import ReshapeSpec
from onnxino_converter.refusal import refusal

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
        elif port.value.dtype == np.int64 and port.value.constant is None:
            continue
        elif str(port.value.dtype) not in ("int8", "uint8"):
            supported = "float32, int8 and uint8, int64 indices"
            hint = "add a DequantizeLinear, or quantize to 8 bits (QuantType.QInt8)"
            raise refusal(f"graph output '{port.name}'", f"it is of type {port.value.dtype}", supported, hint)
        else:
            port.quantization = port.value.quantization
    graph.remove_dead()
    return True


def _float_input(graph: Graph, port: PortInfo) -> None:
    where = f"graph input '{port.name}'"
    users = graph.users().get(port.value, [])
    if port.value in graph.output_values():
        raise refusal(where, "it is also a graph output, without any operator between", "inputs that are quantized")
    found = {_held(node) for node in users}
    if len(found) > 1 or None in found:
        return  # some reader takes the floats
    q = (found.pop() if found else None) or Quantization(1.0, 0, False)
    value = Value(graph.unique_name(f"{port.name}_quantized"), port.value.shape, np.dtype(np.int8), quantization=q)
    if users:
        value = users[0].output
        value.quantization = q
        graph.replace({node.output: value for node in users[1:]})
        graph.nodes = [node for node in graph.nodes if node not in users]
    port.value, port.quantization = value, q


def _held(node: Node) -> Quantization | None:
    """The parameters of a QuantizeLinear to a tensor that the device holds, else None."""
    if node.op != "QuantizeLinear" or not held(node.attributes["scale"], node.attributes["zero_point"]):
        return None
    return per_tensor(node, node.attributes["scale"], node.attributes["zero_point"], "")


def _float_output(graph: Graph, port: PortInfo) -> None:
    node = graph.producers().get(port.value)
    if node is None:
        raise refusal(f"graph output '{port.name}'", "it is constant", "outputs that depend on inputs")
    if node.op != "DequantizeLinear":
        return
    operand = operand_of(node)
    if not held(operand.scale, operand.zero_point):
        return
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
