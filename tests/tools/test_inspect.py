"""inspect: what runs how, everything that is refused and why, and what a model file holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.tools.conftest import Command

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits_int8.onnx"
F, U8, I32 = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT32


def save(
    folder: Path, nodes: list[Any], constants: dict[str, Any] | None = None, shape: list[Any] | None = None
) -> Path:
    """A model from x (float32) to y."""
    x, y = helper.make_tensor_value_info("x", F, shape or [1, 2, 4, 4]), helper.make_tensor_value_info("y", F, None)
    initializers = [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()]
    graph = helper.make_graph(nodes, "broken", [x], [y], initializers)
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("acme", 1)]
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), str(path))
    return path


def facts_of(onnxino: Command, path: Path) -> dict[str, Any]:
    code, out, err = onnxino("inspect", path, "--json")
    assert code == 0, err
    return json.loads(out)


def test_a_quantized_model(onnxino: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    facts = facts_of(onnxino, DIGITS)
    assert facts["converts"]
    assert facts["notes"] == []
    assert facts["onnx_nodes"]["QuantizeLinear"] > 0
    assert {row["exactness"] for row in facts["operators"]} <= {"exact", "table", "step"}
    assert facts["macs"] == sum(row["macs"] for row in facts["operators"]) > 0
    assert list(tmp_path.iterdir()) == []  # nothing is written
    code, out, _ = onnxino("inspect", DIGITS)
    assert code == 0
    assert "Conv2D" in out
    assert "integer arithmetic, ONNX Runtime's bytes" in out


def test_a_model_file(onnxino: Command, tiny: Path) -> None:
    facts = facts_of(onnxino, tiny)
    assert facts["operators"] == [
        {
            "name": "dense",
            "kernel": "FullyConnected",
            "inputs": ["int8 [1, 16]"],
            "outputs": ["int8 [1, 3]"],
            "quantization": "0.5, zero point 0",
            "exactness": "exact",
            "macs": 48,
        }
    ]


def test_a_float_model(onnxino: Command, tmp_path: Path) -> None:
    path = save(tmp_path, [helper.make_node("Sigmoid", ["x"], ["y"], name="squash")])
    facts = facts_of(onnxino, path)
    assert facts["converts"]
    assert [(row["kernel"], row["exactness"]) for row in facts["operators"]] == [("FloatUnary Sigmoid", "float")]
    assert "not quantized" in facts["notes"][0]["message"]
    assert "--float" in facts["notes"][0]["hint"]


def test_every_node_that_is_refused(onnxino: Command, tmp_path: Path) -> None:
    """Two unknown operators with supported ones before, between and after."""
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="first"),
        helper.make_node("Wobble", ["a"], ["b"], name="wobble", domain="acme"),
        helper.make_node("Relu", ["b"], ["c"], name="second"),
        helper.make_node("NonZero", ["x"], ["d"], name="count"),
        helper.make_node("Cast", ["d"], ["e"], name="cast", to=F),
        helper.make_node("Det", ["x"], ["f"], name="det"),
        helper.make_node("Sigmoid", ["a"], ["y"], name="last"),
    ]
    facts = facts_of(onnxino, save(tmp_path, nodes))
    assert not facts["converts"]
    states = {row["name"]: row["state"] for row in facts["nodes"]}
    assert states["first"] == states["last"] == "supported"
    assert states["wobble"] == states["count"] == states["det"] == "unsupported"
    assert states["second"] == "not checked"  # nobody knows what Wobble computes
    assert states["cast"] == "not checked"  # NonZero's result has no fixed shape
    reasons = {row["name"]: row["reason"] for row in facts["nodes"]}
    assert reasons["wobble"] == "the operator is not supported"
    hints = {row["name"]: row["hint"] for row in facts["nodes"]}
    assert "domain 'acme'" in hints["wobble"]
    code, out, _ = onnxino("inspect", tmp_path / "model.onnx")
    assert code == 0
    assert "cannot be converted: 3 of 7 nodes are not supported" in out
    assert "2 nodes could not be checked" in out


def test_weights_behind_a_refused_node_are_weights(onnxino: Command, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Det", ["s"], ["d"], name="det"),
        helper.make_node("Wobble", ["w"], ["v"], name="wobble", domain="acme"),
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
        helper.make_node("Einsum", ["c"], ["y"], name="sum", equation="abcd->ab"),
    ]
    constants = {"w": np.ones((3, 2, 1, 1), np.float32), "s": np.eye(2, dtype=np.float32)}
    states = {row["name"]: row["state"] for row in facts_of(onnxino, save(tmp_path, nodes, constants))["nodes"]}
    assert states["conv"] == "supported"
    assert states["sum"] == "unsupported"


def test_nodes_without_names(onnxino: Command, tmp_path: Path) -> None:
    nodes = [helper.make_node("Det", ["x"], ["a"]), helper.make_node("Det", ["x"], ["y"])]
    facts = facts_of(onnxino, save(tmp_path, nodes))
    assert [row["state"] for row in facts["nodes"]] == ["unsupported", "unsupported"]
    assert len({row["name"] for row in facts["nodes"]}) == 2


def test_a_problem_of_no_node(onnxino: Command, tmp_path: Path) -> None:
    path = save(tmp_path, [helper.make_node("Relu", ["x"], ["y"])], shape=[1, "length"])
    facts = facts_of(onnxino, path)
    assert not facts["converts"]
    assert not facts["complete"]
    assert "dimension 1 ('length') is not fixed" in facts["problem"]["message"]
    assert "there may be more" in onnxino("inspect", path)[1]


def test_a_model_that_does_not_fit(onnxino: Command, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("Sigmoid", ["d"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "s", "z"], ["t"]),
        helper.make_node("DequantizeLinear", ["t", "s", "z"], ["y"]),
    ]
    path = save(tmp_path, nodes, {"s": np.float32(0.1), "z": np.uint8(3)}, shape=[1, 100, 100, 100])
    facts = facts_of(onnxino, path)
    assert facts["converts"]
    assert [row["exactness"] for row in facts["operators"]] == ["table"]
    assert "of RAM" in facts["notes"][0]["message"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.onnx", None, "there is no model"),
        ("none.oxm", None, "there is no model"),
        ("text.onnx", b"hello", "is not an ONNX model"),
        ("short.oxm", b"OXM\x1a", ""),
    ],
)
def test_errors(onnxino: Command, tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    code, out, err = onnxino("inspect", tmp_path / name)
    assert (code, out) == (1, "")
    assert message in err


@pytest.mark.parametrize(("name", "refused"), [("brevitas_qonnx", 37), ("ort_dynamic_u8", 12)])
def test_exporters_that_cannot_be_converted(onnxino: Command, shared: Path, name: str, refused: int) -> None:
    facts = facts_of(onnxino, shared / "models" / "exporters" / f"{name}.onnx")
    assert sum(row["state"] == "unsupported" for row in facts["nodes"]) == refused
    assert facts["complete"]


def test_a_model_that_is_refused_as_a_whole(onnxino: Command, tmp_path: Path) -> None:
    """Its input is: nobody has looked at the nodes, and none is said to be the reason."""
    path = save(tmp_path, [helper.make_node("Relu", ["x"], ["y"], name="one")])
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    onnx.save(model, path)
    assert [row["state"] for row in facts_of(onnxino, path)["nodes"]] == ["not checked"]
    code, out, _ = onnxino("inspect", path)
    assert code == 0
    assert "cannot be converted: graph input 'x' is of type int64; supported: float32" in out
    assert "nodes are not supported" not in out
    assert "1 node could not be checked: that comes first" in out
