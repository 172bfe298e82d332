"""A symbolic batch: operators that join samples are refused, those that keep them apart run any batch as ONNX does."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from onnxino import InferenceSession
from onnxino.errors import ConvertError
from onnxino_converter import convert

F, SIZES = np.float32, (2, 4)
node = helper.make_node


def one(kind: str, *constants: Any, opset: int = 18, **attributes: Any) -> tuple[list[NodeProto], dict[str, Any], int]:
    """x and the constants -> a node -> y."""
    given = {f"c{number}": np.asarray(value) for number, value in enumerate(constants)}
    return [node(kind, ["x", *given], ["y"], name="it", **attributes)], given, opset


def chain(*steps: tuple[str, list[Any], dict[str, Any]]) -> tuple[list[NodeProto], dict[str, Any], int]:
    """x -> one node after the other -> y. Inputs are arrays, or names of tensors."""
    nodes: list[NodeProto] = []
    constants: dict[str, Any] = {}
    last = "x"
    for number, (kind, inputs, attributes) in enumerate(steps):
        names = [last]
        for place, value in enumerate(inputs):
            names.append(value if isinstance(value, str) else f"c{number}_{place}")
            if not isinstance(value, str):
                constants[names[-1]] = np.asarray(value)
        last = "y" if number == len(steps) - 1 else f"t{number}"
        nodes.append(node(kind, names, [last], name=f"{kind.lower()}{number}", **attributes))
    return nodes, constants, 18


def model(made: tuple[list[NodeProto], dict[str, Any], int], batch: Any, sizes: tuple[int, ...] = SIZES) -> ModelProto:
    nodes, constants, opset = made
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *sizes])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "net", [x], [y], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


WHOLE = [0], [2**63 - 1], [0]
SOFTMAX = ("Softmax", [], {"axis": 1})

JOINING = {
    "softmax": one("Softmax", axis=0),
    "softmax of all, as before opset 13": one("Softmax", axis=0, opset=12),
    "log softmax": one("LogSoftmax", axis=-3),
    "mean": one("ReduceMean", [0], keepdims=1),
    "mean of everything": one("ReduceMean", keepdims=1),
    "maximum": one("ReduceMax", [0, 1], keepdims=1),
    "normalization": one("LayerNormalization", np.ones((1, 2, 4), F), axis=0),
    "first sample": one("Gather", 0, axis=0),
    "slice": one("Slice", [0], [1], [0]),
    "reversed": one("Slice", [-1], [-(2**62)], [0], [-1]),
    "pad": one("Pad", [1, 0, 0, 0, 0, 0]),
    "tile": one("Tile", [2, 1, 1]),
    "resize": one("Resize", np.zeros(0, F), np.asarray([2, 1, 1], F), mode="nearest"),
    "concat with itself": ([node("Concat", ["x", "x"], ["y"], name="it", axis=0)], {}, 18),
    "constant for each sample": one("Add", np.ones((3, 2, 4), F)),
    "expand": one("Expand", [3, 2, 4]),
    "flatten everything": one("Flatten", axis=0),
    "transpose": one("Transpose", perm=(1, 0, 2)),
    "merged, normalized, parted": chain(("Reshape", [[1, -1]], {}), SOFTMAX, ("Reshape", [[-1, 2, 4]], {})),
    "transposed, normalized": chain(("Transpose", [], {"perm": (2, 0, 1)}), SOFTMAX),
    "samples by samples": chain(
        ("Reshape", [[-1, 8]], {}), ("Transpose", [], {"perm": (1, 0)}), ("MatMul", ["t0"], {})
    ),
    "sums over samples": (
        [node("Flatten", ["x"], ["f"]), node("Gemm", ["f", "f"], ["y"], name="it", transA=1)],
        {},
        18,
    ),
    "across samples": one("Reshape", [4, -1]),
}


@pytest.mark.parametrize("made", JOINING.values(), ids=JOINING)
@pytest.mark.parametrize("batch", ["N", None])
def test_joined_samples_are_refused(made: Any, batch: Any) -> None:
    with pytest.raises(ConvertError) as caught:
        convert(model(made, batch), float=True)
    assert "batch" in caught.value.message
    given = "--dim_param N --dim_value 1" if batch else "--input_name x --input_shape 1,2,4"
    assert f"python -m onnxruntime.tools.make_dynamic_shape_fixed {given} " in (caught.value.hint or "")


@pytest.mark.parametrize("made", JOINING.values(), ids=JOINING)
def test_a_fixed_batch_of_one_is_converted(made: Any) -> None:
    given = model(made, 1)
    x = np.random.default_rng(0).normal(0, 1, (1, *SIZES)).astype(F)
    expected = onnxruntime.InferenceSession(given.SerializeToString()).run(None, {"x": x})[0]
    with InferenceSession(convert(given, float=True).model) as session:
        np.testing.assert_allclose(session.run(None, {"x": x})[0], expected, rtol=1e-5, atol=1e-6)


def _by_shape() -> tuple[list[NodeProto], dict[str, Any], int]:
    """x.reshape(x.shape[0], -1), as exporters write it."""
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["size"], axis=0),
        node("Unsqueeze", ["size", "axes"], ["sizes"]),
        node("Concat", ["sizes", "rest"], ["target"], axis=0),
        node("Reshape", ["x", "target"], ["flat"]),
        node("MatMul", ["flat", "w"], ["y"]),
    ]
    constants = {"zero": np.asarray(0), "axes": np.asarray([0]), "rest": np.asarray([-1]), "w": np.ones((8, 3), F)}
    return nodes, constants, 18


SEPARATE = {
    "softmax": one("Softmax", axis=-1),
    "softmax before opset 13": one("Softmax", axis=1, opset=12),
    "mean": one("ReduceMean", [1, 2], keepdims=0),
    "gather": one("Gather", [1, 0], axis=1),
    "gather of one": one("Gather", 1, axis=1),
    "whole slice": one("Slice", *WHOLE),
    "slice of rows": one("Slice", [0, 1], [2**63 - 1, 2], [0, 2]),
    "constant": one("Add", np.ones((2, 4), F)),
    "constant of one sample": one("Mul", np.ones((1, 2, 4), F)),
    "flatten": one("Flatten", axis=1),
    "rows of all samples": chain(("Reshape", [[-1, 4]], {}), SOFTMAX, ("Reshape", [[-1, 2, 4]], {})),
    "flatten(2)": chain(("Flatten", [], {"axis": 2}), SOFTMAX),
    "there and back": chain(
        ("Transpose", [], {"perm": (2, 0, 1)}), ("Softmax", [], {"axis": 0}), ("Transpose", [], {"perm": (1, 2, 0)})
    ),
    "copied": chain(("Reshape", [[0, -1]], {}), ("Gemm", [np.ones((8, 2), F)], {})),
    "shape": _by_shape(),
    "attention": chain(("Transpose", [], {"perm": (0, 2, 1)}), ("MatMul", ["x"], {}), ("Softmax", [], {"axis": -1})),
    "unsqueeze": chain(("Unsqueeze", [[0]], {}), ("Softmax", [], {"axis": 0}), ("Squeeze", [[0]], {})),
}


@pytest.mark.parametrize("made", SEPARATE.values(), ids=SEPARATE)
@pytest.mark.parametrize("batch", ["N", None])
def test_separate_samples_run_in_any_batch(made: Any, batch: Any) -> None:
    given = model(made, batch)
    x = np.random.default_rng(0).normal(0, 1, (3, *SIZES)).astype(F)
    expected = onnxruntime.InferenceSession(given.SerializeToString()).run(None, {"x": x})[0]
    with InferenceSession(convert(given, float=True).model) as session:
        found = session.run(None, {"x": x})[0]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
