"""Draws random quantized ONNX graphs: up to eight operators in QDQ or QOperator style, on odd shapes and parameters.

Scales reach from 5e-7 to 1e4, zero points over the whole type; nodes may lead nowhere, and several tensors be outputs.
Left out is where ONNX Runtime itself is wrong (docs/numerics.md): results 2^31 steps and more from zero (`reaching`),
and a softmax whose output scale is too small for its integer kernel (`softmax`). What it cannot run, or merges into a
scale of 0, the test leaves out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st

from tests.converter.onnx_net import MS, Net, Q, Tensor

OPERATORS = 8
LOWEST = -128
SCALES = (
    (0.02, 0.05, 0.1),
    (0.25, 0.5, 1.0, 2.0),  # powers of two: results on exact ties
    (0.002, 0.03, 0.7, 10.0),
    (1e-6, 3e-6, 1e-4, 0.02),
    (1e-3, 0.7, 30.0, 1e4),
    (1e-6, 1e-3, 1.0, 1e3, 1e4),
)
Shape = tuple[int, ...]
T = TypeVar("T")


class GraphMaker:
    """Grows a network; each method in `_choices` adds one operator and returns its quantized result.

    Shapes are without the batch: (channels, height, width). `draw` is hypothesis': simple choices stand first, so that
    failures shrink to them.
    """

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw
        style = self.choose(["qdq", "qop"])
        unsigned, ports = self.choose([True, False]), self.choose(["float", "quantized"])
        self.net = Net(style=style, unsigned=unsigned, ports=ports)
        self.scales = self.choose(SCALES)
        self.numbers = np.random.default_rng(self.integer(0, 1000))
        shape = (self.integer(1, 6), self.integer(1, 9), self.integer(1, 9))
        self.tensors: list[tuple[Tensor, Shape]] = [(self.net.input(shape, self.q()), shape)]
        if self.choose([False, False, True]):
            self.tensors.append((self.net.input(shape, self.q()), shape))
        self._choices: list[Callable[[], tuple[Tensor, Shape]]] = [
            self.conv, self.add, self.pool, self.depthwise, self.mul, self.gate, self.concat, self.curve,
            self.transpose, self.reshape, self.softmax, self.mean, self.dense, self.requantize, self.island,
        ]  # fmt: skip

    def make(self) -> Net:
        for _ in range(self.integer(1, OPERATORS)):
            self.tensors.append(self.choose(self._choices)())
        self.net.output(self.tensors[-1][0])
        names = {self.tensors[-1][0].name} | {info.name for info in self.net.inputs}
        for _ in range(self.choose([0, 0, 0, 1, 2])):
            other, _ = self.choose(self.tensors[:-1])
            if other.name not in names:
                self.net.output(other)
                names.add(other.name)
        if self.choose([True, True, False]):
            self.remove_dead()
        return self.net

    def remove_dead(self) -> None:
        """Drops what no output depends on: ONNX Runtime keeps such nodes, and fuses less around them."""
        net = self.net
        alive = {info.name for info in net.outputs}
        kept: list[Any] = []
        for node in reversed(net.nodes):
            if alive.intersection(node.output):
                kept.append(node)
                alive.update(node.input)
        net.nodes[:] = kept[::-1]
        net.inputs[:] = [info for info in net.inputs if info.name in alive]
        net.initializers[:] = [tensor for tensor in net.initializers if tensor.name in alive]
        for name in [name for name in net.feeds if name not in alive]:
            del net.feeds[name]

    def choose(self, options: Sequence[T]) -> T:
        return self._draw(st.sampled_from(list(options)))

    def integer(self, low: int, high: int) -> int:
        return int(self._draw(st.integers(low, high)))

    def q(self, like: Q | None = None) -> Q:
        """A random quantization; now and then one that is already there."""
        if like is not None and self.choose([False, True]):
            return like
        zero = self.choose([0, LOWEST, 127, -5, 30, None])
        scale = self.choose([*self.scales, None])
        if scale is None:
            scale = self.numbers.uniform(0.5, 2) * self.scales[0]
        return Q(float(np.float32(scale)), self.integer(LOWEST, 127) if zero is None else zero)

    def unit(self) -> Q:
        """A quantization of numbers from 0 to 1, mostly the usual one."""
        return self.choose([Q(1 / 256, LOWEST), Q(1 / 256, LOWEST), Q(float(np.float32(0.003)), 30), self.q()])

    def any(self) -> tuple[Tensor, Shape]:
        """One of the last tensors: mostly the last, so that graphs are deep; else one becomes shared."""
        return self.tensors[-self.choose([1, 1, 2, 3]) :][0] if len(self.tensors) > 2 else self.tensors[-1]

    @property
    def qop(self) -> bool:
        return self.net.style == "qop"

    def weights(self, shape: Shape, channel: int, reach: float) -> tuple[Any, Any, Any]:
        """(elements, scale, zero point): the scale keeps results near the output's range."""
        kind = self.choose(["random", "small", "extreme"])
        fit = self.choose(["fit", "fit", "fit", "power", "tiny", "huge"])
        limits = {"random": (-128, 128), "small": (-1, 2)}
        array = (
            self.numbers.choice([-128, 127], shape)
            if kind == "extreme"
            else self.numbers.integers(*limits[kind], shape)
        ).astype(np.int8)
        count = shape[channel] if self.choose([False, True]) else 0
        inner = max(1, int(np.prod(shape)) // shape[channel])
        base = np.float32(reach / (np.sqrt(inner) * (1 if kind == "small" else 60)))
        base = np.float32(
            {"fit": base, "power": 2.0 ** np.rint(np.log2(base)), "tiny": base / 300, "huge": base * 30000}[fit]
        )
        scale = base if not count else (base * self.numbers.choice([0.5, 1, 1.7], count)).astype(np.float32)
        zero = np.zeros(np.shape(scale), np.int8)
        if self.net.unsigned and self.choose([False, True]):
            array, zero = (array.astype(int) + 128).astype(np.uint8), np.full(np.shape(scale), 128, np.uint8)
        return array, np.asarray(scale, np.float32), zero

    def affine(self, op: str, x: Tensor, shape: Shape, channel: int, y: Q, **attributes: Any) -> Tensor:
        """A Conv or Gemm with drawn weights and bias."""
        net = self.net
        array, scale, zero = self.weights(shape, channel, y.scale / x.q.scale)
        bias = self.choose(["none", "int", "large", "float"])
        amounts = self.numbers.integers(-3000, 3000, shape[channel]).astype(np.int32)
        if bias == "large":
            amounts *= np.int32(200)
        if self.qop:
            domain = MS if op == "QGemm" else ""
            inputs = [x.name, *net.params(x.q), net.const(array), net.const(scale), net.const(zero)]
            given = [net.const(amounts)] if bias != "none" else []
            if op == "QGemm":
                inputs += (given or [""]) + net.params(y)
            else:
                inputs += net.params(y) + given
            return Tensor(net.op(op, inputs, domain, **attributes), y)
        axis = channel if scale.ndim else None
        inputs = [net.dq(x), net.dq_const(array, scale, axis, zero)]
        bias_scale = (np.float32(x.q.scale) * scale).astype(np.float32)
        if bias == "float":
            inputs.append(net.const((amounts * bias_scale).astype(np.float32)))
        elif bias != "none":
            inputs.append(net.dq_const(amounts, bias_scale, 0 if scale.ndim else None))
        real = net.op({"QLinearConv": "Conv", "QGemm": "Gemm"}[op], inputs, **attributes)
        return net.quantize(self.activation(real), y)

    def activation(self, real: str) -> str:
        kind = self.choose(["none", "none", "Relu", "Clip"])
        if kind == "Relu":
            return self.net.op("Relu", [real])
        if kind == "Clip":
            bounds = self.choose([(0, 6), (-1, 1), (-0.003, 700), (0.5, 2)])
            return self.net.op("Clip", [real, *(self.net.const(np.float32(bound)) for bound in bounds)])
        return real

    def window(self, h: int, w: int) -> tuple[dict[str, Any], int, int]:
        """Attributes of a window, and the size of its output."""
        kernel, sizes = [self.integer(1, min(3, h)), self.integer(1, min(3, w))], (h, w)
        strides = [self.integer(1, 3), self.integer(1, 3)]
        pads = [self.integer(0, kernel[0] - 1), self.integer(0, kernel[1] - 1)]
        pads += [self.integer(0, kernel[0] - 1), self.integer(0, kernel[1] - 1)]
        out = [(sizes[i] + pads[i] + pads[i + 2] - kernel[i]) // strides[i] + 1 for i in (0, 1)]
        return {"kernel_shape": kernel, "strides": strides, "pads": pads}, out[0], out[1]

    def conv(self) -> tuple[Tensor, Shape]:
        return self.convolution(False)

    def depthwise(self) -> tuple[Tensor, Shape]:
        return self.convolution(True)

    def convolution(self, depthwise: bool) -> tuple[Tensor, Shape]:
        x, (c, h, w) = self.any()
        attributes, oh, ow = self.window(h, w)
        group = c if depthwise else self.choose([1, 1, c if c % 2 else 2])
        filters = group * self.integer(1, 2 if depthwise else 5)
        if self.choose([False, False, True]) and h > 2 * attributes["kernel_shape"][0]:
            attributes["dilations"] = [2, 1]
            k, s, p = attributes["kernel_shape"], attributes["strides"], attributes["pads"]
            oh = (h + p[0] + p[2] - 2 * (k[0] - 1) - 1) // s[0] + 1
        shape = (filters, c // group, *attributes["kernel_shape"])
        return self.affine("QLinearConv", x, shape, 0, self.q(), group=group, **attributes), (filters, oh, ow)

    def dense(self) -> tuple[Tensor, Shape]:
        x, shape = self.any()
        size, count = int(np.prod(shape)), self.integer(1, 9)
        flat = self.moved("Reshape", x, np.int64([-1, size]))
        trans = self.integer(0, 1)
        made = self.affine("QGemm", flat, (count, size) if trans else (size, count), 1 - trans, self.q(), transB=trans)
        return self.moved("Reshape", made, np.int64([-1, count, 1, 1])), (count, 1, 1)

    def reaching(self, largest: float) -> Q:
        """A random quantization with results of less than 2^30 steps, given the largest number. Beyond 2^31 steps ONNX
        Runtime's QLinearAdd, QLinearMul and QLinearAveragePool turn the largest results into the smallest."""
        y = self.q()
        while largest > y.scale * 2.0**30:
            y = Q(float(np.float32(y.scale * 1000)), y.zero)
        return y

    def binary(self, kind: str, a: Tensor, b: Tensor) -> Tensor:
        largest = [255 * tensor.q.scale for tensor in (a, b)]
        net, y = self.net, self.reaching(sum(largest) if kind == "Add" else largest[0] * largest[1])
        if self.qop:
            inputs = [a.name, *net.params(a.q), b.name, *net.params(b.q), *net.params(y)]
            return Tensor(net.op(f"QLinear{kind}", inputs, MS), y)
        return net.quantize(self.activation(net.op(kind, [net.dq(a), net.dq(b)])), y)

    def add(self) -> tuple[Tensor, Shape]:
        return self.elementwise("Add")

    def mul(self) -> tuple[Tensor, Shape]:
        return self.elementwise("Mul")

    def elementwise(self, kind: str) -> tuple[Tensor, Shape]:
        """Two tensors of one shape, or one and a constant that is broadcast."""
        x, shape = self.any()
        partners = [t for t, s in self.tensors if s == shape]
        if self.choose([True, True, False]):
            pair = [x, self.choose(partners)]
            return self.binary(kind, *(pair if self.choose([True, False]) else pair[::-1])), shape
        small = tuple(self.choose([size, 1]) for size in shape)
        values = self.numbers.integers(-128, 128, (1, *small)) + (128 if self.net.unsigned else 0)
        constant = Tensor(self.net.const(values.astype(self.net.dtype)), self.q())
        return self.binary(kind, x, constant), shape

    def gate(self) -> tuple[Tensor, Shape]:
        """A factor for each channel, computed from the tensor itself."""
        x, shape = self.any()
        factor = self.function("Sigmoid", self.average(x), self.unit())
        return self.binary("Mul", x, factor), shape

    def concat(self) -> tuple[Tensor, Shape]:
        x, shape = self.any()
        axis = self.choose([1, 2, 3])
        partners = [(t, s) for t, s in self.tensors if all(s[i] == shape[i] for i in range(3) if i != axis - 1)]
        other, second = self.choose(partners)
        y = self.q(x.q)
        if self.qop:
            inputs = [*self.net.params(y)]
            for tensor in (x, other):
                inputs += [tensor.name, *self.net.params(tensor.q)]
            made = Tensor(self.net.op("QLinearConcat", inputs, MS, axis=axis), y)
        else:
            made = self.net.quantize(self.net.op("Concat", [self.net.dq(x), self.net.dq(other)], axis=axis), y)
        return made, tuple(n + second[i] if i == axis - 1 else n for i, n in enumerate(shape))

    def pool(self) -> tuple[Tensor, Shape]:
        x, (c, h, w) = self.any()
        attributes, oh, ow = self.window(h, w)
        out = (c, oh, ow)
        if self.choose(["MaxPool", "AveragePool"]) == "MaxPool":
            return self.moved("MaxPool", x, **attributes), out
        if self.choose([False, True]):
            attributes["count_include_pad"] = 1
        y = self.reaching(255 * x.q.scale)
        if self.qop:
            inputs = [x.name, *self.net.params(x.q), *self.net.params(y)]
            return Tensor(self.net.op("QLinearAveragePool", inputs, MS, **attributes), y), out
        return self.net.quantize(self.net.op("AveragePool", [self.net.dq(x)], **attributes), y), out

    def average(self, x: Tensor) -> Tensor:
        return self.function("GlobalAveragePool", x, self.q(x.q))

    def mean(self) -> tuple[Tensor, Shape]:
        x, shape = self.any()
        return self.average(x), (shape[0], 1, 1)

    def function(self, kind: str, x: Tensor, y: Q, **attributes: Any) -> Tensor:
        if self.qop:
            inputs = [x.name, *self.net.params(x.q), *self.net.params(y)]
            return Tensor(self.net.op(f"QLinear{kind}", inputs, MS, **attributes), y)
        return self.net.quantize(self.net.op(kind, [self.net.dq(x)], **attributes), y)

    def curve(self) -> tuple[Tensor, Shape]:
        x, shape = self.any()
        kinds = ["Sigmoid", "LeakyRelu"] if self.qop else ["Relu", "Sigmoid", "Tanh", "HardSwish", "LeakyRelu", "Elu"]
        kind = self.choose(kinds)
        return self.function(kind, x, self.unit() if kind == "Sigmoid" else self.q()), shape

    def softmax(self) -> tuple[Tensor, Shape]:
        x, shape = self.any()
        axis, y = self.choose([1, 2, 3]), self.unit()
        while shape[axis - 1] > 1 and y.scale * 280 < 1:  # where ONNX Runtime's integer kernel overflows
            y = self.choose([Q(1 / 256, LOWEST), Q(float(np.float32(0.01)), 30), Q(2.0, 0)])
        attributes = {"opset": self.net.opset} if self.qop else {}
        return self.function("Softmax", x, y, axis=axis, **attributes), shape

    def moved(self, kind: str, x: Tensor, *constants: Any, **attributes: Any) -> Tensor:
        """An operator that moves bytes, or picks them: on the quantized tensor itself, or between DQ and Q."""
        given = [self.net.const(value) for value in constants]
        if self.qop:
            return Tensor(self.net.op(kind, [x.name, *given], **attributes), x.q)
        y = self.q() if self.choose([False, False, False, True]) else x.q
        return self.net.quantize(self.net.op(kind, [self.net.dq(x), *given], **attributes), y)

    def transpose(self) -> tuple[Tensor, Shape]:
        x, shape = self.any()
        perm = self.choose([(0, 2, 3, 1), (0, 3, 1, 2), (0, 1, 3, 2), (0, 3, 2, 1)])
        return self.moved("Transpose", x, perm=perm), tuple(shape[p - 1] for p in perm[1:])

    def reshape(self) -> tuple[Tensor, Shape]:
        x, (c, h, w) = self.any()
        shape = self.choose([(w, h, c), (c * h, 1, w), (1, c * h * w, 1)])
        return self.moved("Reshape", x, np.int64([-1, *shape])), shape

    def requantize(self) -> tuple[Tensor, Shape]:
        """Behind a QuantizeLinear, the second of two pairs in a row, of which ONNX Runtime makes one."""
        x, shape = self.any()
        return self.net.quantize(self.net.dq(x), self.q()), shape

    def island(self) -> tuple[Tensor, Shape]:
        """Float operators between DequantizeLinear and QuantizeLinear that ONNX Runtime leaves in float32."""
        x, shape = self.any()
        net, kind = (
            self.net,
            self.choose(["Sub", "Max", "Softplus", "Neg", "ReduceMax", "LogSoftmax", "chain", "Slice", "constant"]),
        )
        real = net.dq(x)
        if kind in ("Sub", "Max"):
            other = self.choose([t for t, s in self.tensors if s == shape])
            real = net.op(kind, [real, net.dq(other)])
        elif kind == "ReduceMax":
            real, shape = net.op(kind, [real], axes=[2, 3], keepdims=1), (shape[0], 1, 1)
        elif kind == "chain":
            amounts = self.numbers.normal(size=(shape[0], 1, 1)).astype(np.float32)
            real = net.op("Tanh", [net.op("Mul", [net.op("Abs", [real]), net.const(amounts)])])
        elif kind == "constant":
            many = self.choose([(1,), (shape[0], 1, 1), shape])
            amounts = (self.numbers.normal(size=many) * 50 * x.q.scale).astype(np.float32)
            real = net.op(self.choose(["Add", "Sub", "Mul", "Div"]), [real, net.const(amounts)])
        elif kind == "Slice":
            real = net.op(kind, [real, *(net.const(np.int64([v])) for v in (0, 1, 1))])
            shape = (1, *shape[1:])
        else:
            real = net.op(kind, [real])
        return net.quantize(real, self.q()), shape


@st.composite
def graphs(draw: Callable[[st.SearchStrategy[Any]], Any]) -> Net:
    """A network of one to eight operators."""
    return GraphMaker(draw).make()
