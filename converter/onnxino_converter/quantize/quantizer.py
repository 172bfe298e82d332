"""quantize(): from a float model and calibration data to a QDQ model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxino import __version__
from onnxino_converter.importer import load_source
from onnxino_converter.quantize.calibration import read_calibration
from onnxino_converter.quantize.correct import correct_biases
from onnxino_converter.quantize.equalize import equalize_channels
from onnxino_converter.quantize.fold import fold_batch_norm
from onnxino_converter.quantize.graph import FloatGraph
from onnxino_converter.quantize.insert import Writer
from onnxino_converter.quantize.operators import check_float, check_inputs, check_operators
from onnxino_converter.quantize.opset import raise_opset
from onnxino_converter.quantize.ranges import choose_parameters
from onnxino_converter.quantize.settings import Activations, Method, Settings
from onnxino_converter.quantize.simplify import simplify

if TYPE_CHECKING:
    from onnx import ModelProto


def quantize(
    model: str | Path | bytes | ModelProto,
    calibration: Mapping[str, Any] | Iterable[Mapping[str, Any]],
    *,
    method: Method = "minmax",
    per_channel: bool = True,
    activations: Activations = "uint8",
    equalize: bool = False,
    bias_correction: bool = False,
) -> ModelProto:
    """Quantize a float32 model to int8 weights and 8-bit activations.

    model: path, bytes or onnx.ModelProto. calibration: float32 arrays by input name, first axis = samples; or an
    iterable of such feeds. method: minmax, percentile, mse or entropy (docs/quantizing.md). Returns a QDQ model that
    ONNX Runtime computes in integers and convert() accepts. Raises ConvertError for a model that cannot be quantized,
    InputError for calibration data that do not fit it, ValueError for an unknown option.
    """
    settings = Settings(method, per_channel, activations, equalize, bias_correction)
    graph = prepare(load_source(model).model)
    data = read_calibration(graph, calibration)
    if settings.equalize:
        equalize_channels(graph)
    parameters = choose_parameters(graph, data, settings)
    if settings.bias_correction:
        correct_biases(graph, data, parameters, settings)
    result = Writer(graph, parameters, settings).write()
    result.producer_name, result.producer_version = "onnxino", __version__
    return result


def prepare(model: ModelProto) -> FloatGraph:
    """The float graph that is quantized: checked, simplified, normalizations folded. Computes what the model does."""
    graph = FloatGraph.read(model)
    check_float(graph)
    check_inputs(graph)
    graph = FloatGraph.read(raise_opset(model))
    simplify(graph)
    fold_batch_norm(graph)
    simplify(graph)
    check_operators(graph)
    return graph
