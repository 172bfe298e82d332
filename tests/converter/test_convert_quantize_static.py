"""What ONNX Runtime's own quantizer writes, over the grid of its options: converts, C equals NumPy, both equal ORT."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from agreement import check
from float_models import Builder
from onnx import ModelProto
from onnxruntime import quantization as q
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType
from static_nets import NETS

from onnxino import load_model
from onnxino.errors import ConvertError, OnnxinoError
from onnxino.schema.model import Exactness
from onnxino_converter import convert
from onnxino_tools.verify.oracle import Oracle
from onnxino_tools.verify.run import random_feeds

S8, U8, S16, U16 = QuantType.QInt8, QuantType.QUInt8, QuantType.QInt16, QuantType.QUInt16


def _extra(activation: QuantType = S8, per_channel: bool = False, **extra: Any) -> dict[str, Any]:
    return {"activation_type": activation, "per_channel": per_channel, "extra_options": extra}


def _qop(activation: QuantType = U8, weight: QuantType = S8, **extra: Any) -> dict[str, Any]:
    return {**_extra(activation, **extra), "weight_type": weight, "quant_format": QuantFormat.QOperator}


# name -> arguments of quantize_static; "pre": after quant_pre_process; "opset": of the float model
OPTIONS: dict[str, dict[str, Any]] = {
    "ActivationSymmetric": _extra(ActivationSymmetric=True),
    "ActivationRestrictedAsymmetric": _extra(U8, ActivationRestrictedAsymmetric=True),
    "WeightSymmetric false": _extra(WeightSymmetric=False),
    "WeightSymmetric false, per channel": _extra(S8, True, WeightSymmetric=False),
    "WeightSymmetric false, u8u8 per channel": {**_extra(U8, True, WeightSymmetric=False), "weight_type": U8},
    "QuantizeBias false": _extra(QuantizeBias=False),
    "QuantizeBias false, per channel": _extra(U8, True, QuantizeBias=False),
    "AddQDQPairToWeight": _extra(AddQDQPairToWeight=True),
    "AddQDQPairToWeight, per channel": _extra(S8, True, AddQDQPairToWeight=True),
    "AddQDQPairToWeight, QuantizeBias false": _extra(U8, AddQDQPairToWeight=True, QuantizeBias=False),
    "DedicatedQDQPair": _extra(DedicatedQDQPair=True),
    "DedicatedQDQPair, u8 per channel": _extra(U8, True, DedicatedQDQPair=True),
    "axis 1 of MatMul": _extra(S8, True, QDQOpTypePerChannelSupportToAxis={"MatMul": 1, "Gemm": 0}),
    "axis 1 of Gemm": _extra(S8, True, QDQOpTypePerChannelSupportToAxis={"MatMul": 1, "Gemm": 1}),
    "QDQKeepRemovableActivations": _extra(QDQKeepRemovableActivations=True),
    "QDQKeepRemovableActivations, u8 symmetric": _extra(U8, QDQKeepRemovableActivations=True, ActivationSymmetric=True),
    "UseQDQContribOps": _extra(UseQDQContribOps=True),
    "UseQDQContribOps, 16 bits": _extra(S16, UseQDQContribOps=True),
    "16 bits, symmetric": _extra(S16, ActivationSymmetric=True),
    "16 bits and 16-bit weights": {**_extra(U16), "weight_type": S16},
    "16-bit weights": {**_extra(S8), "weight_type": S16},
    "16 bits of opset 21": {**_extra(U16), "opset": 21},
    "OpTypesToExcludeOutputQuantization": _extra(OpTypesToExcludeOutputQuantization=["Conv", "Add"]),
    "ForceQuantizeNoInputCheck": _extra(ForceQuantizeNoInputCheck=True),
    "MatMulConstBOnly": _extra(MatMulConstBOnly=True),
    "MinimumRealRange": _extra(MinimumRealRange=0.0001),
    "QDQDisableWeightAdjustForInt32Bias": _extra(QDQDisableWeightAdjustForInt32Bias=True),
    "CalibMovingAverage": _extra(CalibMovingAverage=True),
    "CalibTensorRangeSymmetric": _extra(CalibTensorRangeSymmetric=True),
    "reduce_range": {**_extra(U8), "reduce_range": True},
    "Entropy": {**_extra(), "calibrate_method": CalibrationMethod.Entropy},
    "Percentile": {**_extra(U8), "calibrate_method": CalibrationMethod.Percentile},
    "Distribution": {**_extra(), "calibrate_method": CalibrationMethod.Distribution},
    "only Conv": {**_extra(), "op_types_to_quantize": ["Conv"]},
    "only Conv, u8 per channel": {**_extra(U8, True), "op_types_to_quantize": ["Conv"]},
    "only Gemm and MatMul": {**_extra(), "op_types_to_quantize": ["Gemm", "MatMul"]},
    "Conv, Add, MaxPool": {**_extra(U8), "op_types_to_quantize": ["Conv", "Add", "MaxPool"]},
    "QOperator, only Conv": {**_qop(), "op_types_to_quantize": ["Conv"]},
    "QOperator, ActivationSymmetric": _qop(ActivationSymmetric=True),
    "QOperator, WeightSymmetric false": _qop(U8, U8, WeightSymmetric=False),
    "QOperator, ForceQuantizeNoInputCheck": _qop(ForceQuantizeNoInputCheck=True),
    "quant_pre_process": {**_extra(), "pre": True},
    "quant_pre_process, u8 per channel": {**_extra(U8, True), "pre": True},
    "quant_pre_process, QOperator": {**_qop(), "pre": True},
    "opset 18": {**_extra(), "opset": 18},
    **{f"nodes_to_exclude {k}": {**_extra(), "exclude": k} for k in range(5)},
    **{f"nodes_to_quantize {k}": {**_extra(U8, True), "only": k} for k in range(5)},
}
NAMES = list(NETS)
CASES = [(NAMES[number % len(NAMES)], option) for number, option in enumerate(OPTIONS)]
TYPES = [
    *((kind, *pair) for kind in QuantFormat for pair in ((S8, S8), (U8, U8), (U8, S8))),
    *((QuantFormat.QDQ, *pair) for pair in ((S16, S8), (U16, U8))),
]


class _Reader(q.CalibrationDataReader):
    """Normally distributed inputs."""

    def __init__(self, model: ModelProto) -> None:
        self.generator = np.random.default_rng(3)
        self.shapes = {port.name: [d.dim_value for d in port.type.tensor_type.shape.dim] for port in model.graph.input}
        self.left = 6

    def get_next(self) -> dict[str, Any] | None:
        self.left -= 1
        if self.left < 0:
            return None
        return {name: self.generator.normal(0, 1, shape).astype(np.float32) for name, shape in self.shapes.items()}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The quantizer writes warnings to the root logger."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def _weighted(model: ModelProto, number: int, count: int) -> list[str]:
    """Names of `count` of the nodes that are worth quantizing."""
    names = [node.name for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul", "Add")]
    return [names[(number + k) % len(names)] for k in range(count)]


def quantized(net: str, folder: Path, **options: Any) -> ModelProto:
    """The network as quantize_static writes it with these options."""
    b = Builder(opset=options.pop("opset", 17))
    NETS[net](b)
    model = b.model()
    if options.pop("pre", False):
        onnx.save(model, folder / "float.onnx")
        q.quant_pre_process(folder / "float.onnx", folder / "pre.onnx", skip_symbolic_shape=True)
        model = onnx.load(folder / "pre.onnx")
    if "exclude" in options:
        options["nodes_to_exclude"] = _weighted(model, options.pop("exclude"), 1)
    if "only" in options:
        options["nodes_to_quantize"] = _weighted(model, options.pop("only"), 2)
    q.quantize_static(model, folder / "quantized.onnx", _Reader(model), **options)
    return onnx.load(folder / "quantized.onnx")


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("number", range(len(TYPES)), ids=[" ".join(v.name for v in t) for t in TYPES])
def test_types(net: str, number: int, tmp_path: Path) -> None:
    """Each combination per tensor on every other network, per channel on the rest."""
    kind, activation, weight = TYPES[number]
    per_channel = (number + NAMES.index(net)) % 2 == 1
    options = {"quant_format": kind, "activation_type": activation, "weight_type": weight, "per_channel": per_channel}
    check(quantized(net, tmp_path, **options))


@pytest.mark.parametrize(("net", "option"), CASES, ids=[f"{option}: {net}" for net, option in CASES])
def test_options(net: str, option: str, tmp_path: Path) -> None:
    check(quantized(net, tmp_path, **OPTIONS[option]))


@pytest.mark.parametrize("net", NETS)
def test_mixed_precision(net: str, tmp_path: Path) -> None:
    """One tensor of 16 bits in a model of 8, with conversions around it; another with parameters of its own."""
    b = Builder()
    NETS[net](b)
    first, second = b.nodes[0].output[0], b.nodes[-2].output[0]
    overrides = {
        first: [{"quant_type": U16, "convert": {"quant_type": U8}}],
        second: [{"scale": np.array(0.05, np.float32), "zero_point": np.array(3, np.uint8)}],
    }
    check(quantized(net, tmp_path, **_extra(U8, TensorQuantOverrides=overrides)))


@pytest.mark.parametrize("per_channel", [False, True], ids=["per tensor", "per channel"])
@pytest.mark.parametrize(("activation", "weight"), [(S8, S8), (U8, S8), (U8, U8)], ids=["s8s8", "u8s8", "u8u8"])
def test_a_classifier_with_folded_norms_is_integer_throughout(
    activation: QuantType, weight: QuantType, per_channel: bool, tmp_path: Path
) -> None:
    """The usual recipe: nothing of a convolution network is left in float32, and no byte differs."""
    model = quantized("line", tmp_path, activation_type=activation, weight_type=weight, per_channel=per_channel)
    loaded = load_model(convert(model).model)
    assert {operator.exactness for operator in loaded.operators} == {Exactness.Exact}
    check(model, 64)


@pytest.mark.parametrize(
    ("weight", "kind"),
    [(QuantType.QInt4, "int4"), (QuantType.QUInt4, "uint4"), (QuantType.QFLOAT8E4M3FN, "float8_e4m3fn")],
    ids=["int4", "uint4", "float8"],
)
def test_smaller_types_are_refused(weight: QuantType, kind: str, tmp_path: Path) -> None:
    method = CalibrationMethod.Distribution if "8" in kind else CalibrationMethod.MinMax
    activation = weight if "8" in kind else U8
    model = quantized(
        "line", tmp_path, opset=21, weight_type=weight, activation_type=activation, calibrate_method=method
    )
    with pytest.raises(ConvertError) as caught:
        convert(model)
    assert caught.value.message.startswith("node 'c")
    assert f"(DequantizeLinear): the quantized type is {kind}; supported: int8" in caught.value.message
    assert "weight_type=QuantType.QInt8" in (caught.value.hint or "")


def test_rows_of_a_matrix_quantized_apart_run_in_float(tmp_path: Path) -> None:
    """Scales along the inner axis of MatMul, for which ONNX Runtime has no kernel: its own rewriting fails on them."""
    import onnxruntime

    from onnxino import InferenceSession

    model = quantized("branches", tmp_path, **_extra(S8, True, QDQOpTypePerChannelSupportToAxis={"MatMul": 0}))
    loaded = load_model(convert(model).model)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    oracle = onnxruntime.InferenceSession(model.SerializeToString(), options)
    with pytest.raises(OnnxinoError, match=r"ONNX Runtime loads this model, but cannot run it: .*QLinearMatMul"):
        Oracle(model).run(random_feeds(loaded, 1))
    with InferenceSession(convert(model).model) as session:
        for seed in range(8):
            feeds = random_feeds(loaded, 1, seed)
            expected, found = oracle.run(None, feeds)[0], session.run(None, feeds)[0]
            assert np.abs(expected - found).max() <= 2.01 * loaded.tensors[loaded.outputs[0].tensor].scale
