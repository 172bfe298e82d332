"""FloatAveragePool2D: the written order on both backends, bit for bit; ONNX Runtime's AveragePool but for rounding."""

from __future__ import annotations

from dataclasses import dataclass

import float_cases as fc
import numpy as np
import op_cases as oc
import pytest

from onnxino.schema.model import FloatAveragePool2D

f32 = np.float32


@dataclass(frozen=True)
class Case:
    """Image size and window; `ceil` rounds the output size up."""

    size: tuple[int, int] = (9, 8)
    channels: int = 5
    kernel: tuple[int, int] = (2, 2)
    strides: tuple[int, int] = (2, 2)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    ceil: bool = False
    counts_padding: bool = False


CASES = {
    "plain": Case(),
    "one channel": Case(channels=1),
    "kernel 3": Case(kernel=(3, 3), strides=(1, 1)),
    "padded": Case(kernel=(3, 3), pads=(1, 1, 1, 1)),
    "padded, counted": Case(kernel=(3, 3), pads=(1, 1, 1, 1), counts_padding=True),
    "pads of four sizes": Case(kernel=(4, 4), strides=(1, 1), pads=(0, 1, 2, 3)),
    "pads of four sizes, counted": Case(kernel=(4, 4), strides=(1, 1), pads=(0, 1, 2, 3), counts_padding=True),
    "1x3": Case(kernel=(1, 3), strides=(1, 2)),
    "whole image": Case(kernel=(9, 8)),
    "dilated": Case(size=(11, 9), kernel=(2, 3), strides=(1, 1), dilations=(3, 2)),
    "ceil": Case(kernel=(2, 3), ceil=True),
    "ceil, padding counted": Case(kernel=(2, 3), ceil=True, counts_padding=True),
}


def onnx_runtime(case: Case, x: oc.Floats) -> oc.Floats:
    return oc.ort(
        "AveragePool",
        [None],
        {0: x},
        opset=19,
        kernel_shape=case.kernel,
        strides=case.strides,
        pads=case.pads,
        dilations=case.dilations,
        count_include_pad=int(case.counts_padding),
        ceil_mode=int(case.ceil),
    )


def in_order(case: Case, x: oc.Floats, output: tuple[int, int]) -> oc.Floats:
    """Rows, then columns, each window on its own. x: [N, H, W, C]."""
    height, width = case.size
    top, left, bottom, right = case.pads
    y = np.empty((len(x), *output, x.shape[3]), f32)
    for row in range(output[0]):
        for column in range(output[1]):
            total, count = np.zeros((len(x), x.shape[3]), f32), 0
            for ky in range(case.kernel[0]):
                for kx in range(case.kernel[1]):
                    i = row * case.strides[0] - top + ky * case.dilations[0]
                    j = column * case.strides[1] - left + kx * case.dilations[1]
                    if 0 <= i < height and 0 <= j < width:
                        total += x[:, i, j]
                        count += 1
                    elif case.counts_padding and i < height + bottom and j < width + right:
                        count += 1
            y[:, row, column] = total / f32(count)
    return y


def run(backend: str, case: Case, x: oc.Floats, output: tuple[int, int]) -> oc.Floats:
    kernel = FloatAveragePool2D(
        window=oc.window(case.kernel, case.strides, case.pads, case.dilations), count_include_pad=case.counts_padding
    )
    return oc.run(backend, kernel, [x], (1, *output, case.channels))


@pytest.mark.parametrize("values", ["normal", "extremes", "zeros"])
@pytest.mark.parametrize("name", CASES)
def test_sums_by_rows_and_columns(name: str, values: str, backend: str) -> None:
    case = CASES[name]
    x = fc.values(1, (3, *case.size, case.channels), values)
    output = onnx_runtime(case, oc.nchw(x)).shape
    with np.errstate(all="ignore"):
        expected = in_order(case, x, (output[2], output[3]))
    assert oc.same_bits(run(backend, case, x, (output[2], output[3])), expected)


@pytest.mark.parametrize("name", CASES)
def test_equals_onnx_runtime_but_for_rounding(name: str, backend: str) -> None:
    case = CASES[name]
    x = fc.values(1, (3, *case.size, case.channels))
    expected, size = onnx_runtime(case, oc.nchw(x)), onnx_runtime(case, oc.nchw(np.abs(x)))
    found = run(backend, case, x, (expected.shape[2], expected.shape[3]))
    terms = case.kernel[0] * case.kernel[1]
    assert np.all(np.abs(oc.nchw(found) - expected) <= 1.001 * fc.bound(terms, size))
