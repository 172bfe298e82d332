"""Float kernels go through infinity and NaN in silence: no RuntimeWarning of NumPy reaches the user."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxino import InferenceSession

F = np.float32
MODELS: dict[str, tuple[str, dict[str, Any], list[Any]]] = {
    "convolution": ("Conv", {}, [np.full((4, 4, 2, 2), 3e38, F)]),
    "convolution of groups": ("Conv", {"group": 4}, [np.full((4, 1, 2, 2), 3e38, F)]),
    "average": ("AveragePool", {"kernel_shape": [2, 2]}, []),
    "global average": ("GlobalAveragePool", {}, []),
    "sum": ("ReduceSum", {}, [np.asarray([1, 2], np.int64)]),
    "maximum": ("ReduceMax", {"axes": [1, 2]}, []),
    "product": ("MatMul", {}, [np.full((8, 3), 3e38, F)]),
    "maximum of windows": ("MaxPool", {"kernel_shape": [2, 2]}, []),
    "normalization": ("LayerNormalization", {}, [np.full(8, 3e38, F)]),
    "softmax": ("Softmax", {"axis": 1}, []),
}


@pytest.mark.parametrize("batch", [1, 40])
@pytest.mark.parametrize(("kind", "attributes", "constants"), MODELS.values(), ids=MODELS)
def test_no_warning(kind: str, attributes: dict[str, Any], constants: list[Any], batch: int) -> None:
    names = [f"c{number}" for number in range(len(constants))]
    graph = helper.make_graph(
        [helper.make_node(kind, ["x", *names], ["y"], **attributes)],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in zip(names, constants, strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    x = np.random.default_rng(0).choice(np.asarray([3e38, -3e38, np.inf, -np.inf, np.nan, 1], F), (batch, 4, 8, 8))
    with warnings.catch_warnings(), InferenceSession(model) as session:
        warnings.simplefilter("error")
        found = session.run(None, {"x": x})[0]
        assert not np.isfinite(found).all()
