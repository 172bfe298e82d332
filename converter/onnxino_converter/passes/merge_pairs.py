"""Make one of two QuantizeLinear/DequantizeLinear pairs in a row, with the parameters that ONNX Runtime gives it.

Q1 -> DQ1 -> Q2 -> DQ2... becomes Q1 -> DQ2..., where both take a scale and zero point that span what both pairs can
represent (ONNX Runtime's DoubleQDQPairsRemover, in its float32 arithmetic). Its conditions: each pair has one scale and
zero point, both pairs have one type, nothing else reads the tensors between them, and only DequantizeLinear reads Q2's.
Runs before dead nodes are removed, which count as readers.
"""

from __future__ import annotations

import numpy as np

from onnxino_converter.arithmetic import F32
from onnxino_converter.ir import Array, Graph, Node, Value

Parameters = tuple[Array, Array]  # scale and zero point, [1] each
SAME = 1e-20  # scales apart by less count as equal


def merge_pairs(graph: Graph) -> bool:
    changed = False
    while _merge_once(graph):
        changed = True
    return changed


def _merge_once(graph: Graph) -> bool:
    """One round over the nodes; a pair that was merged may merge with a third one in the next."""
    users, outputs = graph.users(), graph.output_values()
    removed: set[Node] = set()
    for first in graph.nodes:
        chain = None if first in removed else _chain(first, users, outputs)
        if chain is None:
            continue
        back, second, readers = chain
        merged = merged_parameters(_parameters(first), _parameters(second))
        if merged is None:
            continue
        for node in (first, *readers):
            node.attributes = {**node.attributes, "scale": merged[0], "zero_point": merged[1], "merged": True}
        for node in readers:
            node.inputs[0] = first.output
        users[first.output] = readers
        removed |= {back, second}
    graph.nodes = [node for node in graph.nodes if node not in removed]
    return bool(removed)


def _chain(first: Node, users: dict[Value, list[Node]], outputs: set[Value]) -> tuple[Node, Node, list[Node]] | None:
    """DQ1, Q2 and the DQ2s behind a Q1, where ONNX Runtime merges them."""
    back = _only_reader(first, users, outputs, "QuantizeLinear", "DequantizeLinear")
    second = None if back is None else _only_reader(back, users, outputs, "DequantizeLinear", "QuantizeLinear")
    if back is None or second is None or not _same_pair(first, back) or second.output in outputs:
        return None
    readers = users.get(second.output, [])
    if not readers or not all(node.op == "DequantizeLinear" and _same_pair(second, node) for node in readers):
        return None
    same_type = first.attributes["zero_point"].dtype == second.attributes["zero_point"].dtype
    return (back, second, readers) if same_type else None


def _only_reader(node: Node, users: dict[Value, list[Node]], outputs: set[Value], op: str, reader: str) -> Node | None:
    if node.op != op or node.output in outputs:
        return None
    found = users.get(node.output, [])
    return found[0] if len(found) == 1 and found[0].op == reader else None


def _parameters(node: Node) -> Parameters:
    return node.attributes["scale"], node.attributes["zero_point"]


def _same_pair(quantize: Node, dequantize: Node) -> bool:
    (scale, zero), (other_scale, other_zero) = _parameters(quantize), _parameters(dequantize)
    if scale.size != 1 or other_scale.size != 1 or zero.dtype != other_zero.dtype:
        return False
    return bool(scale[0] == other_scale[0] and zero[0] == other_zero[0])


def merged_parameters(first: Parameters, second: Parameters) -> Parameters | None:
    """Scale and zero point of the one pair, or None where ONNX Runtime's come to nothing: the two pairs have only the
    zero in common (one holds no positive numbers, the other no negative ones), and it would divide by a scale of 0."""
    (scale_1, zero_1), (scale_2, zero_2) = first, second
    if zero_1[0] == zero_2[0] and abs(F32(scale_1[0] - scale_2[0])) < SAME:
        return first
    limits = np.iinfo(zero_1.dtype)
    with np.errstate(over="ignore", under="ignore"):
        low = max(F32(limits.min - int(zero[0])) * F32(scale[0]) for scale, zero in (first, second))
        high = min(F32(limits.max - int(zero[0])) * F32(scale[0]) for scale, zero in (first, second))
        scale = F32(F32(high - low) / F32(limits.max - limits.min))
    if not np.isfinite(scale) or scale <= 0:
        return None
    exact = float(F32(F32(limits.min) - F32(low / scale)))
    zero = int(np.copysign(np.floor(abs(exact) + 0.5), exact))  # half away from zero
    return np.asarray([scale], F32), np.asarray([zero]).astype(zero_1.dtype)
