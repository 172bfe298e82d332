"""What several kernels share: windows, requantization, packed weights, bias folding."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.schema.model import ElementType, Requantization, WeightLayout, Weights, Window2D
from onnxino_converter.importer.spatial import Window
from onnxino_converter.ir import Quantization
from onnxino_converter.quantized import Clamp


def lower_window(window: Window) -> Window2D:
    return Window2D(
        kernel_h=window.kernel[0],
        kernel_w=window.kernel[1],
        stride_h=window.strides[0],
        stride_w=window.strides[1],
        dilation_h=window.dilations[0],
        dilation_w=window.dilations[1],
        pad_top=window.pads[0],
        pad_left=window.pads[1],
        pad_bottom=window.pads[2],
        pad_right=window.pads[3],
    )


def lower_requantization(scale: NDArray[np.float32], y: Quantization | None, clamp: Clamp) -> Requantization:
    return Requantization(
        scale=np.ascontiguousarray(scale, np.float32),
        zero_point=0 if y is None else y.device_zero_point,
        minimum=clamp.minimum,
        maximum=clamp.maximum,
    )


def pack(weights: NDArray[np.int8], layout: WeightLayout) -> Weights:
    """int8 weights, already in the layout's order, as bytes."""
    return Weights(layout=layout, type=ElementType.Int8, data=np.ascontiguousarray(weights).view(np.uint8).ravel())


def fold_zero_point(bias: NDArray[np.int32], weights: NDArray[np.int8], zero_point: int) -> NDArray[np.int32]:
    """bias - zero_point * sum(w) for each row of weights [outputs, ...]; int32 wraps around as in the kernel."""
    sums: NDArray[Any] = weights.reshape(weights.shape[0], -1).sum(axis=1, dtype=np.int64)
    return (bias.astype(np.int64) - zero_point * sums).astype(np.uint64).astype(np.uint32).view(np.int32)
