"""Transposes at the graph's borders become the port's permutation, which the caller applies.

1. every reader of an input is the same T -> the device holds T(input)
2. an output is T(x)                       -> the device holds x
"""

from __future__ import annotations

from onnxino_converter.ir import Graph, PortInfo, Value
from onnxino_converter.passes.to_nhwc import inverse
from onnxino_converter.quantized import TransposeSpec


def absorb_into_ports(graph: Graph) -> bool:
    changed = False
    for port in graph.inputs:
        changed |= _input(graph, port)
    for port in graph.outputs:
        changed |= _output(graph, port)
    return changed and (graph.remove_dead() or True)


def _input(graph: Graph, port: PortInfo) -> bool:
    users = graph.users().get(port.value, [])
    if not users or port.value in graph.output_values():
        return False
    perms = {node.spec.perm if isinstance(node.spec, TransposeSpec) else None for node in users}
    perm = perms.pop()
    if perms or perm is None:
        return False
    old, first = port.value, users[0].output
    before = port.perm or tuple(range(len(perm)))
    port.perm = tuple(before[p] for p in perm)
    quantization = old.quantization or first.quantization  # an int8 input may have none: its Transpose's result says
    value = Value(old.name, first.shape, old.dtype, None, quantization, perm=port.perm)
    graph.nodes = [node for node in graph.nodes if node not in users]
    graph.replace({node.output: value for node in users})
    port.value = value
    return True


def _output(graph: Graph, port: PortInfo) -> bool:
    source = graph.producers().get(port.value)
    if source is None or not isinstance(source.spec, TransposeSpec):
        return False
    before = port.perm or tuple(range(len(port.value.shape)))
    port.perm = tuple(before[i] for i in inverse(source.spec.perm))
    port.value = source.input(0)
    return True
