"""Exact clean-up of the float graph: constants computed ahead, nodes that do nothing removed, Gemm made plain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxino_converter.quantize.clamp import merge_clamps
from onnxino_converter.quantize.graph import Array, FloatGraph, attribute
from onnxino_converter.quantize.mean import pool_means

if TYPE_CHECKING:
    from onnx import NodeProto

_IDLE = {"Identity", "Dropout"}


def simplify(graph: FloatGraph) -> None:
    graph.infer()
    fold_constants(graph)
    remove_idle(graph)
    graph.infer()
    merge_matmul_add(graph)
    pool_means(graph)
    merge_clamps(graph)
    plain_gemm(graph)
    fold_pad(graph)
    graph.remove_unused()
    graph.infer()


def fold_constants(graph: FloatGraph) -> None:
    """Nodes of constants, and Shape of a tensor whose shape is known, become constants."""
    kept: list[NodeProto] = []
    for node in graph.nodes:
        outputs = _known_outputs(graph, node)
        if outputs is None:
            kept.append(node)
        else:
            graph.constants.update(zip(node.output, outputs, strict=False))
    graph.nodes = kept


def _known_outputs(graph: FloatGraph, node: NodeProto) -> list[Array] | None:
    if node.op_type == "Shape":
        shape = graph.shapes.get(node.input[0])
        if shape is None or None in shape:
            return None
        return [np.array(shape[attribute(node, "start", 0) : attribute(node, "end", None)], np.int64)]
    if any(name and name not in graph.constants for name in node.input) or node.domain not in ("", "ai.onnx"):
        return None
    if any(name in graph.outputs for name in node.output) or node.op_type.startswith("Random"):
        return None
    from onnx import helper

    from onnxino_converter.quantize.evaluate import Evaluator

    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output]
    body = helper.make_graph([node], "constant", [], outputs)
    model = helper.make_model(body, opset_imports=list(graph.model.opset_import))
    return Evaluator(model).step(0, [graph.constants[name] if name else None for name in node.input])


def remove_idle(graph: FloatGraph) -> None:
    """Identity and Dropout go, where no output would lose its name."""
    dead: list[NodeProto] = []
    for node in graph.nodes:
        if node.op_type not in _IDLE:
            continue
        if node.output[0] not in graph.outputs:
            graph.redirect(node.output[0], node.input[0])
            dead.append(node)
        elif node.input[0] not in graph.inputs and graph.only_user(node.input[0]) is node:
            _rename_output(graph, node.input[0], node.output[0])
            dead.append(node)
    graph.remove(dead)


def _rename_output(graph: FloatGraph, old: str, new: str) -> None:
    for node in graph.nodes:
        for k, name in enumerate(node.output):
            if name == old:
                node.output[k] = new


def merge_matmul_add(graph: FloatGraph) -> None:
    """MatMul of a matrix plus a constant row is a Gemm: its bias gets 32 bits."""
    from onnx import helper

    for index, node in enumerate(list(graph.nodes)):
        weights = graph.constant(node, 1) if node.op_type == "MatMul" else None
        if weights is None or weights.ndim != 2 or graph.rank(node.input[0]) != 2:
            continue
        add = graph.only_user(node.output[0])
        if add is None or add.op_type != "Add":
            continue
        name = next((name for name in add.input if name != node.output[0]), "")
        bias = graph.constants.get(name)
        if bias is None or bias.size not in (1, weights.shape[1]) or bias.ndim > 2:
            continue
        row = np.broadcast_to(bias.reshape(-1), (weights.shape[1],)).copy()
        inputs = [node.input[0], node.input[1], graph.add_constant(f"{name}_row", row)]
        graph.nodes[index] = helper.make_node("Gemm", inputs, list(add.output), name=node.name or add.name)
        graph.nodes = [n for n in graph.nodes if n is not add]
        merge_matmul_add(graph)
        return


def plain_gemm(graph: FloatGraph) -> None:
    """alpha and beta of Gemm go into constant weights and bias; the bias becomes a row."""
    for node in graph.nodes:
        weights = graph.constant(node, 1) if node.op_type == "Gemm" else None
        if weights is None:
            continue
        alpha, beta = attribute(node, "alpha", 1.0), attribute(node, "beta", 1.0)
        bias = graph.constant(node, 2)
        count = weights.shape[0 if attribute(node, "transB", 0) else 1]
        if bias is None and len(node.input) > 2 and node.input[2]:
            continue
        if bias is not None and bias.size not in (1, count):
            continue
        if alpha != 1.0:
            node.input[1] = graph.add_constant(f"{node.input[1]}_scaled", weights * np.float32(alpha))
        if bias is not None and (beta != 1.0 or bias.shape != (count,)):
            row = np.broadcast_to(bias.reshape(-1) * np.float32(beta), (count,)).copy()
            node.input[2] = graph.add_constant(f"{node.input[2]}_row", row)
        kept = [a for a in node.attribute if a.name not in ("alpha", "beta")]
        del node.attribute[:]
        node.attribute.extend(kept)


def fold_pad(graph: FloatGraph) -> None:
    """Padding with zeros before a convolution is the convolution's own."""
    from onnx import helper

    dead: list[NodeProto] = []
    for node in graph.nodes:
        pads = _zero_pads(graph, node)
        conv = graph.only_user(node.output[0]) if pads is not None else None
        if pads is None or conv is None or conv.op_type != "Conv" or conv.input[0] != node.output[0]:
            continue
        if attribute(conv, "auto_pad", b"NOTSET") != b"NOTSET":
            continue
        rank = len(pads) // 2
        if any(pads[:2]) or any(pads[rank : rank + 2]) or min(pads) < 0:
            continue
        spatial = pads[2:rank] + pads[rank + 2 :]
        own = attribute(conv, "pads", [0] * len(spatial))
        kept = [a for a in conv.attribute if a.name != "pads"]
        del conv.attribute[:]
        conv.attribute.extend(
            [*kept, helper.make_attribute("pads", [int(a + b) for a, b in zip(own, spatial, strict=True)])]
        )
        conv.input[0] = node.input[0]
        dead.append(node)
    graph.remove(dead)


def _zero_pads(graph: FloatGraph, node: NodeProto) -> list[int] | None:
    """The pads of a Pad with zeros over all axes."""
    if node.op_type != "Pad" or attribute(node, "mode", b"constant") != b"constant":
        return None
    pads, value = graph.constant(node, 1), graph.constant(node, 2)
    if pads is None or (len(node.input) > 2 and node.input[2] and (value is None or np.any(value))):
        return None
    if len(node.input) > 3 and node.input[3]:
        return None
    return [int(p) for p in pads]
