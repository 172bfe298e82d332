"""Odd convolutions, depthwise convolutions and dense layers: what the kernels' tiles, borders and ends can meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import engine_models as em
import numpy as np
from numpy.typing import NDArray

from onnxino.schema import model as s

FILLS = ("random", "extremes", "least", "greatest", "signs")
ZERO_POINTS = (0, -128, 127, -7)


def values(rng: np.random.Generator, fill: str, shape: tuple[int, ...]) -> NDArray[np.int8]:
    """int8: anything, or those that bring sums and widened pairs to their limits."""
    if fill == "random":
        return rng.integers(-128, 128, shape).astype(np.int8)
    if fill == "extremes":
        return rng.choice(np.array([-128, 127], np.int8), shape)
    if fill == "signs":
        return rng.choice(np.array([-1, 1, -128, 127, 0], np.int8), shape)
    return np.full(shape, -128 if fill == "least" else 127, np.int8)


@dataclass(frozen=True)
class Case:
    """One operator. Of a depthwise convolution, `outputs` is a multiple of `channels`."""

    kind: str = "conv"  # conv, depthwise, dense
    size: tuple[int, int] = (6, 7)  # dense: rows, depth
    channels: int = 4
    outputs: int = 4
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (1, 1, 1, 1)
    group: int = 1
    batch: int = 1
    zero: int = -3
    fill: str = "random"  # of the weights
    scales: str = "many"  # many, one, huge, tiny
    limits: tuple[int, int] = (-128, 127)
    real: bool = False  # writes float32

    @property
    def output(self) -> tuple[int, int]:
        pads = (self.pads[0] + self.pads[2], self.pads[1] + self.pads[3])
        axes = zip(self.size, pads, self.kernel, self.stride, self.dilation, strict=True)
        height, width = ((size + pad - d * (k - 1) - 1) // stride + 1 for size, pad, k, stride, d in axes)
        return height, width

    def model(self) -> s.Model:
        rng = np.random.default_rng(3)
        taps = self.kernel[0] * self.kernel[1]
        depth = {"conv": taps * self.channels // self.group, "depthwise": taps, "dense": self.size[1]}[self.kind]
        scale = rng.uniform(0.5, 1.0, self.outputs) / (70 * np.sqrt(depth))
        if self.scales != "many":
            scale = {"one": scale[:1], "huge": np.array([1e30]), "tiny": np.array([1e-30])}[self.scales]
        layout = s.WeightLayout.HWC if self.kind == "depthwise" else s.WeightLayout.OHWI
        shape = (depth, self.outputs) if self.kind == "depthwise" else (self.outputs, depth)
        parts: dict[str, Any] = {
            "weights": em.weights(layout, values(rng, self.fill, shape)),
            "bias": rng.integers(-3000, 3000, self.outputs, np.int32),
            "requantization": em.requantization(scale, 5, *self.limits),
        }
        types = [s.ElementType.Int8, s.ElementType.Float32 if self.real else s.ElementType.Int8]
        if self.kind == "dense":
            kernel: s.Kernel = s.FullyConnected(**parts)
            return em.single(kernel, [list(self.size)], [self.size[0], self.outputs], types)
        parts |= {
            "window": em.window(self.kernel, self.stride, self.pads, self.dilation),
            "input_zero_point": self.zero,
        }
        if self.kind == "depthwise":
            kernel = s.DepthwiseConv2D(multiplier=self.outputs // self.channels, **parts)
        else:
            kernel = s.Conv2D(group=self.group, **parts)
        shapes = [[self.batch, *size, c] for size, c in ((self.size, self.channels), (self.output, self.outputs))]
        return em.single(kernel, shapes[:1], shapes[1], types)


def _two(rng: np.random.Generator, end: int) -> tuple[int, int]:
    """Two numbers from 1 to end - 1."""
    return int(rng.integers(1, end)), int(rng.integers(1, end))


def _random(rng: np.random.Generator, kind: str, number: int) -> Case:
    """Anything that fits together."""
    while True:
        top, left, bottom, right = map(int, rng.integers(0, 3, 4))
        group = int(rng.choice([1, 1, 2, 3])) if kind == "conv" else 1
        channels = group * int(rng.integers(1, 18))
        outputs = group * int(rng.integers(1, 10)) if kind == "conv" else channels * int(rng.choice([1, 1, 1, 2]))
        size, kernel, stride, dilation = (_two(rng, end) for end in (12, 6, 4, 3))
        case = Case(kind, size, channels, outputs, kernel, stride, dilation, (top, left, bottom, right), group,
                    int(rng.integers(1, 3)),
                    ZERO_POINTS[number % 4], FILLS[number % 5], "one" if number % 3 == 0 else "many",
                    (-20, 90) if number % 7 == 0 else (-128, 127))  # fmt: skip
        if min(case.output) >= 1:
            return case


def _all() -> dict[str, Case]:
    cases = {
        f"1x1 of {c} channels, {m} filters": Case(channels=c, outputs=m, kernel=(1, 1), pads=(0, 0, 0, 0), size=size)
        for c, m, size in [(4, 2, (4, 4)), (8, 5, (5, 5)), (12, 3, (1, 17)), (16, 16, (6, 6)), (20, 4, (3, 7)),
                           (5, 6, (5, 5)), (3, 4, (4, 5)), (4, 1, (5, 5)), (16, 4, (3, 5)), (288, 3, (4, 5)),
                           (292, 3, (4, 5)), (290, 2, (4, 5)), (600, 2, (2, 3)), (602, 2, (2, 2))]
    }  # fmt: skip
    cases |= {
        f"3x3 of {c} channels": Case(channels=c, outputs=3, size=(5, 6), zero=-128)
        for c in (1, 2, 3, 4, 7, 16, 32, 33, 63, 64, 65, 72)
    }
    small = Case(size=(2, 2), kernel=(1, 1), pads=(0, 0, 0, 0), channels=8)
    cases |= {
        "one position": Case(size=(1, 1), kernel=(1, 1), pads=(0, 0, 0, 0), channels=8, outputs=6),
        "streamed columns of one": Case(size=(20, 3), pads=(1, 0, 1, 0), channels=4),
        "streamed rows, stride 2": Case(size=(13, 13), stride=(2, 2), channels=4, outputs=6),
        "streamed groups": Case(size=(6, 6), kernel=(1, 1), pads=(0, 0, 0, 0), channels=16, outputs=6, group=2),
        "streamed, dilated rows": Case(size=(9, 9), kernel=(3, 1), dilation=(2, 3), pads=(0, 0, 0, 0), outputs=5),
        "two images of three positions": Case(size=(1, 3), kernel=(1, 1), pads=(0, 0, 0, 0), batch=2, channels=8),
        "all padding": Case(size=(1, 1), kernel=(2, 2), pads=(3, 3, 3, 3), channels=4, zero=127),
        "first layer": Case(size=(17, 17), channels=3, outputs=16, stride=(2, 2), pads=(0, 0, 1, 1), zero=-128),
        "huge scale": Case(scales="huge", channels=16, size=(5, 5)),
        "tiny scale": Case(scales="tiny", channels=16, size=(5, 5)),
        "huge scale, two positions": Case(scales="huge", size=(1, 2), kernel=(1, 1), pads=(0, 0, 0, 0), channels=16),
        "limits": Case(limits=(0, 40), channels=16, size=(5, 5)),
        "one value": Case(limits=(7, 7), channels=8, outputs=3),
        "float32": Case(real=True, channels=8, outputs=6),
        "least times least": Case(fill="least", channels=64, outputs=4, zero=-128),
        "small": small,
    }
    depthwise = Case("depthwise", size=(7, 9), channels=8, outputs=8)
    for c in (1, 3, 4, 5, 6, 7, 8, 13, 16, 17):
        cases[f"depthwise 3x3 of {c} channels"] = Case("depthwise", (5, 6), c, c, zero=-128)
    cases |= {
        "depthwise": depthwise,
        "depthwise, stride 2": Case("depthwise", (9, 11), 8, 8, stride=(2, 2), zero=127),
        "depthwise, stride 2, pads behind": Case("depthwise", (8, 8), 8, 8, stride=(2, 2), pads=(0, 0, 1, 1)),
        "depthwise, dilated": Case("depthwise", (9, 9), 8, 8, dilation=(2, 2), pads=(2, 2, 2, 2)),
        "depthwise 1x1": Case("depthwise", (5, 5), 8, 8, (1, 1), pads=(0, 0, 0, 0)),
        "depthwise 5x5": Case("depthwise", (9, 9), 12, 12, (5, 5), pads=(2, 2, 2, 2)),
        "depthwise 4x10": Case("depthwise", (9, 12), 4, 4, (4, 10), pads=(1, 4, 2, 5)),
        "depthwise 11x11": Case("depthwise", (12, 12), 5, 5, (11, 11), pads=(5, 5, 5, 5)),
        "depthwise, all padding": Case("depthwise", (1, 1), 4, 4, (2, 2), pads=(3, 3, 3, 3), zero=127),
        "depthwise, one row": Case("depthwise", (1, 9), 4, 4, pads=(1, 1, 1, 1)),
        "depthwise, twice": Case("depthwise", (6, 6), 6, 12),
        "depthwise, float32": Case("depthwise", (6, 6), 8, 8, real=True),
        "depthwise, limits": Case("depthwise", (6, 6), 8, 8, limits=(-3, 9)),
        "depthwise, one scale": Case("depthwise", (6, 6), 9, 9, scales="one"),
        "depthwise, huge scale": Case("depthwise", (6, 6), 8, 8, scales="huge"),
        "depthwise, least": Case("depthwise", (6, 6), 8, 8, fill="least", zero=-128),
        "depthwise, two images": Case("depthwise", (6, 6), 8, 8, batch=2),
    }
    for rows, depth, units in [(1, 1, 1), (1, 3, 5), (1, 4, 4), (1, 16, 7), (1, 17, 8), (1, 23, 6), (1, 128, 6),
                               (1, 640, 9), (2, 16, 4), (3, 20, 5), (5, 17, 4), (4, 64, 1), (3, 8, 3), (1, 9, 2),
                               (1, 64, 3)]:  # fmt: skip
        cases[f"dense {rows}x{depth}x{units}"] = Case("dense", (rows, depth), outputs=units)
    cases |= {
        "dense, one scale": Case("dense", (1, 20), outputs=9, scales="one"),
        "dense, huge scale": Case("dense", (2, 20), outputs=9, scales="huge"),
        "dense, limits": Case("dense", (1, 20), outputs=9, limits=(5, 20)),
        "dense, float32": Case("dense", (1, 20), outputs=9, real=True),
        "dense, least": Case("dense", (1, 400), outputs=9, fill="least"),
    }
    rng = np.random.default_rng(23)
    for kind in ("conv", "depthwise"):
        cases |= {f"{kind} number {i}": _random(rng, kind, i) for i in range(40)}
    return cases


CASES = _all()
