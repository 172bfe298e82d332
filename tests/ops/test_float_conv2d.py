"""FloatConv2D: the written order on both backends, bit for bit, and within rounding of ONNX Runtime's Conv."""

from __future__ import annotations

from dataclasses import dataclass

import float_cases as fc
import numpy as np
import op_cases as oc
import pytest

from onnxino.schema.model import FloatConv2D, WeightLayout

f32 = np.float32


@dataclass(frozen=True)
class Case:
    """Image and window; weights as float32, or int8 with `scales` scales."""

    size: tuple[int, int] = (7, 6)
    channels: int = 4
    outputs: int = 6
    group: int = 1
    kernel: tuple[int, int] = (3, 3)
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    scales: int = 0
    limits: tuple[float, float] = (-np.inf, np.inf)
    values: str = "normal"
    bias: str = "normal"
    batch: int = 2


CASES = {
    "plain": Case(),
    "same": Case(pads=(1, 1, 1, 1)),
    "strides and four pads": Case(size=(11, 13), strides=(2, 3), pads=(0, 1, 2, 3)),
    "dilated": Case(size=(11, 12), dilations=(2, 3), pads=(2, 3, 2, 3)),
    "dilation over the border": Case(size=(3, 3), dilations=(4, 4), pads=(4, 4, 4, 4)),
    "1x1": Case(kernel=(1, 1)),
    "1x1 padded": Case(kernel=(1, 1), pads=(1, 2, 0, 1)),
    "1x1 stride 2": Case(kernel=(1, 1), strides=(2, 2)),
    "kernel larger than the image": Case(size=(2, 3), kernel=(5, 6), pads=(2, 2, 2, 2)),
    "window in the padding alone": Case(size=(2, 2), kernel=(2, 2), pads=(3, 3, 3, 3)),
    "one pixel": Case(size=(1, 1), kernel=(1, 1), channels=1, outputs=1),
    "many channels": Case(size=(3, 3), channels=67, outputs=33, pads=(1, 1, 1, 1)),
    "large image": Case(size=(80, 70), outputs=17, pads=(1, 1, 1, 1), batch=3),
    "many small images": Case(size=(3, 3), batch=600),
    "two groups": Case(channels=6, outputs=8, group=2, pads=(1, 1, 1, 1)),
    "three groups of five": Case(channels=6, outputs=15, group=3, pads=(1, 0, 1, 0), strides=(2, 2)),
    "depthwise": Case(channels=5, outputs=5, group=5, pads=(1, 1, 1, 1)),
    "depthwise, multiplier 3": Case(channels=4, outputs=12, group=4, strides=(2, 2)),
    "depthwise, large image": Case(size=(60, 70), channels=16, outputs=16, group=16, pads=(1, 1, 1, 1)),
    "int8 weights, one scale": Case(scales=1),
    "int8 weights, a scale for each filter": Case(scales=6, group=2),
    "ReLU6": Case(limits=(0, 6)),
    "extremes": Case(values="extremes", pads=(1, 1, 1, 1)),
    "zeros of both signs": Case(values="zeros", bias="zeros", pads=(1, 1, 1, 1)),
    "zeros of both signs, one product each": Case(kernel=(1, 1), channels=1, values="zeros", bias="zeros"),
    "zeros of both signs, one product each, depthwise": Case(
        kernel=(1, 1), channels=6, group=6, values="zeros", bias="zeros"
    ),
    "subnormal": Case(values="subnormal", bias="zeros", pads=(1, 1, 1, 1)),
}


def operands(case: Case) -> tuple[oc.Floats, FloatConv2D, oc.Floats]:
    """Input [N, H, W, C], kernel, and the weights as float32 [outputs, kernel_h, kernel_w, channels of a group]."""
    x = fc.values(1, (case.batch, *case.size, case.channels), case.values)
    shape = (case.outputs, *case.kernel, case.channels // case.group)
    weights, stored, scale = fc.weights(2, WeightLayout.OHWI, shape, case.scales)
    kernel = FloatConv2D(
        window=oc.window(case.kernel, case.strides, case.pads, case.dilations),
        group=case.group,
        weights=stored,
        weight_scale=scale,
        bias=fc.values(3, (case.outputs,), case.bias),
        minimum=case.limits[0],
        maximum=case.limits[1],
    )
    return x, kernel, weights


def in_order(case: Case, x: oc.Floats, bias: oc.Floats, weights: oc.Floats) -> oc.Floats:
    """Rows, columns, channels, each output on its own; pixels outside the image are left out."""
    (height, width), (stride_h, stride_w), (dilation_h, dilation_w) = case.size, case.strides, case.dilations
    top, left, bottom, right = case.pads
    rows = (height + top + bottom - (case.kernel[0] - 1) * dilation_h - 1) // stride_h + 1
    columns = (width + left + right - (case.kernel[1] - 1) * dilation_w - 1) // stride_w + 1
    y = np.empty((len(x), rows, columns, case.outputs), f32)
    filters = np.arange(case.outputs) // (case.outputs // case.group) * (case.channels // case.group)
    for row in range(rows):
        for column in range(columns):
            total = np.broadcast_to(bias, (len(x), case.outputs)).copy()
            for ky in range(case.kernel[0]):
                for kx in range(case.kernel[1]):
                    i, j = row * stride_h - top + ky * dilation_h, column * stride_w - left + kx * dilation_w
                    if not (0 <= i < height and 0 <= j < width):
                        continue
                    for channel in range(weights.shape[3]):
                        total += x[:, i, j, filters + channel] * weights[:, ky, kx, channel]
            y[:, row, column] = total
    return fc.limited(y, *case.limits)


@pytest.mark.parametrize("name", [name for name in CASES if "large image" not in name])
def test_sums_by_rows_columns_and_channels(name: str, backend: str) -> None:
    case = CASES[name]
    x, kernel, weights = operands(case)
    with np.errstate(all="ignore"):
        expected = in_order(case, x, kernel.bias, weights)
    assert oc.same_bits(oc.run(backend, kernel, [x], (1, *expected.shape[1:])), expected)


@pytest.mark.parametrize("name", CASES)
def test_both_backends_agree(name: str, c_backend_missing: str | None) -> None:
    if c_backend_missing:
        pytest.skip(c_backend_missing)
    case = CASES[name]
    x, kernel, _ = operands(case)
    output = (1, *shape_of_output(case))
    assert oc.same_bits(oc.run("numpy", kernel, [x], output), oc.run("c", kernel, [x], output))


def shape_of_output(case: Case) -> tuple[int, int, int]:
    along = [
        (case.size[i] + case.pads[i] + case.pads[i + 2] - (case.kernel[i] - 1) * case.dilations[i] - 1)
        // case.strides[i]
        + 1
        for i in (0, 1)
    ]
    return along[0], along[1], case.outputs


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.values == case.bias == "normal"])
def test_equals_onnx_runtime_but_for_rounding(name: str, backend: str) -> None:
    case = CASES[name]
    x, kernel, weights = operands(case)
    attributes = {
        "kernel_shape": case.kernel,
        "strides": case.strides,
        "pads": case.pads,
        "dilations": case.dilations,
        "group": case.group,
    }
    image, filters = oc.nchw(x), oc.nchw(weights)
    expected = np.clip(oc.ort("Conv", [None, filters, kernel.bias], {0: image}, **attributes), *case.limits)
    size = oc.ort("Conv", [None, np.abs(filters), np.abs(kernel.bias)], {0: np.abs(image)}, **attributes)
    found = oc.run(backend, kernel, [x], (1, *shape_of_output(case)))
    terms = weights[0].size
    assert np.all(np.abs(oc.nchw(found) - expected) <= 1.001 * fc.bound(terms, size))
