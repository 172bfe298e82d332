"""What exporters write: their own models, and the detours that they take to say the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_net import MS, Net, Q, Tensor, ort_session, steps
from test_convert_models import feeds, unshared

from onnxino import InferenceSession, load_model
from onnxino.errors import ConvertError
from onnxino.schema.model import ElementType, Exactness
from onnxino_converter import convert

X, Y = Q(0.02, -3), Q(0.05, 7)
FLOAT_MODELS = (
    *(f"trashnet/{name}.onnx" for name in ("base", "struct30", "struct50", "unstruct50", "unstruct80")),
    "mlperf_tiny/ic_float.onnx",
    "wild/w17_float_micro_kws.onnx",
    "wild/w23_alibaba_vww_pruned_float.onnx",
)
EXPORTED = (
    *(f"exporters/{name}.onnx" for name in ("nncf_performance", "quark_xint8", "torch_fxqat_fakequant")),
    "exporters/torchao_pt2e.onnx",
    "wild/w19_k1_resnet8_qdq.onnx",
    "wild/w20_k1_kws_qdq.onnx",
)
REFUSED = {"ort_dynamic_u8": ("DynamicQuantizeLinear", "quantize_static"), "brevitas_qonnx": ("Quant", "QCDQ")}


def _model(shared: Path, name: str) -> Path:
    path = shared / "models" / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


@pytest.mark.parametrize("name", [*EXPORTED, *FLOAT_MODELS])
def test_exported_model(shared: Path, name: str) -> None:
    """float32 outputs within rounding of ONNX Runtime's; within 2 % of the largest where quantized steps are inside."""
    path = _model(shared, name)
    start = time.perf_counter()
    converted = convert(path, float=name in FLOAT_MODELS, board=None)
    assert time.perf_counter() - start < 3
    loaded = load_model(converted.model)
    stepped = any(operator.exactness == Exactness.Step for operator in loaded.operators)
    oracle = ort_session(unshared(onnx.load(path)))
    with InferenceSession(converted.model) as session:
        for one in feeds(oracle, 3):
            for wanted, found in zip(oracle.run(None, one), session.run(None, one), strict=True):
                assert found.dtype == wanted.dtype
                assert found.shape == wanted.shape
                reach = float(np.abs(wanted).max())
                assert np.abs(found - wanted).max() <= (0.02 if stepped else 1e-5) * max(reach, 1.0)


@pytest.mark.parametrize(("name", "words"), REFUSED.items(), ids=REFUSED.keys())
def test_refused_by_design(shared: Path, name: str, words: tuple[str, str]) -> None:
    path = _model(shared, f"exporters/{name}.onnx")
    with pytest.raises(ConvertError) as caught:
        convert(path)
    assert caught.value.message.startswith("node '")
    assert words[0] in caught.value.message
    assert "docs/operators.md lists" in caught.value.message
    assert words[1] in (caught.value.hint or "")


def test_every_exported_model_fits_the_board(shared: Path) -> None:
    for name in EXPORTED:
        convert(_model(shared, name))


# ------------------------------------------------------------------------------------------------- detours


def _identity(net: Net, name: str) -> str:
    return net.op("Identity", [name])


def _constant_node(net: Net, name: str) -> str:
    tensor = next(t for t in net.initializers if t.name == name)
    return net.op("Constant", [], value=tensor)


def _cast(net: Net, name: str) -> str:
    tensor = next(t for t in net.initializers if t.name == name)
    wide = net.op("Cast", [name], to=TensorProto.DOUBLE if tensor.data_type == TensorProto.FLOAT else TensorProto.INT32)
    return net.op("Cast", [wide], to=tensor.data_type)


def _filled(net: Net, name: str) -> str:
    tensor = next(t for t in net.initializers if t.name == name)
    value = onnx.numpy_helper.to_array(tensor).reshape(1)
    made = net.op("ConstantOfShape", [net.const(np.asarray([1], np.int64))], value=onnx.numpy_helper.from_array(value))
    return net.op("Squeeze", [made])


def _from_shape(net: Net, name: str) -> str:
    """The scalar times a one that is read off a shape."""
    shape = net.op("Shape", [net.inputs[0].name])
    one = net.op("Gather", [shape, net.const(np.asarray(0, np.int64))])
    kind = next(t for t in net.initializers if t.name == name).data_type
    return net.op("Mul", [name, net.op("Cast", [one], to=kind)]) if kind == TensorProto.FLOAT else name


DETOURS: dict[str, Callable[[Net, str], str]] = {
    "Identity": _identity,
    "Constant": _constant_node,
    "Cast": _cast,
    "ConstantOfShape": _filled,
    "Shape, Gather": _from_shape,
}


def _conv(net: Net, detour: Callable[[Net, str], str] | None = None, domain: str = "") -> None:
    original = net.params
    net.batch = 1
    x = net.input((2, 5, 5), X)
    if detour is not None:
        net.params = lambda q: [detour(net, name) for name in original(q)]  # type: ignore[method-assign]
    weights = np.random.default_rng(1).integers(-127, 128, (3, 2, 3, 3)).astype(np.int8)
    dq = net.op("DequantizeLinear", [x.name, *net.params(X)], domain)
    made = net.op("Conv", [dq, net.dq_const(weights, np.float32(0.01))])
    quantized = Tensor(net.op("QuantizeLinear", [made, *net.params(Y)], domain), Y)
    net.output(quantized)


def _agree(net: Net, *, integer: bool = True) -> None:
    """The bytes of ONNX Runtime; `integer`: nothing of it in float32."""
    model = net.model()
    converted = convert(model)
    loaded = load_model(converted.model)
    given = net.random_feeds(1)
    expected = ort_session(model).run(None, given)[0]
    with InferenceSession(converted.model) as session:
        found = session.run(None, given)[0]
    scale = loaded.tensors[loaded.outputs[0].tensor].scale
    assert steps(expected, found, scale).max() == 0
    assert not integer or {operator.exactness for operator in loaded.operators} == {Exactness.Exact}


@pytest.mark.parametrize("detour", DETOURS.values(), ids=DETOURS.keys())
def test_scales_through_other_nodes(detour: Callable[[Net, str], str]) -> None:
    net = Net()
    _conv(net, detour)
    _agree(net)


def test_quantizers_of_microsoft() -> None:
    net = Net()
    _conv(net, domain=MS)
    _agree(net, integer=False)


def test_initializers_listed_as_inputs() -> None:
    net = Net()
    _conv(net)
    model = net.model()
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    assert len(load_model(convert(model).model).inputs) == 1


def test_float_weights_behind_quantizers() -> None:
    """Weights that are float, quantized and dequantized again are the int8 weights."""
    net = Net(batch=1)
    x = net.input((2, 5, 5), X)
    weights = net.const(np.random.default_rng(1).uniform(-1, 1, (3, 2, 3, 3)).astype(np.float32))
    scales = [net.const(np.float32([0.008, 0.007, 0.006])) for _ in range(2)]
    zeros = [net.const(np.zeros(3, np.int8)) for _ in range(2)]
    quantized = net.op("QuantizeLinear", [weights, scales[0], zeros[0]], axis=0)
    made = net.op("Conv", [net.dq(x), net.op("DequantizeLinear", [quantized, scales[1], zeros[1]], axis=0)])
    net.output(net.quantize(made, Y))
    _agree(net)


def test_batch_norm_behind_a_quantized_convolution_stays_int8() -> None:
    net = Net(batch=1)
    x = net.input((2, 5, 5), X)
    conv = net.op("Conv", [net.dq(x), net.dq_const(np.ones((3, 2, 1, 1), np.int8), np.float32(0.01))])
    stats = [net.const(np.float32(v)) for v in ([1.5, -0.5, 2], [0.1, 0, -0.2], [0.3, 0.1, 0], [1, 2, 0.5])]
    net.output(net.quantize(net.op("Relu", [net.op("BatchNormalization", [conv, *stats])]), Y))
    converted = convert(net.model())
    assert [operator["kernel"] for operator in converted.report["operators"]] == ["Conv2D"]
    given = net.random_feeds(1)
    with InferenceSession(converted.model) as session:
        found = session.run(None, given)[0]
    assert steps(ort_session(net.model()).run(None, given)[0], found, Y.scale).max() <= 1


@pytest.mark.parametrize("depthwise", [True, False])
def test_activations_quantized_per_channel(depthwise: bool) -> None:
    """Read by a depthwise Conv alone they stay int8; else they lie on their grid in float32."""
    net = Net(batch=1)
    x = net.input((2, 5, 5), X)
    generator = np.random.default_rng(1)
    first = generator.integers(-127, 128, (4, 2, 3, 3)).astype(np.int8)
    second = generator.integers(-127, 128, (4, 1, 3, 3) if depthwise else (3, 4, 1, 1)).astype(np.int8)
    scale = np.float32([0.01, 0.02, 0.015, 0.03])
    made = net.op("Relu", [net.op("Conv", [net.dq(x), net.dq_const(first, np.float32(0.01))])])
    quantized = net.op("QuantizeLinear", [made, net.const(scale), net.const(np.full(4, -128, np.int8))], axis=1)
    again = net.op("DequantizeLinear", [quantized, net.const(scale), net.const(np.full(4, -128, np.int8))], axis=1)
    conv = net.op("Conv", [again, net.dq_const(second, np.float32(0.02))], group=4 if depthwise else 1)
    net.output(net.quantize(conv, Y))
    converted = convert(net.model())
    kernels = {operator["kernel"] for operator in converted.report["operators"]}
    assert ("FakeQuantize" in kernels) is not depthwise
    assert not depthwise or kernels == {"Conv2D", "DepthwiseConv2D"}
    given = net.random_feeds(1)
    expected = ort_session(net.model()).run(None, given)[0]
    with InferenceSession(converted.model) as session:
        found = session.run(None, given)[0]
    assert steps(expected, found, Y.scale).max() <= 2  # a step in each of the two


# ------------------------------------------------------------------------------------------------- options


def _float_net() -> Any:
    net = Net()
    net.inputs.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 4, 4]))
    made = net.op("Relu", [net.op("Conv", ["x", net.const(np.ones((3, 2, 1, 1), np.float32))])])
    net.outputs.append(helper.make_tensor_value_info(made, TensorProto.FLOAT, None))
    return net.model()


def test_float_model_has_float_tensors() -> None:
    converted = convert(_float_net(), float=True)
    loaded = load_model(converted.model)
    assert {tensor.type for tensor in loaded.tensors} == {ElementType.Float32}
    assert [operator["kernel"] for operator in converted.report["operators"]] == ["FloatConv2D"]
    assert (converted.report["parameters"], converted.report["nonzero"]) == (6, 6)
    assert '"float":true' in loaded.provenance.options


def test_float_model_that_does_not_fit() -> None:
    net = Net()
    net.inputs.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 200, 200]))
    made = net.op("Conv", ["x", net.const(np.ones((8, 3, 1, 1), np.float32))])
    net.outputs.append(helper.make_tensor_value_info(made, TensorProto.FLOAT, None))
    with pytest.raises(ConvertError, match="bytes of RAM") as caught:
        convert(net.model(), float=True)
    assert "[1, 200, 200, 8] 1,280,000" in caught.value.message


def test_optimized_graph_for_viewers(tmp_path: Path) -> None:
    net = Net()
    _conv(net)
    convert(net.model(), save_onnx_optimized=tmp_path / "seen.onnx")
    seen = onnx.load(tmp_path / "seen.onnx")
    assert [(node.op_type, node.domain) for node in seen.graph.node] == [("Conv2D", "org.onnxino")]
    assert [list(t.dims) for t in seen.graph.initializer] == [[54]]
    attributes = {a.name for a in seen.graph.node[0].attribute}
    assert attributes >= {"window.kernel_h", "requantization.scale", "bias", "exactness"}
    with pytest.raises(ConvertError, match="cannot be written"):
        convert(net.model(), save_onnx_optimized=tmp_path / "none" / "seen.onnx")
