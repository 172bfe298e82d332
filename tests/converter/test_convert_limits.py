"""Tensors too large for a model file and attributes that are no numbers are refused with the node's name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from onnxino.errors import ConvertError
from onnxino_converter import convert

F = np.float32
node = helper.make_node


def model(nodes: list[Any], shape: tuple[int, ...] = (1, 4), **constants: Any) -> ModelProto:
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "net", [x], [y], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def one(kind: str, *inputs: str, shape: tuple[int, ...] = (1, 4), attributes: Any = None, **constants: Any) -> Any:
    return model([node(kind, ["x", *inputs, *constants], ["y"], name="it", **(attributes or {}))], shape, **constants)


IT = "node 'it'"
LARGE: dict[str, tuple[ModelProto, tuple[str, ...]]] = {
    "input": (one("Relu", shape=(1, 65536, 65536)), ("graph input 'x'", "too large: 4,294,967,296 elements")),
    "input beyond 64 bits": (one("Relu", shape=(1, 2**40, 2**40)), ("graph input 'x'", "too large", "2,147,483,647")),
    "pad": (one("Pad", p=[0, 0, 0, 2**33]), (IT, "[1, 8589934596] is too large")),
    "pad of edges": (one("Pad", p=[0, 0, 0, 2**62], attributes={"mode": "edge"}), (IT, "too large")),
    "expand": (one("Expand", shape=(1, 1), p=[1, 2**62]), (IT, "too large")),
    "tile": (one("Tile", p=[1, 2**62]), (IT, "too large")),
    "resize": (one("Resize", "", "", p=[1, 2**62], attributes={"mode": "nearest"}), (IT, "too large")),
    "outer sum": (one("Add", shape=(2**20, 1), p=np.ones(2**20, F)), (IT, "[1048576, 1048576] is too large")),
    "reshape": (one("Reshape", p=[2**62, 2**62, -1]), (IT, "cannot be reshaped")),
    "constant of a shape": (
        model([node("ConstantOfShape", ["p"], ["c"], name="it"), node("Add", ["x", "c"], ["y"])], p=[2**20, 2**22]),
        (IT, "4,398,046,511,104 elements", "4,194,304"),
    ),
    "constant expanded": (
        model([node("Expand", ["q", "p"], ["c"], name="it"), node("Add", ["x", "c"], ["y"])], p=[2**40, 4], q=[1.0]),
        (IT, "too large"),
    ),
    "constant repeated": (
        model([node("Tile", ["q", "p"], ["c"], name="it"), node("Add", ["x", "c"], ["y"])], p=[2**40], q=[1.0]),
        (IT, "too large"),
    ),
    "arena": (
        model([node("Relu", ["x"], ["a"]), node("Add", ["x", "a"], ["y"])], (1, 32768, 24000)),
        ("6,291,456,000 bytes of RAM", "4,294,967,295", "'x' 3,145,728,000"),
    ),
}


@pytest.mark.parametrize(("made", "words"), LARGE.values(), ids=LARGE)
def test_too_large(made: ModelProto, words: tuple[str, ...]) -> None:
    with pytest.raises(ConvertError) as caught:
        convert(made, float=True, board=None)
    assert all(word in caught.value.message for word in words), caught.value.message
    assert caught.value.hint


def test_large_tensors_do_not_fit_the_board() -> None:
    with pytest.raises(ConvertError, match=r"running the model takes [\d,]+ bytes of RAM, .* leaves"):
        convert(one("Relu", shape=(1, 16384, 16384)), float=True)


NUMBERS = {
    "Gemm nan": (one("Gemm", w=np.ones((4, 2), F), attributes={"alpha": float("nan")}), "attribute alpha is nan"),
    "Gemm infinite": (one("Gemm", w=np.ones((4, 2), F), attributes={"beta": float("-inf")}), "attribute beta is -inf"),
    "LeakyRelu": (one("LeakyRelu", attributes={"alpha": float("nan")}), "attribute alpha is nan"),
    "HardSigmoid": (one("HardSigmoid", attributes={"beta": float("nan")}), "attribute beta is nan"),
}


@pytest.mark.parametrize(("made", "found"), NUMBERS.values(), ids=NUMBERS)
def test_attributes_that_are_no_numbers(made: ModelProto, found: str) -> None:
    with pytest.raises(ConvertError) as caught:
        convert(made, float=True)
    assert f"{IT} (" in caught.value.message
    assert found in caught.value.message
    assert caught.value.hint
