"""Accuracy against ONNX Runtime's quantize_static, and equal bytes, on networks that were trained."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, checker, numpy_helper

from onnxino import InferenceSession
from onnxino_converter import convert
from onnxino_converter.quantize import quantize
from onnxino_tools.examples import example
from onnxino_tools.verify.oracle import Oracle
from tests.quantize.float_nets import Arrays, node, run

METHODS = ("minmax", "percentile", "mse", "entropy")
OPTIONS: dict[str, dict[str, Any]] = {
    **{method: {"method": method} for method in METHODS},
    "per tensor": {"per_channel": False},
    "int8": {"activations": "int8"},
    "equalize, correct": {"equalize": True, "bias_correction": True},
}
# Every method x weights x type, and what changes the network before.
GRID: list[dict[str, Any]] = [
    {"method": method, "per_channel": per_channel, "activations": activations}
    for method, per_channel, activations in itertools.product(METHODS, (True, False), ("uint8", "int8"))
] + [
    {"method": method, "activations": activations, **options}
    for method, activations in itertools.product(METHODS, ("uint8", "int8"))
    for options in ({"equalize": True}, {"bias_correction": True}, {"equalize": True, "bias_correction": True})
]
ALLOWED = 0.005  # of the test images


class Task:
    """A float model, calibration feeds, test images and labels, and what quantize_static makes of them."""

    def __init__(self, model: ModelProto, calibration: Any, images: Any, labels: Any, folder: Path) -> None:
        self.model, self.images, self.labels = model, images, labels
        self.name = model.graph.input[0].name
        self.calibration: Arrays = {self.name: calibration}
        self.folder = folder
        self._references: dict[tuple[str, bool, str], float] = {}

    def accuracy(self, model: ModelProto) -> float:
        logits = run(model, {self.name: self.images})[0]
        return float((logits.argmax(1) == self.labels).mean())

    def reference(
        self, method: str = "minmax", per_channel: bool = True, activations: str = "uint8", **_: Any
    ) -> float:
        """The accuracy of quantize_static with the same method, weights and type; it has no mse: there, minmax."""
        key = (method if method != "mse" else "minmax", per_channel, activations)
        if key not in self._references:
            self._references[key] = self.accuracy(self._quantize_static(*key))
        return self._references[key]

    def _quantize_static(self, method: str, per_channel: bool, activations: str) -> ModelProto:
        from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType, quantize_static

        samples = iter(self.calibration[self.name])
        name = self.name

        class Reader(CalibrationDataReader):  # pyright: ignore
            def get_next(self) -> Any:
                sample = next(samples, None)
                return None if sample is None else {name: sample[None]}

        methods = {
            "minmax": CalibrationMethod.MinMax,
            "percentile": CalibrationMethod.Percentile,
            "entropy": CalibrationMethod.Entropy,
        }
        onnx.save(self.model, self.folder / "float.onnx")
        quantize_static(
            self.folder / "float.onnx",
            self.folder / "int8.onnx",
            Reader(),
            per_channel=per_channel,
            activation_type=QuantType.QInt8 if activations == "int8" else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=methods[method],
        )
        return onnx.load(self.folder / "int8.onnx")


def _float_of(model: ModelProto) -> ModelProto:
    """A QDQ model with float32 weights, no quantized activations, and the Relus that those made superfluous."""
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    aliases: dict[str, str] = {}
    result = ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:], result.graph.initializer[:]
    for source in model.graph.node:
        names = [aliases.get(name, name) for name in source.input]
        if source.op_type in ("QuantizeLinear", "DequantizeLinear") and names[0] not in constants:
            aliases[source.output[0]] = names[0]
            if source.op_type == "QuantizeLinear" and constants[source.input[2]] == -128:
                aliases[source.output[0]] = f"{names[0]}_relu"
                result.graph.node.append(node("Relu", [names[0]], [f"{names[0]}_relu"]))
        elif source.op_type == "DequantizeLinear":
            codes, scale = constants[names[0]], constants[names[1]]
            array = codes.astype(np.float32) * scale.reshape([-1] + [1] * (codes.ndim - 1) if scale.size > 1 else [])
            result.graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), source.output[0]))
        else:
            made = result.graph.node.add()
            made.CopyFrom(source)
            made.input[:] = names
            for name in names:
                if name in constants:
                    result.graph.initializer.append(numpy_helper.from_array(constants[name], name))
    for port in result.graph.output:
        for made in result.graph.node:
            made.output[:] = [port.name if name == aliases[port.name] else name for name in made.output]
    return result


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Task:
    """The digits network of the examples, its weights taken as float; 200 images to calibrate, 800 to test."""
    data = np.load(example("digits", "digits_test.npz"))
    images = data["images"].transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    model = _float_of(onnx.load(example("digits", "digits_int8.onnx")))
    task = Task(model, images[:200], images[200:], data["labels"][200:], tmp_path_factory.mktemp("digits"))
    assert task.accuracy(model) > 0.98
    return task


@pytest.fixture(scope="module")
def trashnet(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Task:
    """A trained network of depthwise convolutions; calibrated on training images, tested on the official split."""
    data = np.load(shared / "datasets" / "trashnet_64.npz")
    images = data["images"].transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    train, test = (np.flatnonzero(data["split"] == name) for name in ("train", "test"))
    model = onnx.load(shared / "models" / "trashnet" / "base.onnx")
    folder = tmp_path_factory.mktemp("trashnet")
    return Task(model, images[train[:100]], images[test], data["labels"][test], folder)


def _is_as_good_and_equal(task: Task, options: dict[str, Any], compared: int) -> None:
    quantized = quantize(task.model, task.calibration, **options)
    checker.check_model(quantized)
    assert task.accuracy(quantized) >= task.reference(**options) - ALLOWED
    oracle = Oracle(quantized)
    assert oracle.float_operators() == []
    with InferenceSession(convert(quantized, name="m").model) as session:
        for image in task.images[:compared]:
            feeds = {task.name: image[None]}
            assert np.array_equal(oracle.run(feeds)[0], session.run(None, feeds)[0])


@pytest.mark.parametrize("options", GRID, ids=lambda options: "-".join(map(str, options.values())))
def test_digits(digits: Task, options: dict[str, Any]) -> None:
    _is_as_good_and_equal(digits, options, 20)


@pytest.mark.parametrize("name", OPTIONS)
def test_trashnet(trashnet: Task, name: str) -> None:
    _is_as_good_and_equal(trashnet, OPTIONS[name], 10)


@pytest.mark.parametrize(
    "file", ["mlperf_tiny/ic_float.onnx", "wild/w17_float_micro_kws.onnx", "wild/w23_alibaba_vww_pruned_float.onnx"]
)
def test_float_models_of_others(shared: Path, file: str) -> None:
    """Residual, with NHWC Transposes, opset 11: all fused, equal bytes."""
    model = onnx.load(shared / "models" / file)
    port = model.graph.input[0]
    shape = [d.dim_value for d in port.type.tensor_type.shape.dim][1:]
    samples = np.random.default_rng(5).random((8, *shape)).astype(np.float32)
    quantized = quantize(model, {port.name: samples})
    checker.check_model(quantized)
    oracle = Oracle(quantized)
    assert oracle.float_operators() == []
    with InferenceSession(convert(quantized, name="m", board=None).model) as session:
        for sample in samples:
            feeds = {port.name: sample[None]}
            assert np.array_equal(oracle.run(feeds)[0], session.run(None, feeds)[0])
