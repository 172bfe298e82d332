"""Bias correction: takes the mean error that rounding causes in each channel out of the biases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxino_converter.quantize.calibration import Calibration
from onnxino_converter.quantize.graph import Array, FloatGraph
from onnxino_converter.quantize.insert import WeightCodes, encode_weights
from onnxino_converter.quantize.operators import WEIGHTED
from onnxino_converter.quantize.parameters import Parameters
from onnxino_converter.quantize.settings import Settings

if TYPE_CHECKING:
    from onnx import NodeProto

SAMPLES = 256  # means need no more, and all of them are in memory at once


def correct_biases(
    graph: FloatGraph, calibration: Calibration, parameters: dict[str, Parameters], settings: Settings
) -> None:
    """Changes (or adds) the bias of every Conv and Gemm, in order: each sees the error that is left of those before it.

    All samples go through one node before the next, once in float and once rounded as the integers will be.
    """
    batches = calibration.batches[: max(1, SAMPLES // len(next(iter(calibration.batches[0].values()))))]
    evaluator = calibration.evaluator(graph)
    known: dict[str, list[Array]] = {}  # name -> one array for each batch, in float
    rounded: dict[str, list[Array]] = {}
    for name in graph.inputs:
        known[name] = [feeds[name] for feeds in batches]
        rounded[name] = [_round(parameters, name, values) for values in known[name]]
    last_use = {name: k for k, node in enumerate(evaluator.nodes) for name in node.input}
    for k, (node, own) in enumerate(zip(evaluator.nodes, graph.nodes, strict=True)):
        codes = encode_weights(graph, own, parameters, settings)
        for values, replaced in ((known, None), (rounded, codes)):
            results = [
                evaluator.step(k, _inputs(evaluator.constants, node, values, b, replaced)) for b in range(len(batches))
            ]
            for i, name in enumerate(node.output):
                values[name] = [outputs[i] for outputs in results] if name else []
        if own.op_type in WEIGHTED - {"MatMul"} and codes is not None:
            _correct(graph, own, known[node.output[0]], rounded[node.output[0]])
        for name in node.output:
            rounded[name] = [_round(parameters, name, values) for values in rounded[name]]
        for name in node.input:
            if last_use[name] == k:
                known.pop(name, None)
                rounded.pop(name, None)


def _correct(graph: FloatGraph, node: NodeProto, known: list[Array], rounded: list[Array]) -> None:
    """The bias of this node less the mean error of each channel; `rounded` is corrected in place."""
    axes = tuple(k for k in range(known[0].ndim) if k != 1)
    samples = sum(len(values) for values in known)
    differences = (
        (a.astype(np.float64) - b).mean(axis=axes) * (len(a) / samples) for a, b in zip(known, rounded, strict=True)
    )
    missing = np.asarray(sum(differences), np.float32)
    old = graph.constant(node, 2)
    name = graph.add_constant(f"{node.name or node.output[0]}_corrected", missing if old is None else old + missing)
    inputs = [*node.input[:2], name]
    del node.input[:]
    node.input.extend(inputs)
    for values in rounded:
        values += missing.reshape([-1 if k == 1 else 1 for k in range(values.ndim)])


def _inputs(
    constants: dict[str, Array], node: NodeProto, values: dict[str, list[Array]], batch: int, codes: WeightCodes | None
) -> list[Array | None]:
    """What a node reads for one batch; with codes, its weights and bias as their integers have them."""
    found = [values[name][batch] if name in values else constants[name] if name else None for name in node.input]
    if codes is not None:
        found[1] = codes.real_weights
        if codes.bias is not None:
            found[2] = codes.real_bias
    return found


def _round(parameters: dict[str, Parameters], name: str, values: Array) -> Array:
    return parameters[name].round(values) if name in parameters else values
