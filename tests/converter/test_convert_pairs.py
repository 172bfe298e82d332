"""Two quantizations in a row: the converter makes one of them where ONNX Runtime does, with the same parameters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from onnxino import InferenceSession
from onnxino_converter import convert
from onnxino_converter.passes.merge_pairs import merged_parameters
from tests.converter.onnx_net import MS, Net, Q, Tensor

pytest.importorskip("onnxruntime", reason="the oracle is not installed (extra 'verify')")

from onnxino_tools.verify.oracle import Oracle

CASES = [
    (Q(0.05, 0), Q(0.1, -5)),  # one within the other
    (Q(0.05, -128), Q(0.05, 0)),
    (Q(0.05, 30), Q(0.05, -5)),  # each reaches where the other does not
    (Q(0.003, 100), Q(0.7, -100)),
    (Q(1e-6, 0), Q(1e4, 3)),
    (Q(0.1, 0), Q(0.1, 0)),
    (Q(0.1, -128), Q(0.1 / 255, 126)),
]


def _pairs(*quantizations: Q, unsigned: bool = False, branches: int = 1) -> Net:
    """input -> Q, DQ for each quantization -> `branches` sigmoids."""
    net = Net(unsigned=unsigned)
    x = net.input((3, 4, 5), quantizations[0])
    for q in quantizations[1:]:
        x = net.quantize(net.dq(x), q)
    for _ in range(branches):
        net.output(net.quantize(net.op("Sigmoid", [net.dq(x)]), Q(1 / 256, -128)))
    return net


def _agree(net: Net) -> Oracle:
    """Compares the outputs with ONNX Runtime, byte by byte."""
    model, feeds = net.model(), net.random_feeds(32)
    oracle = Oracle(model)
    with InferenceSession(convert(model, name="pairs").model) as session:
        found = session.run(oracle.output_names, feeds)
    for ours, theirs in zip(found, oracle.run(feeds), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    return oracle


@pytest.mark.parametrize("unsigned", [False, True], ids=["int8", "uint8"])
@pytest.mark.parametrize(("first", "second"), CASES)
def test_parameters_and_bytes_are_those_of_onnxruntime(first: Q, second: Q, unsigned: bool) -> None:
    net = _pairs(first, second, unsigned=unsigned)
    oracle = _agree(net)
    made = merged_parameters(_parameters(net, first), _parameters(net, second))
    assert made is not None
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in oracle.rewritten.graph.initializer}
    quantize = next(node for node in oracle.rewritten.graph.node if node.op_type == "QuantizeLinear")
    scale, zero = (constants[name].ravel()[0] for name in quantize.input[1:])
    shift = 128 if zero.dtype != made[1].dtype else 0  # int8 runs as uint8
    assert (scale, int(zero)) == (made[0][0], int(made[1][0]) + shift)


def _parameters(net: Net, q: Q) -> tuple[NDArray[np.float32], NDArray[np.generic]]:
    return np.asarray([q.scale], np.float32), np.asarray([net.zero(q)])


def test_three_in_a_row_become_one() -> None:
    _agree(_pairs(Q(0.05, 20), Q(0.1, -5), Q(0.04, -50)))


def test_all_readers_of_the_second_pair_change() -> None:
    _agree(_pairs(Q(0.05, 20), Q(0.1, -5), branches=2))


def _read_twice(net: Net, x: Tensor) -> str:
    net.output(net.quantize(net.op("Tanh", [net.dq(x)]), Q(1 / 128, 0)))
    return net.dq(x)


def _moved(net: Net, x: Tensor) -> str:
    return net.op("Reshape", [net.dq(x), net.const(np.int64([-1, 3, 4, 5]))])


def _sliced(net: Net, x: Tensor) -> str:
    return net.op("Slice", [net.dq(x), *(net.const(np.int64([v])) for v in (0, 9, 1))])


@pytest.mark.parametrize("between", [_read_twice, _moved, _sliced])
def test_what_lies_between_keeps_them_apart(between: Callable[[Net, Tensor], str]) -> None:
    """A second reader does, and so do movements that move nothing."""
    net = Net()
    x = net.quantize(between(net, net.input((3, 4, 5), Q(0.05, 20))), Q(0.1, -5))
    net.output(net.quantize(net.op("Sigmoid", [net.dq(x)]), Q(1 / 256, -128)))
    _agree(net)


@pytest.mark.parametrize("unsigned", [False, True], ids=["int8", "uint8"])
@pytest.mark.parametrize("op", ["Conv", "Gemm"])
@pytest.mark.parametrize("scale", [0.01, 1e-7])
def test_biases_made_for_the_scale_before(op: str, scale: float, unsigned: bool) -> None:
    """The merged pair changes the input's scale, the bias does not know: QGemm takes its elements nevertheless, and so
    does a convolution of small scales; else ONNX Runtime computes in float32."""
    net = Net(unsigned=unsigned)
    shape = (2, 1, 1) if op == "Conv" else (8,)
    x = net.quantize(net.dq(net.input(shape, Q(0.05, 20))), Q(0.1, -5))
    generator = np.random.default_rng(0)
    weights = generator.integers(-128, 128, (4, 2, 1, 1) if op == "Conv" else (4, 8)).astype(np.int8)
    bias = net.dq_const(generator.integers(-900, 900, 4).astype(np.int32), np.float32(0.1) * np.float32(scale))
    attributes = {"kernel_shape": [1, 1]} if op == "Conv" else {"transB": 1}
    real = net.op(op, [net.dq(x), net.dq_const(weights, scale), bias], **attributes)
    net.output(net.quantize(real, Q(20 * scale, 0)))
    _agree(net)


def test_pairs_with_only_the_zero_in_common_stay_apart() -> None:
    """ONNX Runtime divides by a scale of 0 there."""
    none = merged_parameters(
        (np.float32([0.1]), np.int8([-128])),
        (np.float32([0.1]), np.int8([127])),
    )
    assert none is None
    with InferenceSession(convert(_pairs(Q(0.1, -128), Q(0.1, 127)).model(), name="pairs").model) as session:
        (found,) = session.run(None, {"input1": np.float32([[[[1.0] * 5] * 4] * 3])})
    assert np.all(found == 0.5)


def test_nodes_that_lead_nowhere_read_too() -> None:
    net = Net(style="qop")
    x = net.quantize(net.dq(net.input((3, 4, 5), Q(0.05, 20))), Q(0.1, -5))
    net.op("QLinearSigmoid", [x.name, *net.params(x.q), *net.params(Q(1 / 256, -128))], MS)
    net.output(net.quantize(net.dq(x), Q(0.13, 0)))
    _agree(net)


@pytest.mark.parametrize("unsigned", [False, True], ids=["int8", "uint8"])
@pytest.mark.parametrize(
    ("first", "second"), [((0, 2, 3, 1), (0, 2, 3, 1)), ((0, 2, 3, 1), (0, 3, 1, 2)), ((0, 1, 3, 2), (0, 1, 3, 2))]
)
def test_pairs_that_become_neighbours_when_transposes_join(
    first: tuple[int, ...], second: tuple[int, ...], unsigned: bool
) -> None:
    """x -> Q1, DQ1, T1, Q2, DQ2, T2, Q3, DQ3: ONNX Runtime joins T1 and T2, and then merges pairs that meet."""
    net = Net(unsigned=unsigned)
    a, b, c = Q(0.02, 0), Q(0.02, -128), Q(0.03, -7)
    turned = net.quantize(net.op("Transpose", [net.dq(net.input((3, 4, 5), a))], perm=list(first)), b)
    net.output(net.quantize(net.op("Transpose", [net.dq(turned)], perm=list(second)), c))
    _agree(net)


def test_transposes_around_a_convolution_are_left_alone() -> None:
    net = Net()
    x = net.op("Transpose", [net.dq(net.input((6, 6, 3), Q(0.02)))], perm=[0, 3, 1, 2])
    weights = net.dq_const(np.random.default_rng(0).integers(-127, 128, (4, 3, 3, 3)).astype(np.int8), 0.01)
    conv = net.quantize(net.op("Conv", [net.dq(net.quantize(x, Q(0.02))), weights]), Q(0.1))
    net.output(net.quantize(net.op("Transpose", [net.dq(conv)], perm=[0, 2, 3, 1]), Q(0.1)))
    _agree(net)
