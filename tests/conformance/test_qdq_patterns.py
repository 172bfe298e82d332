"""Every QDQ pattern x types x per tensor/per channel x shapes against ONNX Runtime.

What ONNX Runtime makes of a pattern decides what must hold. All in integers: not one byte may differ. Some of it in
float32: each operator keeps its promise, and how many bytes differ is shown in a line at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from onnxino_converter import convert
from onnxino_tools.verify.oracle import Oracle
from onnxino_tools.verify.run import verify
from tests.converter import patterns
from tests.converter.onnx_net import Net, Q, Tensor

pytest.importorskip("onnxruntime", reason="the oracle is not installed (extra 'verify')")

Shape = tuple[int, ...]
Build = Callable[[Net], None]
X, Y, SAME = Q(0.02, -3), Q(0.03, 5), None
SHAPES: tuple[Shape, ...] = ((4, 5, 6), (1, 7, 1), (8, 2, 2))
ROWS = 6


def one(kind: str, y: Q | None, *constants: Any, **attributes: Any) -> Callable[[Net, Shape], None]:
    """One operator on one tensor; `y` None: the quantization does not change."""

    def build(net: Net, shape: Shape) -> None:
        x = net.input(shape, X)
        inputs = [net.dq(x), *(net.const(c) for c in constants)]
        net.output(net.quantize(net.op(kind, inputs, **attributes), y or X))

    return build


def two(kind: str) -> Callable[[Net, Shape], None]:
    def build(net: Net, shape: Shape) -> None:
        a, b = net.input(shape, X), net.input(shape, Q(0.013, 127))
        net.output(net.quantize(net.op(kind, [net.dq(a), net.dq(b)]), Y))

    return build


def split(net: Net, shape: Shape) -> None:
    """The last axis in two (one element stays one)."""
    x, size = net.input(shape, X), shape[-1]
    if size == 1:
        net.output(net.quantize(net.op("Identity", [net.dq(x)]), X))
        return
    net.op("Split", [net.dq(x), net.const(np.int64([1, size - 1]))], axis=3)
    node = net.nodes[-1]
    node.output.append(f"{node.output[0]}_rest")
    for name in list(node.output):
        net.output(net.quantize(name, X))


def batch_norm(net: Net, shape: Shape) -> None:
    """BatchNormalization that was left beside its Conv."""
    x, c = net.input(shape, X), shape[0]
    generator = np.random.default_rng(3)
    weights = generator.integers(-127, 128, (c, c, 1, 1)).astype(np.int8)
    real = net.op("Conv", [net.dq(x), net.dq_const(weights, np.float32(0.005))])
    given = [net.const(generator.uniform(0.5, 1.5, c).astype(np.float32)) for _ in range(4)]
    net.output(net.quantize(net.op("BatchNormalization", [real, *given]), Y))


def conv_pairs(net: Net, shape: Shape) -> None:
    """Pad, Conv and a HardSwish that runs in float32."""
    x, c = net.input(shape, X), shape[0]
    weights = np.random.default_rng(4).integers(-127, 128, (3, c, 3, 3)).astype(np.int8)
    padded = net.op("Pad", [net.dq(x), net.const(np.int64([0, 0, 1, 1, 0, 0, 1, 2]))])
    first: Tensor = net.quantize(padded, X)
    small = (shape[1] + 2 >= 3) and (shape[2] + 3 >= 3)
    assert small
    real = net.op("Conv", [net.dq(first), net.dq_const(weights, np.float32(0.005))])
    net.output(net.quantize(net.op("HardSwish", [real]), Y))


BY_SHAPE: dict[str, Callable[[Net, Shape], None]] = {
    **{kind: two(kind) for kind in ("Sub", "Div", "Max", "Min", "Add", "Mul")},
    "PRelu": one("PRelu", Y, np.float32([[[0.25]]])),
    "Gelu": lambda net, shape: setattr(net, "opset", 20) or one("Gelu", Y)(net, shape),
    "LogSoftmax": one("LogSoftmax", Q(0.05, 100)),
    "Softmax": one("Softmax", Q(1 / 256, -128), axis=1),
    **{kind: one(kind, Y) for kind in ("Sigmoid", "Tanh", "Elu", "HardSigmoid", "HardSwish", "LeakyRelu", "Relu")},
    **{kind: one(kind, Y) for kind in ("Softplus", "Erf", "Exp", "Neg", "Abs", "Selu", "GlobalAveragePool")},
    "Identity": one("Identity", SAME),
    "Flatten": one("Flatten", SAME),
    "Transpose": one("Transpose", SAME, perm=[0, 2, 3, 1]),
    "Slice": one("Slice", SAME, *(np.int64([v]) for v in (0, 3, 1))),
    "Slice with another scale": one("Slice", Y, *(np.int64([v]) for v in (1, 9, 2))),
    "Pad": one("Pad", SAME, np.int64([0, 0, 1, 2, 0, 0, 0, 1])),
    "Pad edge": one("Pad", SAME, np.int64([0, 1, 1, 0, 0, 0, 0, 1]), mode="edge"),
    "Resize nearest": one(
        "Resize",
        SAME,
        np.float32([]),
        np.float32([1, 1, 2, 2]),
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    ),
    "Gather": one("Gather", SAME, np.int64([0, 0]), axis=1),
    "Split": split,
    "ReduceMax": one("ReduceMax", SAME, axes=[2, 3]),
    "ReduceSum": one("ReduceSum", Q(0.3, 5), np.int64([1])),
    "ReduceMean over channels": one("ReduceMean", Y, axes=[1]),
    "MaxPool": one("MaxPool", SAME, kernel_shape=[2, 1], strides=[2, 1]),
    "AveragePool": one("AveragePool", Y, kernel_shape=[2, 1], pads=[1, 0, 0, 0]),
    "Conv + BatchNormalization": batch_norm,
    "Pad, Conv, HardSwish": conv_pairs,
}


@dataclass
class Tally:
    """What all cases together gave."""

    integer_cases: int = 0
    integer_bytes: int = 0
    float_cases: int = 0
    float_bytes: int = 0
    different: int = 0
    steps: int = 0
    refused: int = 0

    def __str__(self) -> str:
        return (
            f"QDQ patterns against ONNX Runtime: {self.integer_cases} in integers, 0 of {self.integer_bytes:,} bytes "
            f"differ; {self.float_cases} partly in float32, {self.different:,} of {self.float_bytes:,} bytes differ, "
            f"by {self.steps} at most; {self.refused} that ONNX Runtime cannot run"
        )


@pytest.fixture(scope="module")
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """Counts; the line is shown when the last case is done."""
    counts = Tally()
    yield counts
    capture: Any = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\n{counts}")


def compare(net: Net, tally: Tally) -> None:
    """One case: by bytes where ONNX Runtime runs in integers, else by promise."""
    model, feeds = net.model(), net.random_feeds(ROWS)
    try:
        oracle = Oracle(model)
        oracle.run({name: array[:1] for name, array in feeds.items()})
    except Exception:  # ONNX Runtime's own exceptions have no common base
        tally.refused += 1
        return
    report, _ = verify(model, convert(model, name="pattern").model, feeds, ["numpy"])
    broken = [vars(o) for o in report.operators if not o.kept]
    assert not broken
    found = report.backends["numpy"]
    assert found.bytes_compared > 0
    if oracle.float_operators():
        tally.float_cases += 1
        tally.float_bytes += found.bytes_compared
        tally.different += found.bytes_different
        tally.steps = max(tally.steps, found.steps)
    else:
        tally.integer_cases += 1
        tally.integer_bytes += found.bytes_compared
        assert found.bytes_different == 0


@pytest.mark.parametrize("unsigned", [False, True], ids=["s8", "u8"])
@pytest.mark.parametrize("name", BY_SHAPE)
def test_patterns_of_many_shapes(name: str, unsigned: bool, tally: Tally) -> None:
    for shape in SHAPES:
        net = Net(unsigned=unsigned, ports="quantized")
        BY_SHAPE[name](net, shape)
        compare(net, tally)


def fixed_cases() -> list[tuple[str, Build]]:
    """The patterns with weights, per tensor and per channel, and those without."""
    cases: list[tuple[str, Build]] = []
    for table in (patterns.BOTH, patterns.QDQ):
        for name, build in table.items():
            cases += [
                (f"{name} {'per channel' if pc else 'per tensor'}", with_channels(build, pc)) for pc in (False, True)
            ]
    return cases + [
        (name, build) for table in (patterns.BOTH_PLAIN, patterns.QDQ_PLAIN) for name, build in table.items()
    ]


def with_channels(build: Callable[[Net, bool], None], per_channel: bool) -> Build:
    return lambda net: build(net, per_channel)


CASES = fixed_cases()


@pytest.mark.parametrize("unsigned", [False, True], ids=["s8", "u8"])
@pytest.mark.parametrize(("name", "build"), CASES, ids=[name for name, _ in CASES])
def test_patterns(name: str, build: Build, unsigned: bool, tally: Tally) -> None:
    net = Net(unsigned=unsigned)
    build(net)
    compare(net, tally)


@pytest.mark.parametrize("per_channel", [False, True], ids=["per tensor", "per channel"])
@pytest.mark.parametrize("bias", ["none", "int", "float"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_uint8_weights(bias: str, per_channel: bool, shape: Shape, tally: Tally) -> None:
    net = Net(unsigned=True)
    patterns.conv(net, per_channel, (shape[0], 6, 7), bias=bias, weights_unsigned=True, pads=[0, 1, 1, 0])
    compare(net, tally)
