"""Each operator: as ONNX Runtime computes it, before and after a step of training."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train (PyTorch)")

from onnxino_tools.train import to_module  # noqa: E402
from tests.train.networks import Net, onnxruntime_of  # noqa: E402

F = np.float32


def after(kind: str, *constants: Any, opset: int = 17, **attributes: Any) -> Callable[[Any], Net]:
    """A convolution, and then this operator with these constants."""

    def build(batch: Any) -> Net:
        net = Net((batch, 3, 8, 7), opset)
        net.conv(3, 4, bias=True)
        names = ["" if value is None else net.const(f"constant{k}", value) for k, value in enumerate(constants)]
        net.op(kind, *names, **attributes)
        return net

    return build


def instead(kernel: tuple[int, int] = (3, 3), groups: int = 1, **attributes: Any) -> Callable[[Any], Net]:
    """A convolution like this."""

    def build(batch: Any) -> Net:
        net = Net((batch, 4, 9, 8))
        weight = net.weights("conv.weight", 6, 4 // groups, *kernel)
        net.op("Conv", weight, net.const("conv.bias", np.arange(6, dtype=F)), group=groups, **attributes)
        return net

    return build


def transposed(**attributes: Any) -> Callable[[Any], Net]:
    def build(batch: Any) -> Net:
        net = Net((batch, 4, 5, 6))
        net.op("ConvTranspose", net.weights("up.weight", 4, 3, 3, 3), net.const("up.bias", np.ones(3, F)), **attributes)
        return net

    return build


def dense(build: Callable[[Net], None], opset: int = 17) -> Callable[[Any], Net]:
    def whole(batch: Any) -> Net:
        net = Net((batch, 6), opset)
        build(net)
        return net

    return whole


def _gemm(**attributes: Any) -> Callable[[Net], None]:
    def build(net: Net) -> None:
        shape = (4, 6) if attributes.get("transB") else (6, 4)
        net.op("Gemm", net.weights("w", *shape), net.const("b", np.arange(4, dtype=F)), **attributes)

    return build


def _linear(net: Net) -> None:
    net.op("MatMul", net.weights("w", 6, 4))
    net.op("Add", net.const("b", np.arange(4, dtype=F)))


def _turned_weight(net: Net) -> None:
    turned = net.op("Transpose", "|", net.weights("w", 4, 6), perm=[1, 0])
    net.op("MatMul", "|", "image", turned)


def _logarithm(net: Net) -> None:
    net.op("Gemm", net.weights("w", 6, 4))
    net.op("Sigmoid")
    net.op("Add", net.const("one", F(1)))
    net.op("Log")
    net.op("Add", net.const("two", F(2)))
    net.op("Sqrt")
    net.op("Reciprocal")


def _one_dimensional(net: Net) -> None:
    net.op("Unsqueeze", net.const("axes", np.array([1])))
    net.op("Conv", net.weights("w", 3, 1, 3), pads=[2, 0], dilations=[2], strides=[2])
    net.op("AveragePool", kernel_shape=[2], strides=[1], pads=[0, 1])
    net.op("GlobalMaxPool")
    net.op("Squeeze", net.const("last", np.array([2])))


def _squeeze_excite(batch: Any) -> Net:
    net = Net((batch, 3, 8, 8))
    trunk = net.conv(3, 4)
    net.op("ReduceMean", axes=[2, 3], keepdims=1)
    net.conv(4, 4, 1, bias=True, pads=[0, 0, 0, 0])
    net.op("HardSigmoid", alpha=1 / 6, beta=0.5)
    net.op("Mul", "|", trunk, net.last)
    return net


def _dynamic_flatten(batch: Any) -> Net:
    """view(x.size(0), -1), as torch writes it."""
    net = Net((batch, 3, 4, 4))
    trunk = net.conv(3, 2)
    net.op("Shape")
    net.op("Gather", net.const("first", np.array(0)), axis=0)
    net.op("Unsqueeze", net.const("axes", np.array([0])))
    net.op("Concat", net.const("rest", np.array([-1])), axis=0)
    net.op("Reshape", "|", trunk, net.last)
    net.dense(32, 3)
    return net


def _shuffle(batch: Any) -> Net:
    """Split, two branches, Concat, channel shuffle."""
    net = Net((batch, 3, 4, 4))
    net.conv(3, 4)
    left = net.op("Split", net.const("parts", np.array([1, 3])), outputs=2, axis=1)
    right = f"{left}_1"
    reverse = {"starts": [2], "ends": [-9], "axes": [1], "steps": [-1]}
    net.op("Slice", "|", right, *(net.const(name, np.array(value)) for name, value in reverse.items()))
    net.op("Concat", "|", left, net.last, axis=1)
    net.op("Reshape", net.const("groups", np.array([0, 2, 2, 4, 4])))
    net.op("Transpose", perm=[0, 2, 1, 3, 4])
    net.op("Reshape", net.const("flat", np.array([0, -1, 4, 4])))
    return net


def _counted(batch: Any) -> Net:
    """The number of values a sample has, computed from the shape; and half of the channels."""
    net = Net((batch, 3, 4, 4))
    net.conv(3, 4)
    half = net.op("Split", outputs=2, axis=1)
    net.op("Shape", "|", half, start=1)
    net.op("ReduceProd", keepdims=1)
    net.op("Cast", to=onnx.TensorProto.INT64)
    net.op("Concat", "|", net.const("rest", np.array([-1])), net.last, axis=0)
    net.op("Reshape", "|", half, net.last)
    return net


def _residual(batch: Any) -> Net:
    net = Net((batch, 3, 6, 6))
    start = net.conv(3, 4, bias=True)
    net.norm(4, epsilon=1e-3, momentum=0.99)
    net.op("Relu")
    net.conv(4, 4, group=4)
    net.op("Add", start)
    return net


def _constant_node(batch: Any) -> Net:
    net = Net((batch, 3, 4, 4))
    weight = net.rng.standard_normal((2, 3, 1, 1)).astype(F)
    net.nodes.append(onnx.helper.make_node("Constant", [], ["weight"], value=onnx.numpy_helper.from_array(weight)))
    net.op("Conv", "weight")
    return net


POOL = {"kernel_shape": [3, 3]}
CHANNELS = np.array([0.5, -1, 2, 0.1], F).reshape(4, 1, 1)
CASES: dict[str, Callable[[Any], Net]] = {
    "conv": instead(pads=[1, 1, 1, 1]),
    "conv-strides": instead(strides=[2, 3], pads=[1, 1, 1, 1]),
    "conv-dilations": instead(dilations=[2, 1], pads=[2, 1, 2, 1]),
    "conv-uneven-pads": instead(pads=[0, 2, 1, 0], strides=[2, 2]),
    "conv-same-upper": instead((4, 3), auto_pad="SAME_UPPER", strides=[2, 2]),
    "conv-same-lower": instead((4, 3), auto_pad="SAME_LOWER", strides=[2, 2]),
    "conv-valid": instead((1, 3), auto_pad="VALID"),
    "conv-groups": instead(groups=2),
    "conv-transpose": transposed(strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]),
    "conv-transpose-uneven": transposed(strides=[2, 1], pads=[0, 1, 1, 2]),
    "gemm": dense(_gemm(transB=1)),
    "gemm-alpha-beta": dense(_gemm(alpha=0.5, beta=2.0)),
    "matmul-add": dense(_linear),
    "matmul-turned-weight": dense(_turned_weight),
    "log-sqrt-reciprocal": dense(_logarithm),
    "one-dimensional": dense(_one_dimensional),
    "squeeze-excite": _squeeze_excite,
    "dynamic-flatten": _dynamic_flatten,
    "shuffle": _shuffle,
    "counted": _counted,
    "residual": _residual,
    "constant-node": _constant_node,
    "batch-norm": after("BatchNormalization", *(np.array([0.5, 1, 2, 3], F),) * 4, epsilon=1e-3),
    "add": after("Add", CHANNELS),
    "sub": after("Sub", CHANNELS),
    "mul": after("Mul", CHANNELS),
    "div": after("Div", CHANNELS),
    "min": after("Min", CHANNELS, F(0.3)),
    "max": after("Max", CHANNELS, F(0.3)),
    "sum": after("Sum", CHANNELS, CHANNELS),
    "mean": after("Mean", CHANNELS, CHANNELS),
    "pow": after("Pow", F(2)),
    "abs": after("Abs"),
    "neg": after("Neg"),
    "relu": after("Relu"),
    "clip": after("Clip", F(-0.2), F(0.5)),
    "clip-max": after("Clip", None, F(0.5)),
    "clip-6": after("Clip", opset=6, min=0.0, max=0.6),
    "exp": after("Exp"),
    "erf": after("Erf"),
    "gelu": after("Gelu", opset=20),
    "gelu-tanh": after("Gelu", opset=20, approximate="tanh"),
    "elu": after("Elu", alpha=0.5),
    "softplus": after("Softplus"),
    "hard-swish": after("HardSwish"),
    "hard-sigmoid": after("HardSigmoid"),
    "sigmoid": after("Sigmoid"),
    "tanh": after("Tanh"),
    "leaky-relu": after("LeakyRelu", alpha=0.3),
    "prelu": after("PRelu", CHANNELS),
    "prelu-one": after("PRelu", np.array([0.3], F)),
    "softmax": after("Softmax", axis=1),
    "softmax-11": after("Softmax", opset=11),
    "log-softmax": after("LogSoftmax"),
    "max-pool": after("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
    "max-pool-pads": after("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "max-pool-uneven": after("MaxPool", kernel_shape=[3, 2], strides=[2, 2], pads=[0, 0, 1, 1]),
    "max-pool-ceil": after("MaxPool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "max-pool-same": after("MaxPool", kernel_shape=[3, 2], strides=[2, 2], auto_pad="SAME_UPPER"),
    "max-pool-dilations": after("MaxPool", kernel_shape=[2, 2], dilations=[2, 3]),
    "average-pool": after("AveragePool", kernel_shape=[2, 3], strides=[2, 1]),
    "average-pool-pads": after("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "average-pool-include": after("AveragePool", **POOL, strides=[2, 2], pads=[1, 0, 1, 1], count_include_pad=1),
    "average-pool-ceil": after("AveragePool", opset=19, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    "average-pool-ceil-include": after(
        "AveragePool", **POOL, opset=19, strides=[3, 3], pads=[1, 1, 1, 1], ceil_mode=1, count_include_pad=1
    ),
    "average-pool-same": after("AveragePool", kernel_shape=[2, 2], auto_pad="SAME_LOWER"),
    "global-average-pool": after("GlobalAveragePool"),
    "global-max-pool": after("GlobalMaxPool"),
    "reduce-mean": after("ReduceMean", axes=[2, 3], keepdims=0),
    "reduce-mean-18": after("ReduceMean", np.array([-1, -2]), opset=18),
    "reduce-sum": after("ReduceSum", np.array([2])),
    "reduce-nothing": after("ReduceSum", noop_with_empty_axes=1),
    "reduce-max": after("ReduceMax", axes=[3]),
    "reduce-min": after("ReduceMin", axes=[-1], keepdims=0),
    "flatten": after("Flatten"),
    "flatten-negative": after("Flatten", axis=-3),
    "reshape": after("Reshape", np.array([0, 4, -1])),
    "reshape-open": after("Reshape", np.array([-1, 224])),
    "transpose": after("Transpose", perm=[0, 2, 3, 1]),
    "unsqueeze": after("Unsqueeze", np.array([1, -1])),
    "unsqueeze-11": after("Unsqueeze", opset=11, axes=[1]),
    "pad": after("Pad", np.array([0, 0, 1, 0, 0, 0, 2, 1]), F(0.5)),
    "pad-axes": after("Pad", np.array([1, 2]), None, np.array([-1]), opset=18),
    "pad-10": after("Pad", opset=10, pads=[0, 1, 0, 0, 0, 0, 0, 1]),
    "pad-reflect": after("Pad", np.array([0, 0, 1, 2, 0, 0, 3, 1]), mode="reflect"),
    "pad-edge": after("Pad", np.array([0, 0, 1, 2, 0, 0, 3, 1]), mode="edge"),
    "identity": after("Identity"),
    "dropout": after("Dropout", F(0.5)),
    "dropout-11": after("Dropout", opset=11, ratio=0.3),
}


@pytest.mark.parametrize("batch", ["N", 1], ids=["open", "one"])
@pytest.mark.parametrize("name", CASES)
def test_operator(name: str, batch: Any) -> None:
    net = CASES[name](batch)
    model = net.model()
    onnx.checker.check_model(model)
    module = to_module(model)
    rng = np.random.default_rng(1)
    images = rng.standard_normal((3, *net.shape[1:])).astype(F)

    def expected(model: onnx.ModelProto) -> np.ndarray[Any, Any]:
        if batch == 1:
            return np.concatenate([onnxruntime_of(model, image[None]) for image in images])
        return onnxruntime_of(model, images)

    def computed() -> np.ndarray[Any, Any]:
        with torch.no_grad():
            return module.eval()(torch.from_numpy(images)).numpy()

    before = computed()
    np.testing.assert_allclose(before, expected(model), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(onnxruntime_of(module.to_onnx(), images[:1]), onnxruntime_of(model, images[:1]))

    module.train()
    optimizer = torch.optim.SGD(module.parameters(), 0.05)
    (module(torch.from_numpy(images)) ** 2).mean().backward()
    for parameter_name, parameter in module.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name
    optimizer.step()
    trained = module.to_onnx()
    after = computed()
    assert not np.array_equal(before, after)
    onnx.checker.check_model(trained, full_check=True)
    np.testing.assert_allclose(after, expected(trained), rtol=1e-5, atol=1e-5)
