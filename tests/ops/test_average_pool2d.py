"""AveragePool2D against ONNX Runtime's QLinearAveragePool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import op_cases as oc
import pytest

from onnxino.schema.model import AveragePool2D

f32 = np.float32


@dataclass(frozen=True)
class Case:
    """Image size, window and quantization; `ceil` rounds the output size up."""

    size: tuple[int, int] = (9, 8)
    channels: int = 11
    kernel: tuple[int, int] = (2, 2)
    strides: tuple[int, int] = (2, 2)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    ceil: bool = False
    counts_padding: bool = False
    scales: tuple[float, float] = (0.023, 0.031)
    zero_points: tuple[int, int] = (-3, 5)
    x: tuple[int, int] = (-128, 127)


CASES = {
    "plain": Case(),
    "one channel": Case(channels=1),
    "same quantization, 2x2: ties": Case(scales=(0.023, 0.023), zero_points=(3, 3)),
    "same quantization, 4x4: ties": Case(kernel=(4, 4), scales=(0.0417, 0.0417), zero_points=(-128, -128)),
    "same quantization, zero point 127": Case(scales=(0.1, 0.1), zero_points=(127, 127)),
    "kernel 3": Case(kernel=(3, 3), strides=(1, 1)),
    "padded": Case(kernel=(3, 3), pads=(1, 1, 1, 1)),
    "padded, counted": Case(kernel=(3, 3), pads=(1, 1, 1, 1), counts_padding=True),
    "pads of four sizes": Case(kernel=(4, 4), strides=(1, 1), pads=(0, 1, 2, 3)),
    "pads of four sizes, counted": Case(kernel=(4, 4), strides=(1, 1), pads=(0, 1, 2, 3), counts_padding=True),
    "1x3": Case(kernel=(1, 3), strides=(1, 2)),
    "all 127": Case(x=(127, 127), scales=(0.3, 0.01)),
    "all -128": Case(x=(-128, -128), scales=(0.3, 0.01)),
    "image of few pixels": Case(size=(3, 3), kernel=(2, 3), strides=(1, 1)),
    "ceil": Case(kernel=(2, 3), ceil=True),
    "ceil, padding counted": Case(kernel=(2, 3), ceil=True, counts_padding=True),
    "ceil and padded, padding counted": Case((8, 9), kernel=(3, 3), pads=(1, 1, 1, 1), ceil=True, counts_padding=True),
}


def expected(case: Case, x: oc.Int8, domain: int) -> oc.Int8:
    x_scale, y_scale = (f32(s) for s in case.scales)
    zeros = [np.int8(z) for z in case.zero_points]
    if domain:
        x, zeros = oc.to_uint8(x), [oc.to_uint8(z) for z in zeros]
    y = oc.ort(
        "QLinearAveragePool",
        [None, x_scale, zeros[0], y_scale, zeros[1]],
        {0: x},
        oc.MICROSOFT,
        kernel_shape=case.kernel,
        strides=case.strides,
        pads=case.pads,
        count_include_pad=int(case.counts_padding),
        ceil_mode=int(case.ceil),
    )
    return oc.from_uint8(y) if domain else y


def counted_pads(case: Case, output: tuple[int, int]) -> tuple[int, int, int, int]:
    """Where ONNX Runtime counts padding it counts whole windows, also what ceil_mode adds beyond the padding."""
    top, left, bottom, right = case.pads
    if case.ceil and case.counts_padding:
        last = [(output[i] - 1) * case.strides[i] + case.kernel[i] - case.size[i] for i in (0, 1)]
        bottom, right = max(bottom, last[0] - top), max(right, last[1] - left)
    return top, left, bottom, right


@pytest.mark.parametrize("domain", [0, 128])
@pytest.mark.parametrize("name", CASES)
def test_equals_onnx_runtime(name: str, domain: int, backend: str) -> None:
    case = CASES[name]
    x = oc.random_int8(1, (4, case.channels, *case.size), *case.x)
    reference = expected(case, x, domain)
    kernel = AveragePool2D(
        window=oc.window(case.kernel, case.strides, counted_pads(case, reference.shape[2:])),
        count_include_pad=case.counts_padding,
        input_scale=float(f32(case.scales[0])),
        output_scale=float(f32(case.scales[1])),
        input_zero_point=case.zero_points[0],
        output_zero_point=case.zero_points[1],
        domain_offset=domain,
    )
    found = oc.run(backend, kernel, [oc.nhwc(x)], (1, *reference.shape[2:], case.channels))
    assert np.count_nonzero(oc.nchw(found) != reference) == 0


def test_dilation_and_padding_by_hand(backend: str) -> None:
    """ONNX Runtime's operator knows no dilation. Windows of a 1 x 4 image at -1 + {0, 2}, 1 + {0, 2}, 3 + {0, 2}."""
    x = np.array([10, 20, 40, 90], np.int8).reshape(1, 1, 4, 1)
    window = oc.window((1, 2), (1, 2), (0, 1, 0, 2), (1, 2))
    for counts_padding, values in ((False, [20, 55, 90]), (True, [10, 55, 45])):
        kernel = AveragePool2D(
            window=window, count_include_pad=counts_padding, input_scale=1.0, output_scale=1.0, domain_offset=0
        )
        assert oc.run(backend, kernel, [x], (1, 1, 3, 1)).reshape(-1).tolist() == values
