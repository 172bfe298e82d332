"""What a float model costs: multiplications, parameters, bytes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from onnxino.errors import ConvertError
from onnxino_converter.prune.prepare import prepare
from onnxino_converter.quantize.graph import FloatGraph, attribute, describe

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_NO_PARAMETERS = {"Clip", "Pad", "Pow", "Resize", "Upsample"}  # their constants are options


class Effect(TypedDict):
    """Counts of a model.

    macs: multiply-accumulate operations of Conv, ConvTranspose, Gemm and MatMul for one inference (a batch of unknown
    size counts as one). parameters: elements of all float weights, biases, gammas and betas (not the statistics of
    BatchNormalization). nonzero: those that are not zero. weight_bytes: as they are stored, 4 for each in float32.
    weight_bytes_int8: an estimate, one byte for each parameter.
    """

    macs: int
    parameters: int
    nonzero: int
    weight_bytes: int
    weight_bytes_int8: int


def effect(model: str | Path | bytes | ModelProto) -> Effect:
    """Counts of a float model. Raises ConvertError as prune() does, and where a shape that matters is not known."""
    graph = prepare(model)
    weights = [graph.constants[name] for name in _parameters(graph)]
    parameters = sum(array.size for array in weights)
    return Effect(
        macs=sum(_macs(graph, node) for node in graph.nodes if node.domain in ("", "ai.onnx")),
        parameters=parameters,
        nonzero=sum(int(np.count_nonzero(array)) for array in weights),
        weight_bytes=sum(array.nbytes for array in weights),
        weight_bytes_int8=parameters,
    )


def _parameters(graph: FloatGraph) -> list[str]:
    """Each initializer once, however often it is read."""
    names: dict[str, None] = {}
    for node in graph.nodes:
        last = 3 if node.op_type == "BatchNormalization" else len(node.input)
        if node.op_type not in _NO_PARAMETERS:
            names.update(dict.fromkeys(n for n in node.input[:last] if n in graph.constants))
    return [name for name in names if graph.constants[name].dtype.kind == "f"]


def _macs(graph: FloatGraph, node: NodeProto) -> int:
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return 0
    weights = graph.shapes.get(node.input[1])
    if weights is None or None in weights:
        raise _unknown(node, node.input[1])
    sizes = [int(n or 0) for n in weights]
    if node.op_type == "Conv":
        return _elements(graph, node, node.output[0]) * math.prod(sizes[1:])
    if node.op_type == "ConvTranspose":
        return _elements(graph, node, node.input[0]) * math.prod(sizes[1:])
    inner = sizes[1] if attribute(node, "transB", 0) else sizes[-2] if len(sizes) > 1 else sizes[0]
    return _elements(graph, node, node.output[0]) * inner


def _elements(graph: FloatGraph, node: NodeProto, name: str) -> int:
    shape = graph.shapes.get(name)
    if shape is None or None in shape[1:]:
        raise _unknown(node, name)
    return math.prod(1 if n is None else n for n in shape)


def _unknown(node: NodeProto, name: str) -> ConvertError:
    return ConvertError(
        f"{describe(node)}: the shape of '{name}' is not known, so its operations cannot be counted",
        "export the model with a fixed input shape (the batch may be free)",
    )
