"""Mean2D against ONNX Runtime's QLinearGlobalAveragePool."""

from __future__ import annotations

import numpy as np
import op_cases as oc
import pytest

from onnxino.schema.model import Mean2D

f32 = np.float32

# size, channels, scales, zero points, range of x
CASES = {
    "plain": ((7, 6), 5, (0.023, 0.011), (-3, 5), (-128, 127)),
    "same quantization, 2x2: ties": ((2, 2), 64, (0.023, 0.023), (3, 3), (-128, 127)),
    "same quantization, 8x8: ties": ((8, 8), 64, (0.05, 0.05), (-128, -128), (-20, 20)),
    "one pixel": ((1, 1), 9, (0.02, 0.03), (0, -1), (-128, 127)),
    "one channel": ((3, 5), 1, (0.02, 0.01), (127, -128), (-128, 127)),
    "beyond float32: 2^24": ((400, 400), 2, (0.02, 0.0201), (-128, 0), (100, 127)),
    "all -128": ((3, 3), 3, (0.3, 0.01), (127, 0), (-128, -128)),
    "all 127": ((3, 3), 3, (0.3, 0.01), (-128, 0), (127, 127)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("unsigned", [False, True])
def test_equals_onnx_runtime(name: str, unsigned: bool, backend: str) -> None:
    size, channels, scales, zeros, limits = CASES[name]
    x = oc.random_int8(1, (3, channels, *size), *limits)
    x_scale, y_scale = (f32(s) for s in scales)
    kernel = Mean2D(
        input_zero_point=zeros[0],
        requantization=oc.requantization(x_scale / (y_scale * f32(size[0] * size[1])), zeros[1]),
    )
    convert = oc.to_uint8 if unsigned else lambda v: v
    points = [convert(np.int8(z)) for z in zeros]
    arguments = [None, x_scale, points[0], y_scale, points[1]]
    expected = oc.ort("QLinearGlobalAveragePool", arguments, {0: convert(x)}, oc.MICROSOFT, channels_last=0)
    found = oc.run(backend, kernel, [oc.nhwc(x)], (1, 1, 1, channels))
    assert np.count_nonzero(convert(oc.nchw(found)) != expected) == 0
