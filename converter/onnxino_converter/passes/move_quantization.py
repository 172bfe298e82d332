"""Let operators that move or compare elements run on quantized tensors: per-tensor quantization commutes with them.

1. movement(DQ(q)) -> DQ(movement(q))
2. Q(movement(x))  -> movement(Q(x))
3. activation(movement(x)) -> movement(activation(x)) when nothing else reads the movement
4. ArgMax(DQ(q))           -> ArgMax(q)

Movement is Reshape, Transpose, Take, Pad and MaxPool; ONNX Runtime does the same (1 and 2) in its QDQ propagation, but
not over all of them: what such a one (`stays`) parts from its quantization runs in float32 there (`float_in_ort`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from onnxino_converter.arithmetic import quantize_array
from onnxino_converter.fuse.operands import held, per_tensor
from onnxino_converter.ir import Graph, Node, Value

MOVEMENT = ("Reshape", "Transpose", "MaxPool", "Take", "Pad")
ACTIVATIONS = ("Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh")
FLOAT = np.dtype(np.float32)


def move_quantization(graph: Graph) -> bool:
    changed = False
    while _dequantize_after(graph) | _quantize_before(graph) | _activate_before(graph):
        changed = True
    return changed


def _dequantize_after(graph: Graph) -> bool:
    producers = graph.producers()

    def rule(node: Node) -> list[Node] | None:
        source = producers.get(node.input(0)) if node.op in (*MOVEMENT, "ArgMax") else None
        if source is None or source.op != "DequantizeLinear":
            return None
        if source.input(0).constant is None and not _held(source):
            return None
        if node.op == "ArgMax":
            return (
                [Node(node.op, node.name, [source.input(0)], node.outputs, node.attributes)] if _held(source) else None
            )
        axis = _moved_axis(node, source)
        moving = _on_quantized(node, source, exactly=True)
        if axis is None or moving is None:
            return None
        quantized = source.input(0)
        moved = graph.new_value(f"{node.output.name}_quantized", node.output.shape, quantized.dtype)
        moved.unsigned_in_ort = quantized.unsigned_in_ort
        if quantized.constant is None:
            moved.quantization = per_tensor(source, source.attributes["scale"], source.attributes["zero_point"], "")
        attributes = {**source.attributes, "axis": axis}
        if node.op == "Reshape" and quantized.constant is not None and not node.attributes.get("lifted"):
            attributes["float_in_ort"] = True  # it has no integer kernels for reshaped weights
        if node.attributes.get("stays") and quantized.constant is None:
            attributes["float_in_ort"] = True
            moving = {**moving, "behind_float": source.attributes.get("float_in_ort", False)}  # for fold_pads
        after = Node("DequantizeLinear", source.name, [moved], [node.output], attributes)
        producers[node.output] = after
        return [Node(node.op, node.name, [quantized], [moved], moving), after]

    changed = graph.rewrite(rule)
    return changed and (graph.remove_dead() or True)


def _held(node: Node) -> bool:
    return held(node.attributes["scale"], node.attributes["zero_point"])


def _on_quantized(node: Node, conversion: Node, *, exactly: bool) -> dict[str, Any] | None:
    """The movement's attributes for quantized values: Pad's value is quantized, if need be exactly."""
    if node.op != "Pad":
        return node.attributes
    scale, zero = conversion.attributes["scale"][:1], conversion.attributes["zero_point"][:1]
    real = np.asarray([node.attributes["value"]], np.float32)
    value = quantize_array(real, scale, zero, -1)
    if exactly and (value.astype(np.int32) - zero).astype(np.float32) * scale != real:
        return None
    return {**node.attributes, "value": int(value[0])}


def _moved_axis(node: Node, source: Node) -> int | None:
    """Where a per-channel axis goes; -1 stays -1; None when it cannot be told."""
    axis: int = source.attributes["axis"]
    if axis < 0:
        return -1
    if node.op == "Take":
        return axis if axis != node.attributes["axis"] else None
    if node.op == "Transpose":
        return list(node.attributes["perm"]).index(axis)
    if node.op == "Reshape":  # the axis must keep its size and what lies before it
        before, shape = int(np.prod(node.input(0).shape[:axis], dtype=np.int64)), node.output.shape
        for i, size in enumerate(shape):
            if size == node.input(0).shape[axis] and int(np.prod(shape[:i], dtype=np.int64)) == before:
                return i
    return None


def _quantize_before(graph: Graph) -> bool:
    producers = graph.producers()
    outputs = graph.output_values()

    def rule(node: Node) -> list[Node] | None:
        source = producers.get(node.input(0)) if node.op == "QuantizeLinear" else None
        if source is None or source.op not in MOVEMENT or not _held(node) or source.input(0).dtype != FLOAT:
            return None
        attributes = _on_quantized(source, node, exactly=False)
        if source.input(0) in outputs or attributes is None:
            return None
        x = source.input(0)
        quantized = graph.new_value(f"{x.name}_quantized", x.shape, node.output.dtype)
        quantized.unsigned_in_ort = node.output.unsigned_in_ort
        stays = {"float_in_ort": True} if source.attributes.get("stays") else {}
        before = Node("QuantizeLinear", node.name, [x], [quantized], {**node.attributes, **stays})
        return [before, Node(source.op, source.name, [quantized], [node.output], attributes)]

    changed = graph.rewrite(rule)
    return changed and (graph.remove_dead() or True)


def _activate_before(graph: Graph) -> bool:
    producers, users, outputs = graph.producers(), graph.users(), graph.output_values()
    moved: set[Node] = set()

    def rule(node: Node) -> list[Node] | None:
        source = producers.get(node.input(0)) if node.op in ACTIVATIONS else None
        if (
            source is None
            or source.op not in MOVEMENT
            or source.op == "Pad"
            or source in moved
            or node.output.dtype != FLOAT
        ):
            return None
        if len(users[node.input(0)]) != 1 or node.input(0) in outputs or (node.op == "Clip" and source.op == "MaxPool"):
            return None
        x = source.input(0)
        if x.constant is not None or producers.get(x) is None:
            return None
        activated = Value(graph.unique_name(f"{x.name}_{node.op.lower()}"), x.shape, x.dtype)
        moved.add(source)
        attributes = node.attributes if source.attributes.get("lifted") else {**node.attributes, "float_in_ort": True}
        first = Node(node.op, node.name, [x], [activated], attributes)
        return [first, Node(source.op, source.name, [activated], [node.output], source.attributes)]

    changed = graph.rewrite(rule)
    return changed and (graph.remove_dead() or True)
