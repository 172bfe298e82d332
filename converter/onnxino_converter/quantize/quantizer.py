"""quantize(): from a float model and calibration data to a QDQ model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxino import __version__
from onnxino_converter.hints import hints_for
from onnxino_converter.importer import load_source
from onnxino_converter.importer.finite import check_weights
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
    calibration: Mapping[str, Any] | Iterable[Any],
    *,
    method: Method = "minmax",
    per_channel: bool = True,
    activations: Activations = "uint8",
    equalize: bool = False,
    bias_correction: bool = False,
) -> ModelProto:
    """Quantize a float32 model to int8 weights and 8-bit activations. Neither the model nor the data are changed.

    model: path, bytes or onnx.ModelProto, with float32 inputs of any rank.
    calibration: an array for each input by its name, float32 (float16 and float64 are cast) of shape [samples, ...]
        where ... is the input's shape less its first axis; or an iterable of such feeds. For a model of one
        input, arrays alone do as well. All inputs have the same
        number of samples, at least the model's batch where that is fixed; what is left of a division by it is not used.
    method: how an activation's range is chosen: minmax, percentile, mse or entropy (docs/quantizing.md).
    per_channel: one float32 weight scale for each output channel, or one for each layer. Weights are int8, -127..127.
    activations: int8 or uint8, their type in the model; graph inputs and outputs stay float32.
    equalize: cross-layer equalization first. bias_correction: take the mean rounding error out of the biases.

    Returns a QDQ model (biases int32 = input scale * weight scale) that ONNX Runtime computes in integers and convert()
    accepts; the same arguments give the same model.
    Raises ConvertError for a model that cannot be read or quantized, InputError for calibration data that do not fit
    it or that make it compute NaN or infinity, ValueError for an unknown option.
    """
    settings = Settings(method, per_channel, activations, equalize, bias_correction)
    source = load_source(model)
    with hints_for(source.model, source.path):
        graph = prepare(source.model)
    data = read_calibration(graph, calibration)
    if settings.equalize:
        equalize_channels(graph)
    parameters = choose_parameters(graph, data, settings)
    if settings.bias_correction:
        correct_biases(graph, data, parameters, settings)
    result = Writer(graph, parameters, settings).write()
    result.producer_name, result.producer_version = "onnxino", __version__
    return result


def check(model: ModelProto) -> None:
    """Raises ConvertError for a model that is quantized already, or does not take float32. Quick: needs no data."""
    graph = FloatGraph.read(model)
    check_weights(model)
    check_float(graph)
    check_inputs(graph)


def prepare(model: ModelProto) -> FloatGraph:
    """The float graph that is quantized: checked, simplified, normalizations folded. Computes what the model does."""
    check(model)
    graph = FloatGraph.read(raise_opset(model))
    simplify(graph)
    fold_batch_norm(graph)
    simplify(graph)
    check_operators(graph)
    return graph
