"""Random networks with branches, gates, Transposes and Reshapes: for what no list of patterns thinks of."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
from onnx_net import Net, Q, Tensor

Node = tuple[Tensor, tuple[int, ...]]  # a tensor and its shape without the batch


class RandomNet:
    """uint8 activations, for which ONNX Runtime computes every one of these operators in integers or by table."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.net = Net(unsigned=True, ports=self.chance.choice(["float", "quantized"]))
        shape = (self.chance.randint(1, 6), self.chance.randint(3, 9), self.chance.randint(3, 9))
        self.tensors: list[Node] = [(self.net.input(shape, self.q()), shape)]
        if self.chance.random() < 0.3:
            self.tensors.append((self.net.input(shape, self.q()), shape))

        self.choices: list[Callable[[], Node]] = [
            *(self.conv, self.conv, self.depthwise, self.add, self.gate, self.concat, self.pool),
            *(self.curve, self.turn, self.fold, self.softmax),
        ]

    def q(self) -> Q:
        return Q(float(np.float32(self.chance.uniform(0.01, 0.1))), self.chance.choice([-128, -5, 0, 30]))

    def quantized(self, real: str, q: Q | None = None) -> Tensor:
        return self.net.quantize(real, q or self.q())

    def weights(self, shape: tuple[int, ...], channel: int) -> str:
        array = self.numbers.integers(-127, 128, shape).astype(np.int8)
        if self.chance.random() < 0.5:
            return self.net.dq_const(
                array, self.numbers.uniform(0.001, 0.01, shape[channel]).astype(np.float32), channel
            )
        return self.net.dq_const(array, np.float32(0.005))

    def build(self, steps: int) -> Net:
        for _ in range(steps):
            made = self.chance.choice(self.choices)()
            self.tensors.append(made)
        self.finish()
        return self.net

    def any(self) -> Node:
        return self.chance.choice(self.tensors[-3:])

    def conv(self, x: Node | None = None, filters: int | None = None, size: int = 3) -> Node:
        tensor, (c, h, w) = x or self.any()
        filters = filters or self.chance.randint(1, 7)
        size = min(size, h, w)
        real = self.net.op(
            "Conv", [self.net.dq(tensor), self.weights((filters, c, size, size), 0)], pads=[size // 2] * 4
        )
        out = (filters, h + 2 * (size // 2) - size + 1, w + 2 * (size // 2) - size + 1)
        return self.quantized(real), out

    def depthwise(self) -> Node:
        tensor, (c, h, w) = self.any()
        times = self.chance.choice([1, 1, 2])
        stride = self.chance.choice([1, 2])
        real = self.net.op(
            "Conv",
            [self.net.dq(tensor), self.weights((c * times, 1, 3, 3), 0)],
            group=c,
            pads=[1] * 4,
            strides=[stride] * 2,
        )
        return self.quantized(real), (c * times, -(-h // stride), -(-w // stride))

    def add(self) -> Node:
        tensor, shape = self.any()
        partners = [t for t, s in self.tensors if s == shape]
        other = self.chance.choice(partners)
        return self.quantized(self.net.op("Add", [self.net.dq(tensor), self.net.dq(other)])), shape

    def gate(self) -> Node:
        """Squeeze and excite: a factor for each channel."""
        tensor, (c, h, w) = self.any()
        mean = self.quantized(self.net.op("GlobalAveragePool", [self.net.dq(tensor)]))
        inner, _ = self.conv((mean, (c, 1, 1)), c, 1)
        factor = self.quantized(self.net.op("Sigmoid", [self.net.dq(inner)]), Q(1 / 256, -128))
        return self.quantized(self.net.op("Mul", [self.net.dq(tensor), self.net.dq(factor)])), (c, h, w)

    def concat(self) -> Node:
        tensor, (c, h, w) = self.any()
        partners = [(t, s) for t, s in self.tensors if s[1:] == (h, w)]
        other, shape = self.chance.choice(partners)
        real = self.net.op("Concat", [self.net.dq(tensor), self.net.dq(other)], axis=1)
        return self.quantized(real), (c + shape[0], h, w)

    def pool(self) -> Node:
        tensor, (c, h, w) = self.any()
        kind = self.chance.choice(["MaxPool", "AveragePool"])
        kernel = [min(2, h), min(3, w)]
        real = self.net.op(kind, [self.net.dq(tensor)], kernel_shape=kernel, strides=[1, 2])
        q = tensor.q if kind == "MaxPool" else self.q()
        return self.quantized(real, q), (c, h - kernel[0] + 1, (w - kernel[1]) // 2 + 1)

    def curve(self) -> Node:
        tensor, shape = self.any()
        kind = self.chance.choice(["Relu", "Sigmoid", "Tanh", "HardSwish", "LeakyRelu"])
        return self.quantized(self.net.op(kind, [self.net.dq(tensor)])), shape

    def turn(self) -> Node:
        tensor, (c, h, w) = self.any()
        perm = self.chance.choice([(0, 2, 3, 1), (0, 3, 1, 2), (0, 1, 3, 2)])
        shape = tuple((1, c, h, w)[p] for p in perm)[1:]
        return self.quantized(self.net.op("Transpose", [self.net.dq(tensor)], perm=perm), tensor.q), shape

    def fold(self) -> Node:
        tensor, (c, h, w) = self.any()
        shape = (h * c, 1, w) if self.chance.random() < 0.5 else (w, h, c)
        target = self.net.const(np.int64([-1, *shape]))
        return self.quantized(self.net.op("Reshape", [self.net.dq(tensor), target]), tensor.q), shape

    def softmax(self) -> Node:
        tensor, shape = self.any()
        axis = self.chance.choice([1, 2, 3])
        return self.quantized(self.net.op("Softmax", [self.net.dq(tensor)], axis=axis), Q(1 / 256, -128)), shape

    def finish(self) -> None:
        tensor, (c, h, w) = self.tensors[-1]
        if self.chance.random() < 0.5:
            flat = self.net.op("Flatten", [self.net.dq(tensor)])
            real = self.net.op("Gemm", [flat, self.weights((c * h * w, 5), 1)])
            self.net.output(self.quantized(real, Q(0.2, 3)))
        else:
            self.net.output(tensor)


def random_net(seed: int) -> Any:
    made = RandomNet(seed)
    return made.build(made.chance.randint(1, 9))
