"""The C kernels against the NumPy kernels, byte for byte: edge shapes, extreme scales and zero points, ties."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import engine_models as em
import numpy as np
import pytest

from onnxino.backends import open_backend
from onnxino.model import load_model, shape_of
from onnxino.schema import model as s
from onnxino.schema.codec import encode

f32 = np.float32
Array = np.ndarray[Any, Any]


def compare(model: s.Model, batch: int = 3, low: int = -128, high: int = 127) -> dict[int, Array]:
    """Runs both backends on random inputs, compares every tensor and returns them. Asserts that something varies."""
    data = encode(model)
    model = load_model(data)
    rng = np.random.default_rng(11)
    inputs = [rng.integers(low, high + 1, (batch, *shape_of(model.tensors[p.tensor])), np.int8) for p in model.inputs]
    results: list[dict[int, Array]] = []
    for name in ("numpy", "c"):
        backend = open_backend(name, model, data)
        results.append(dict(backend.run_all(inputs)))
        for port, output in zip(model.outputs, backend.run(inputs), strict=True):
            np.testing.assert_array_equal(output, results[-1][port.tensor])
        backend.close()
    assert results[0].keys() == results[1].keys()
    for index, expected in results[0].items():
        np.testing.assert_array_equal(results[1][index], expected, err_msg=model.tensors[index].name)
    return results[1]


@pytest.mark.parametrize("zoo", [em.zoo, em.float_zoo])
def test_every_operator_in_one_model(zoo: Callable[[], s.Model]) -> None:
    tensors = compare(zoo(), batch=50)
    assert all(len(np.unique(t)) > 3 for t in tensors.values())


def test_every_operator_on_the_emulated_board() -> None:
    """The same C as compiled for a Cortex-M4F, whose rounding and fused multiply-add are instructions."""
    pytest.importorskip("unicorn")
    data = encode(em.zoo())
    model = load_model(data)
    image = np.random.default_rng(12).integers(-128, 128, (20, 1, 6, 5, 3), np.int8)
    outputs: list[list[Array]] = []
    for name in ("numpy", "emulator"):
        backend = open_backend(name, model, data)
        outputs.append(list(backend.run([image])))
        backend.close()
    for expected, found in zip(*outputs, strict=True):
        np.testing.assert_array_equal(found, expected)


@dataclass(frozen=True)
class Window:
    """A window over an image, and what convolutions add to it."""

    size: tuple[int, int] = (7, 6)
    channels: int = 4
    outputs: int = 5
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    group: int = 1
    batch: int = 1

    @property
    def output(self) -> tuple[int, int]:
        pads = (self.pads[0] + self.pads[2], self.pads[1] + self.pads[3])
        axes = zip(self.size, pads, self.kernel, self.stride, self.dilation, strict=True)
        height, width = ((size + pad - d * (k - 1) - 1) // stride + 1 for size, pad, k, stride, d in axes)
        return height, width

    @property
    def struct(self) -> s.Window2D:
        return em.window(self.kernel, self.stride, self.pads, self.dilation)


WINDOWS = {
    "plain": Window(),
    "padded": Window(pads=(1, 1, 1, 1)),
    "asymmetric pads": Window(pads=(0, 1, 2, 3)),
    "pads beyond the kernel": Window(pads=(4, 5, 4, 5)),
    "one row of padding only": Window(size=(1, 6), pads=(3, 0, 3, 0)),
    "stride": Window(stride=(2, 3), pads=(1, 1, 1, 1)),
    "stride beyond the kernel": Window(stride=(5, 4), kernel=(2, 2)),
    "dilation": Window(size=(11, 12), dilation=(2, 3), pads=(2, 3, 2, 3)),
    "dilation over the border": Window(size=(3, 3), dilation=(4, 4), pads=(4, 4, 4, 4)),
    "1x1": Window(kernel=(1, 1)),
    "1x1 padded": Window(kernel=(1, 1), pads=(1, 2, 0, 1)),
    "1x1 stride 2": Window(kernel=(1, 1), stride=(2, 2)),
    "kernel larger than the image": Window(size=(2, 3), kernel=(5, 6), pads=(2, 2, 2, 2)),
    "1x7": Window(size=(1, 20), kernel=(1, 7), channels=1, pads=(0, 3, 0, 3)),
    "7x1": Window(size=(20, 1), kernel=(7, 1), pads=(3, 0, 3, 0)),
    "one pixel": Window(size=(1, 1), kernel=(1, 1), channels=1, outputs=1),
    "one channel": Window(channels=1, outputs=1, pads=(1, 1, 1, 1)),
    "many channels": Window(size=(3, 3), channels=67, outputs=33, pads=(1, 1, 1, 1)),
    "batch": Window(batch=3, pads=(1, 1, 1, 1)),
}
GROUPS = {
    "two groups": Window(channels=6, outputs=8, group=2, pads=(1, 1, 1, 1)),
    "groups of five outputs": Window(channels=6, outputs=15, group=3, pads=(1, 0, 1, 0), stride=(2, 2)),
    "one channel a group": Window(channels=4, outputs=8, group=4, pads=(1, 1, 1, 1)),
    "dilated groups": Window(channels=4, outputs=4, group=2, dilation=(2, 2), pads=(2, 2, 2, 2)),
}


def case_id(value: object) -> str | None:
    return value if isinstance(value, str) else None


@pytest.mark.parametrize("name", [*WINDOWS, *GROUPS])
@pytest.mark.parametrize("zero", [0, -128, 127])
def test_conv2d(name: str, zero: int) -> None:
    w = {**WINDOWS, **GROUPS}[name]
    kernel = em.convolution(np.random.default_rng(1), w.channels, w.outputs, w.struct, w.group)
    kernel.input_zero_point = zero
    model = em.single(kernel, [[w.batch, *w.size, w.channels]], [w.batch, *w.output, w.outputs])
    assert len(np.unique(compare(model, batch=8)[1])) > 3


@pytest.mark.parametrize("multiplier", [1, 2, 3])
@pytest.mark.parametrize("name", WINDOWS)
def test_depthwise_conv2d(name: str, multiplier: int) -> None:
    w = WINDOWS[name]
    rng = np.random.default_rng(2)
    channels = w.channels * multiplier
    kernel = s.DepthwiseConv2D(
        window=w.struct,
        multiplier=multiplier,
        input_zero_point=-7,
        weights=em.weights(s.WeightLayout.HWC, rng.integers(-128, 128, (*w.kernel, channels))),
        bias=rng.integers(-3000, 3000, channels, np.int32),
        requantization=em.requantization(rng.uniform(0.5, 1, channels) / (60 * math.prod(w.kernel)), 3),
    )
    model = em.single(kernel, [[w.batch, *w.size, w.channels]], [w.batch, *w.output, channels])
    assert len(np.unique(compare(model, batch=8)[1])) > 3


POOLS = {name: w for name, w in WINDOWS.items() if all(p < k for p, k in zip(w.pads, w.kernel * 2, strict=True))} | {
    "ceil": Window(size=(6, 6), stride=(2, 2), kernel=(3, 3)),
    "17 channels": Window(channels=17),
}


def pool_output(name: str, w: Window) -> tuple[int, int]:
    return (3, 3) if name == "ceil" else w.output


@pytest.mark.parametrize("name", POOLS)
def test_max_pool2d(name: str) -> None:
    w = POOLS[name]
    model = em.single(
        s.MaxPool2D(window=w.struct), [[w.batch, *w.size, w.channels]], [w.batch, *pool_output(name, w), w.channels]
    )
    compare(model)


@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("domain", [0, 128])
@pytest.mark.parametrize("name", POOLS)
def test_average_pool2d(name: str, include: bool, domain: int) -> None:
    w = POOLS[name]
    kernel = s.AveragePool2D(
        window=w.struct, count_include_pad=include, input_scale=0.05, output_scale=0.04, input_zero_point=-9,
        output_zero_point=5, domain_offset=domain,
    )  # fmt: skip
    model = em.single(kernel, [[w.batch, *w.size, w.channels]], [w.batch, *pool_output(name, w), w.channels])
    compare(model)


@pytest.mark.parametrize(("scale", "low", "high"), [(0.25, -4, 3), (0.5, -3, 3), (1.0, -128, 127)])
def test_average_pool2d_ties(scale: float, low: int, high: int) -> None:
    kernel = s.AveragePool2D(window=em.window((2, 2)), input_scale=scale, output_scale=1.0, domain_offset=128)
    compare(em.single(kernel, [[1, 9, 9, 5]], [1, 8, 8, 5]), low=low, high=high)


@pytest.mark.parametrize(("rows", "depth", "units"), [(1, 1, 1), (1, 7, 3), (5, 640, 10), (2, 13, 4), (3, 64, 1)])
@pytest.mark.parametrize("per_channel", [False, True])
def test_fully_connected(rows: int, depth: int, units: int, per_channel: bool) -> None:
    rng = np.random.default_rng(3)
    kernel = s.FullyConnected(
        weights=em.weights(s.WeightLayout.OHWI, rng.integers(-128, 128, (units, depth))),
        bias=rng.integers(-3000, 3000, units, np.int32),
        requantization=em.requantization(
            rng.uniform(0.5, 1, units if per_channel else 1) / (60 * math.sqrt(depth)), -5
        ),
    )
    compare(em.single(kernel, [[rows, depth]], [rows, units]), batch=20)


REQUANTIZATION = {
    "ties": (em.requantization(0.5), 1),
    "ties at a zero point": (em.requantization(0.5, 3), 1),
    "quarter": (em.requantization(0.25, -1), 1),
    "tiny": (em.requantization(1e-30), 1),
    "subnormal": (em.requantization(1e-42, 3), 1),
    "huge": (em.requantization(1e30), 1),
    "greatest float": (em.requantization(3.4e38), 30000),
    "zero point -128": (em.requantization(0.01, -128), 1000),
    "zero point 127": (em.requantization(0.01, 127), 1000),
    "clamped to one value": (em.requantization(1.0, 0, 5, 5), 1),
    "ReLU": (em.requantization(0.1, -10, -10), 100),
    "beyond 2^24": (em.requantization(1e-7), 2**31 - 1),
    "wraps around": (em.requantization(4e-8), 2**31 - 100),
    "wraps below": (em.requantization(4e-8), -(2**31) + 100),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy tells of infinite products
@pytest.mark.parametrize("name", REQUANTIZATION)
def test_requantization(name: str) -> None:
    requantization, bias = REQUANTIZATION[name]
    weights = np.arange(-8, 8).reshape(4, 4) if abs(bias) < 2**30 else np.full((4, 4), 127)
    kernel = s.FullyConnected(
        weights=em.weights(s.WeightLayout.OHWI, weights),
        bias=np.full(4, bias, np.int32),
        requantization=requantization,
    )
    compare(em.single(kernel, [[64, 4]], [64, 4]), batch=4)


BROADCASTS: list[tuple[list[int], list[int]]] = [
    ([1, 4, 5, 3], [1, 4, 5, 3]), ([1, 4, 5, 3], [3]), ([3], [1, 4, 5, 3]), ([1, 4, 5, 3], [1]), ([1], [1]),
    ([1, 4, 1, 3], [1, 1, 5, 1]), ([2, 1, 3, 1, 2, 1], [1, 4, 1, 3, 1, 2]), ([4, 5, 3], [1, 1, 1, 5, 1]),
    ([1, 1, 1, 7], [1, 4, 6, 1]),
]  # fmt: skip


def broadcast(a: list[int], b: list[int]) -> list[int]:
    return list(np.broadcast_shapes(tuple(a), tuple(b)))


@pytest.mark.parametrize(("a", "b"), BROADCASTS)
@pytest.mark.parametrize("domain", [0, 128])
def test_add(a: list[int], b: list[int], domain: int) -> None:
    kernel = s.Add(scale_a=0.7134, scale_b=0.4471, constant=-31.21 + domain * 0.1, domain_offset=domain,
                   minimum=-100, maximum=120)  # fmt: skip
    compare(em.single(kernel, [a, b], broadcast(a, b)), batch=20)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy tells of infinite products
@pytest.mark.parametrize("scales", [(0.5, 0.5), (0.25, 1.0), (1.5, 2.0**-20), (1e-38, 1e30), (3e38, 1e-45)])
def test_add_ties_and_extremes(scales: tuple[float, float]) -> None:
    kernel = s.Add(scale_a=scales[0], scale_b=scales[1], constant=0.5)
    compare(em.single(kernel, [[1, 60, 60, 1], [1, 60, 60, 1]], [1, 60, 60, 1]), batch=2)


@pytest.mark.parametrize(("a", "b"), BROADCASTS)
@pytest.mark.parametrize("domain", [0, 128])
def test_mul(a: list[int], b: list[int], domain: int) -> None:
    kernel = s.Mul(zero_point_a=-3, zero_point_b=11, scale=0.0078125, zero_point=9, domain_offset=domain)
    compare(em.single(kernel, [a, b], broadcast(a, b)), batch=20)


@pytest.mark.parametrize("scale", [0.5, 2.0**-8, 1e-30, 1e30, 1e-45])
def test_mul_ties_and_extremes(scale: float) -> None:
    kernel = s.Mul(zero_point_a=-128, zero_point_b=127, scale=scale, domain_offset=128, minimum=-90, maximum=100)
    compare(em.single(kernel, [[1, 60, 60, 1], [1, 60, 60, 1]], [1, 60, 60, 1]), batch=2)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 7, 7, 3), (2, 5, 3, 19), (1, 100, 100, 2)])
@pytest.mark.parametrize("zero", [-128, 0, 127])
def test_mean2d(shape: tuple[int, ...], zero: int) -> None:
    n, h, w, c = shape
    kernel = s.Mean2D(input_zero_point=zero, requantization=em.requantization(0.9 / (h * w), 7))
    compare(em.single(kernel, [list(shape)], [n, 1, 1, c]))


@pytest.mark.parametrize("shape", [(1, 1), (1, 10), (2, 3, 5), (7,), (1, 1000)])
@pytest.mark.parametrize(("step", "factor"), [(0.1, 256.0), (0.001, 255.0), (5.0, 100.0), (0.02, 1.0)])
def test_softmax(shape: tuple[int, ...], step: float, factor: float) -> None:
    table = np.exp(np.arange(-255, 1) * step).astype(f32)
    compare(em.single(s.Softmax(table=table, factor=factor, zero_point=-128), [list(shape)], list(shape)), batch=20)


def test_softmax_of_enormous_exponentials() -> None:
    """ONNX Runtime shifts the table as far up as the sum stays finite."""
    table = (np.exp(np.arange(-255, 1) * 0.3) * 2.0**120).astype(f32)
    compare(em.single(s.Softmax(table=table, factor=256.0, zero_point=-128), [[1, 10]], [1, 10]), batch=50)


def test_lookup() -> None:
    table = np.random.default_rng(4).permutation(256).astype(np.uint8).view(np.int8)
    y = compare(em.single(s.Lookup(table=table), [[1, 16, 16, 4]], [1, 16, 16, 4]))[1]
    assert len(np.unique(y)) == 256


@pytest.mark.parametrize("axis", range(4))
@pytest.mark.parametrize("sizes", [(1,), (2, 3), (1, 4, 2)])
def test_concat(axis: int, sizes: tuple[int, ...]) -> None:
    shapes = [[2 if i != axis else size for i in range(4)] for size in sizes]
    compare(em.single(s.Concat(axis=axis), shapes, [2 if i != axis else sum(sizes) for i in range(4)]))


@pytest.mark.parametrize(
    "perm", [(0,), (1, 0), (0, 3, 1, 2), (3, 2, 1, 0), (0, 1, 2, 3), (5, 0, 4, 1, 3, 2), (1, 0, 3, 2, 4)]
)
def test_transpose(perm: tuple[int, ...]) -> None:
    shape = [2, 3, 4, 5, 2, 3][: len(perm)]
    compare(em.single(s.Transpose(perm=np.array(perm, np.uint8)), [shape], [shape[p] for p in perm]))


@pytest.mark.parametrize("kind", ["add", "mul", "lookup"])
@pytest.mark.parametrize("distance", [0, 16, 48])
def test_in_place_and_a_little_before(kind: str, distance: int) -> None:
    """Element-wise operators may write over the input that dies with them, at the same place or before it."""
    kernels: dict[str, s.Kernel] = {
        "add": s.Add(scale_a=0.7, scale_b=0.6, constant=1.0),
        "mul": s.Mul(scale=0.01, zero_point_a=3),
        "lookup": s.Lookup(table=np.arange(-128, 128).astype(np.int8)[::-1].copy()),
    }
    shape = [1, 9, 9, 5]
    count = 1 if kind == "lookup" else 2
    tensors = [em.tensor(f"x{i}", shape) for i in range(count)] + [em.tensor("y", shape)]
    model = em.model(tensors, [em.operator(kernels[kind], range(count), count)], range(count), [count])
    for i, t in enumerate(tensors[:count]):
        t.offset = 48 + i * 416
    tensors[count].offset = tensors[0].offset - distance
    model.arena_size = max(t.offset + math.prod(shape) for t in tensors)
    expected = compare(em.single(kernels[kind], [shape] * count, shape))[count]
    data = encode(model)
    rng = np.random.default_rng(11)
    inputs = [rng.integers(-128, 128, (3, *shape), np.int8) for _ in range(count)]
    backend = open_backend("c", load_model(data), data)
    np.testing.assert_array_equal(backend.run(inputs)[0], expected)
