"""Operators that no device runs: convert and inspect name the node, what was found and supported, and what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from agreement import check
from onnx import TensorProto, helper
from refused_models import REFUSED, WHOLE, Refused, one

from onnxino.errors import ConvertError
from onnxino_converter import convert
from onnxino_tools.inspect.report import inspect_file


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED.keys())
def test_operator(refused: Refused, tmp_path: Path) -> None:
    onnx.save(refused.build(), tmp_path / "model.onnx")
    with pytest.raises(ConvertError) as caught:
        convert(tmp_path / "model.onnx", float=True)
    assert caught.value.message.startswith(f"node '{refused.node}' ({refused.operator}): {refused.found}")
    assert refused.hint in (caught.value.hint or "")
    report = inspect_file(tmp_path / "model.onnx")
    assert not report["converts"]
    node = next(node for node in report["nodes"] if node["name"] == refused.node)
    assert (node["operator"], node["state"]) == (refused.operator, "unsupported")
    assert node["reason"]
    assert node["reason"] in caught.value.message
    assert node["hint"] == caught.value.hint


@pytest.mark.parametrize(("name", "expected"), WHOLE.items(), ids=WHOLE.keys())
def test_model_as_a_whole(name: str, expected: tuple[object, str, str], tmp_path: Path) -> None:
    build, message, hint = WHOLE[name]
    onnx.save(build(), tmp_path / "model.onnx")
    with pytest.raises(ConvertError) as caught:
        convert(tmp_path / "model.onnx", float=True)
    assert message in caught.value.message
    assert hint.lower() in (caught.value.hint or "").lower()
    report = inspect_file(tmp_path / "model.onnx")
    assert report["problem"] == {"message": caught.value.message, "hint": caught.value.hint}


def test_local_functions_are_put_in_place() -> None:
    """As exporters of whole modules write them."""
    body = [helper.make_node("Relu", ["a"], ["r"]), helper.make_node("Conv", ["r", "w"], ["b"], pads=[1, 1, 1, 1])]
    function = helper.make_function("my.layers", "Block", ["a", "w"], ["b"], body, [helper.make_opsetid("", 17)])
    weights = np.random.default_rng(0).normal(0, 1, (3, 2, 3, 3)).astype(np.float32)
    model = one("Block", {"w": weights}, domain="my.layers")()
    model.functions.append(function)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 8, 8]))
    check(model, 4, float=True)


def test_a_function_that_calls_itself() -> None:
    node = helper.make_node("Block", ["a"], ["b"], domain="my.layers")
    imports = [helper.make_opsetid("my.layers", 1)]
    model = one("Block", domain="my.layers")()
    model.functions.append(helper.make_function("my.layers", "Block", ["a"], ["b"], [node], imports))
    with pytest.raises(ConvertError) as caught:
        convert(model, float=True)
    assert caught.value.hint
