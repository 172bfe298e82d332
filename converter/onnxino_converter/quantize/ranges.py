"""Which tensors are quantized, and with which parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnxino.errors import InputError
from onnxino_converter.quantize.calibration import Calibration
from onnxino_converter.quantize.clamp import CLAMPS, limits_of
from onnxino_converter.quantize.graph import Array, FloatGraph, describe
from onnxino_converter.quantize.observers import OBSERVERS, Histogram
from onnxino_converter.quantize.operators import ABSORBING, CONSTANT_OPERANDS, FIXED, MOVES, is_float
from onnxino_converter.quantize.parameters import F32, Parameters, for_range, within
from onnxino_converter.quantize.settings import Settings

if TYPE_CHECKING:
    from onnx import NodeProto

Range = tuple[float, float]


def quantized_tensors(graph: FloatGraph) -> list[str]:
    """Every float activation but those that a Relu or Clip right behind its operator takes in."""
    names = [name for name in graph.inputs if name in graph.floats]
    for node in graph.nodes:
        if is_float(graph, node):
            names += [name for name in node.output if name in graph.floats and not _is_absorbed(graph, node, name)]
    return names


def _is_absorbed(graph: FloatGraph, node: NodeProto, name: str) -> bool:
    user = graph.only_user(name) if node.op_type in ABSORBING or node.op_type in CLAMPS else None
    return user is not None and user.op_type in CLAMPS and user.input[0] == name


def sources(graph: FloatGraph, names: list[str]) -> dict[str, str]:
    """For each tensor the one whose parameters it takes: what MOVES nodes pass on keeps them."""
    producers = graph.producers()

    def source(name: str) -> str:
        node = producers.get(name)
        if node is None or node.op_type not in MOVES or node.input[0] in graph.constants:
            return name
        return source(node.input[0])

    return {name: source(name) for name in names}


def observe(graph: FloatGraph, calibration: Calibration, names: set[str], settings: Settings) -> dict[str, Range]:
    """The range of each tensor by the method of the settings. Raises InputError where a value is not finite."""
    evaluator = calibration.evaluator(graph)
    ends: dict[str, Range] = {}
    for feeds in calibration.batches:
        values = evaluator.run(feeds)
        for name in names:
            low, high = _ends(graph, name, values[name])
            known = ends.get(name, (low, high))
            ends[name] = min(low, known[0]), max(high, known[1])
    if settings.method == "minmax":
        return ends
    histograms = {name: Histogram.empty(*ends[name]) for name in names}
    for feeds in calibration.batches:
        values = evaluator.run(feeds)
        for name, histogram in histograms.items():
            histogram.add(values[name])
    choose = OBSERVERS[settings.method]
    return {name: choose(histogram) for name, histogram in histograms.items()}


def _ends(graph: FloatGraph, name: str, values: Array) -> Range:
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        node = graph.producers().get(name)
        where = describe(node) if node is not None else f"input '{name}'"
        raise InputError(
            f"{where} gives values that are not finite on the calibration data",
            "check the model in float, and that the data are scaled as in training",
        )
    return low, high


def choose_parameters(graph: FloatGraph, calibration: Calibration, settings: Settings) -> dict[str, Parameters]:
    """Scale and zero point of every tensor to quantize, in the graph's order."""
    producers = graph.producers()
    origin = sources(graph, quantized_tensors(graph))
    fixed = {name for name in origin.values() if name in producers and producers[name].op_type in FIXED}
    ranges = observe(graph, calibration, set(origin.values()) - fixed, settings)
    found: dict[str, Parameters] = {}
    for name in set(origin.values()):
        if name in fixed:
            found[name] = Parameters(F32(1 / 256), 0 if settings.unsigned else -128, settings.unsigned)
            continue
        node = producers.get(name)
        bounds = limits_of(graph, node) if node is not None and node.op_type == "Clip" else None
        low, high = ranges[name]
        found[name] = (
            for_range(low, high, settings.unsigned) if bounds is None else within(low, high, bounds, settings.unsigned)
        )
    return {name: found[source] for name, source in origin.items()}


def constant_operands(graph: FloatGraph, node: NodeProto) -> list[int]:
    """Indices of the constant inputs that are quantized like activations."""
    wanted = node.op_type in CONSTANT_OPERANDS and is_float(graph, node)
    return [k for k, name in enumerate(node.input) if wanted and name in graph.constants and name in graph.floats]
