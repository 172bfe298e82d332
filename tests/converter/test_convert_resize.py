"""Nearest Resize takes the pixels that ONNX Runtime takes, also where a division in float32 ends near a half."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxino_converter.importer.context import RawNode
from onnxino_converter.importer.selection import _nearest  # pyright: ignore[reportPrivateUsage]

INPUTS = range(1, 17)
OUTPUTS = (1, 2, 3, 5, 7, 9, 10, 14, 16, 20, 29, 31, 64)
COORDINATES = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric")
ROUNDINGS = ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("coordinates", COORDINATES)
def test_pixels_of_onnx_runtime(coordinates: str, rounding: str) -> None:
    """All sizes of one mode in one model: x_n [1, n] -> y_n_k [1, k]."""
    attributes = {"coordinate_transformation_mode": coordinates, "nearest_mode": rounding}
    sizes = [numpy_helper.from_array(np.asarray([1, k], np.int64), f"size_{k}") for k in OUTPUTS]
    pairs = [(n, k) for n in INPUTS for k in OUTPUTS]
    nodes = [
        helper.make_node("Resize", [f"x_{n}", "", "", f"size_{k}"], [f"y_{n}_{k}"], mode="nearest", **attributes)
        for n, k in pairs
    ]
    inputs = [helper.make_tensor_value_info(f"x_{n}", TensorProto.FLOAT, [1, n]) for n in INPUTS]
    outputs = [helper.make_tensor_value_info(f"y_{n}_{k}", TensorProto.FLOAT, [1, k]) for n, k in pairs]
    graph = helper.make_graph(nodes, "net", inputs, outputs, sizes)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {f"x_{n}": np.arange(n, dtype=np.float32).reshape(1, n) for n in INPUTS}
    results = session.run(None, feeds)
    raw = RawNode("Resize", "", "resize", 19, [], ["y"], dict(attributes))
    for (n, k), expected in zip(pairs, results, strict=True):
        assert _nearest(raw, n, k, k / n) == np.asarray(expected).ravel().astype(int).tolist(), (n, k)
