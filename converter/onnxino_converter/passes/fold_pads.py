"""Fold padding with zeros into the convolution that follows.

1. Conv(Pad(x, 0))              -> Conv(x) with the pads added
2. Conv(DQ(Pad(q, zero point))) -> Conv(DQ(q)) with the pads added
"""

from __future__ import annotations

from dataclasses import replace

from onnxino_converter.importer.spatial import WINDOW_LIMIT, Window
from onnxino_converter.ir import Graph, Node, Value


def fold_pads(graph: Graph) -> bool:
    producers, users = graph.producers(), graph.users()

    def rule(node: Node) -> list[Node] | None:
        if node.op != "Conv" or node.spec is not None:
            return None
        direct = producers.get(node.input(0))
        if direct is None:
            return None
        if direct.op == "Pad" and direct.attributes["value"] == 0:
            return _folded(node, direct, direct.input(0))
        pad = producers.get(direct.input(0)) if direct.op == "DequantizeLinear" else None
        zeros = direct.attributes.get("zero_point")
        if pad is None or pad.op != "Pad" or zeros is None or zeros.size != 1 or pad.attributes["value"] != zeros[0]:
            return None
        x = graph.new_value(f"{direct.output.name}_unpadded", pad.input(0).shape, direct.output.dtype)
        attributes = direct.attributes
        if len(users[direct.output]) == 1:  # ONNX Runtime folds it as well
            attributes = {**attributes, "float_in_ort": pad.attributes.get("behind_float", False)}
        before = Node("DequantizeLinear", direct.name, [pad.input(0)], [x], attributes)
        made = _folded(node, pad, x)
        return None if made is None else [before, *made]

    changed = graph.rewrite(rule)
    return changed and (graph.remove_dead() or True)


def _folded(node: Node, pad: Node, x: Value) -> list[Node] | None:
    before: tuple[int, ...] = pad.attributes["before"]
    after = [o - i - b for o, i, b in zip(pad.output.shape, pad.input(0).shape, before, strict=True)]
    window: Window = node.attributes["window"]
    added = (before[2], before[3], after[2], after[3])
    pads = tuple(a + b for a, b in zip(window.pads, added, strict=True))
    if any(before[:2]) or any(after[:2]) or max(pads) > WINDOW_LIMIT:
        return None
    top, left, bottom, right = pads
    made = replace(window, pads=(top, left, bottom, right))
    return [Node(node.op, node.name, [x, *node.inputs[1:]], node.outputs, {**node.attributes, "window": made})]
