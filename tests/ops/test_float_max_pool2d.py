"""FloatMaxPool2D against ONNX Runtime's MaxPool on float32, and its rule for zeros and NaN on both backends."""

from __future__ import annotations

from dataclasses import dataclass

import float_cases as fc
import numpy as np
import op_cases as oc
import pytest

from onnxino.schema.model import FloatMaxPool2D


@dataclass(frozen=True)
class Case:
    """Image size and window; `ceil` rounds the output size up."""

    size: tuple[int, int] = (7, 6)
    channels: int = 5
    kernel: tuple[int, int] = (2, 2)
    strides: tuple[int, int] = (2, 2)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    ceil: bool = False


CASES = {
    "plain": Case(),
    "even": Case(size=(8, 8)),
    "overlapping": Case(kernel=(3, 3), strides=(1, 1)),
    "padded": Case(kernel=(3, 3), pads=(1, 1, 1, 1)),
    "pads of four sizes": Case(kernel=(4, 4), strides=(1, 1), pads=(0, 1, 2, 3)),
    "whole image": Case(kernel=(7, 6), strides=(1, 1)),
    "1x1 with stride": Case(kernel=(1, 1), strides=(3, 2)),
    "1x3": Case(kernel=(1, 3), strides=(1, 2)),
    "dilated": Case(size=(11, 9), kernel=(2, 3), strides=(1, 1), dilations=(3, 2)),
    "dilated and padded": Case(size=(11, 9), kernel=(2, 3), strides=(2, 1), dilations=(3, 2), pads=(1, 2, 1, 2)),
    "ceil": Case(ceil=True),
    "ceil, kernel 3": Case(size=(8, 8), kernel=(3, 3), ceil=True),
    "ceil and padded": Case(size=(8, 9), kernel=(3, 3), pads=(1, 1, 1, 1), ceil=True),
    "one pixel": Case(size=(1, 1), kernel=(1, 1), channels=1),
}


@pytest.mark.parametrize("shift", [0, 100])
@pytest.mark.parametrize("name", CASES)
def test_equals_onnx_runtime(name: str, shift: int, backend: str) -> None:
    case = CASES[name]
    x = fc.values(1, (3, case.channels, *case.size)) - np.float32(shift)
    expected = oc.ort(
        "MaxPool",
        [None],
        {0: x},
        kernel_shape=case.kernel,
        strides=case.strides,
        pads=case.pads,
        dilations=case.dilations,
        ceil_mode=int(case.ceil),
    )
    kernel = FloatMaxPool2D(window=oc.window(case.kernel, case.strides, case.pads, case.dilations))
    found = oc.run(backend, kernel, [oc.nhwc(x)], (1, *expected.shape[2:], case.channels))
    assert oc.same_bits(oc.nchw(found), expected)


@pytest.mark.parametrize("values", ["zeros", "extremes"])
def test_the_first_of_equal_zeros_and_any_nan(values: str, backend: str) -> None:
    x = fc.values(1, (40, 6, 7, 3), values)
    expected = np.full((40, 6, 7, 3), -np.inf, np.float32)
    for row in range(6):
        for column in range(7):
            for ky in range(max(0, row - 1), min(6, row + 2)):
                for kx in range(max(0, column - 1), min(7, column + 2)):
                    v, y = x[:, ky, kx], expected[:, row, column]
                    expected[:, row, column] = np.where((v > y) | np.isnan(v), v, y)
    kernel = FloatMaxPool2D(window=oc.window((3, 3), pads=(1, 1, 1, 1)))
    assert oc.same_bits(oc.run(backend, kernel, [x], (1, 6, 7, 3)), expected)
