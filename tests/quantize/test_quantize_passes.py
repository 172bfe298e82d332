"""The passes on the float graph: what they fold is gone, and the network computes what it did."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

from onnxino_converter.quantize.calibration import read_calibration
from onnxino_converter.quantize.equalize import equalize_channels
from onnxino_converter.quantize.evaluate import Evaluator
from onnxino_converter.quantize.quantizer import prepare
from tests.quantize.float_nets import after_conv, inputs, kinds, net, node, random, run

NORM = {"g": random(8, seed=2), "be": random(8, seed=3), "m": random(8, seed=4), "v": np.abs(random(8, seed=5)) + 0.1}
NORMALIZE = ["g", "be", "m", "v"]
ROW = {"r": random(1, 8, 1, 1, seed=6)}
CASES: dict[str, tuple[ModelProto, list[str]]] = {
    "BatchNormalization": (
        after_conv(node("BatchNormalization", ["c", *NORMALIZE], ["y"], epsilon=1e-3), constants=NORM),
        ["Conv"],
    ),
    "two of them": (
        after_conv(
            node("BatchNormalization", ["c", *NORMALIZE], ["d"]),
            node("BatchNormalization", ["d", *NORMALIZE], ["y"]),
            constants=NORM,
        ),
        ["Conv"],
    ),
    "BatchNormalization alone": (
        after_conv(node("Relu", ["c"], ["d"]), node("BatchNormalization", ["d", *NORMALIZE], ["y"]), constants=NORM),
        ["Conv", "Relu", "Conv"],
    ),
    "BatchNormalization after Gemm": (
        net(
            [node("Gemm", ["x", "w"], ["d"], transB=1), node("BatchNormalization", ["d", *NORMALIZE], ["y"])],
            {"w": random(8, 12), **NORM},
            (12,),
        ),
        ["Gemm"],
    ),
    "Mul": (after_conv(node("Mul", ["r", "c"], ["y"]), constants=ROW), ["Conv"]),
    "Add": (after_conv(node("Add", ["c", "r"], ["y"]), constants=ROW), ["Conv"]),
    "Sub": (after_conv(node("Sub", ["c", "r"], ["y"]), constants=ROW), ["Conv"]),
    "Sub from": (after_conv(node("Sub", ["r", "c"], ["y"]), constants=ROW), ["Conv"]),
    "Div": (after_conv(node("Div", ["c", "r"], ["y"]), constants={"r": np.float32(3)}), ["Conv"]),
    "Div by": (after_conv(node("Div", ["r", "c"], ["y"]), constants={"r": np.float32(3)}), ["Conv", "Div"]),
    "Mul along another axis": (after_conv(node("Mul", ["c", "r"], ["y"]), constants={"r": random(8)}), ["Conv", "Mul"]),
    "read twice": (
        after_conv(node("Mul", ["c", "r"], ["d"]), node("Add", ["c", "d"], ["y"]), constants=ROW),
        ["Conv", "Mul", "Add"],
    ),
    "MatMul + Add": (
        net(
            [node("MatMul", ["x", "w"], ["d"]), node("Add", ["d", "b"], ["y"])],
            {"w": random(12, 5), "b": random(5)},
            (12,),
        ),
        ["Gemm"],
    ),
    "Gemm with alpha, beta": (
        net(
            [node("Gemm", ["x", "w", "b"], ["y"], alpha=0.5, beta=3.0)], {"w": random(12, 5), "b": random(1, 5)}, (12,)
        ),
        ["Gemm"],
    ),
    "Pad": (
        after_conv(
            node("Pad", ["c", "p"], ["d"]),
            node("Conv", ["d", "w2"], ["y"], pads=[1, 0, 0, 0]),
            constants={"p": np.array([0, 0, 1, 2, 0, 0, 0, 1]), "w2": random(4, 8, 3, 3)},
        ),
        ["Conv", "Conv"],
    ),
    "Relu, Relu, Relu": (
        after_conv(node("Relu", ["c"], ["d"]), node("Relu", ["d"], ["e"]), node("Relu", ["e"], ["y"])),
        ["Conv", "Relu"],
    ),
    "Clip, Relu": (
        after_conv(node("Clip", ["c", "", "hi"], ["d"]), node("Relu", ["d"], ["y"]), constants={"hi": np.float32(1)}),
        ["Conv", "Clip"],
    ),
    "Relu, Clip below": (
        after_conv(node("Relu", ["c"], ["d"]), node("Clip", ["d", "", "hi"], ["y"]), constants={"hi": np.float32(-1)}),
        ["Conv", "Clip"],
    ),
    "ReduceMean": (after_conv(node("ReduceMean", ["c"], ["y"], axes=[3, 2])), ["Conv", "GlobalAveragePool"]),
    "ReduceMean, opset 18": (
        after_conv(node("ReduceMean", ["c", "a"], ["y"], keepdims=0), constants={"a": np.array([-1, -2])}, opset=18),
        ["Conv", "GlobalAveragePool", "Flatten"],
    ),
    "ReduceMean over channels": (after_conv(node("ReduceMean", ["c"], ["y"], axes=[1])), ["Conv", "ReduceMean"]),
    "Identity, Dropout, constants": (
        after_conv(
            node("Identity", ["c"], ["d"]),
            node("Dropout", ["d"], ["e"]),
            node("Shape", ["r"], ["s"]),
            node("ConstantOfShape", ["s"], ["z"]),
            node("Add", ["r", "z"], ["t"]),
            node("Mul", ["e", "t"], ["f"]),
            node("Identity", ["f"], ["y"]),
            constants=ROW,
        ),
        ["Conv"],
    ),
}


def largest_difference(a: Any, b: Any) -> float:
    return float(np.abs(a - b).max() / np.abs(a).max())


@pytest.mark.parametrize("name", CASES)
def test_folding_is_exact(name: str) -> None:
    model, expected = CASES[name]
    prepared = prepare(model).write()
    assert kinds(prepared) == expected
    feeds = inputs(model)
    assert largest_difference(run(model, feeds)[0], run(prepared, feeds)[0]) < 3e-6


def test_a_low_opset_is_raised() -> None:
    model = net([node("Squeeze", ["x"], ["y"], axes=[2])], {}, (3, 1, 4), opset=11)
    prepared = prepare(model)
    assert prepared.opset == 13
    feeds = inputs(model)
    assert np.array_equal(run(model, feeds)[0], run(prepared.write(), feeds)[0])


CHAIN = [
    node("Conv", ["x", "w1", "b1"], ["a"], pads=[1, 1, 1, 1]),
    node("Relu", ["a"], ["b"]),
    node("Conv", ["b", "w2", "b2"], ["c"], group=8),
    node("LeakyRelu", ["c"], ["d"], alpha=0.1),
    node("MaxPool", ["d"], ["e"], kernel_shape=[2, 2]),
    node("Conv", ["e", "w3"], ["f"], group=2),
    node("GlobalAveragePool", ["f"], ["g"]),
    node("Flatten", ["g"], ["h"]),
    node("Gemm", ["h", "w4", "b4"], ["i"], transB=1),
    node("Relu", ["i"], ["j"]),
    node("Gemm", ["j", "w5"], ["y"]),
]
UNEVEN = np.exp(random(8, seed=9) * 2).reshape(8, 1, 1, 1)
CHAIN_CONSTANTS = {
    "w1": random(8, 3, 3, 3) * UNEVEN,
    "b1": random(8),
    "w2": random(8, 1, 3, 3),
    "b2": random(8, seed=1),
    "w3": random(6, 4, 1, 1),
    "w4": random(7, 6),
    "b4": random(7),
    "w5": random(7, 5),
}


def test_equalization_preserves_the_function_and_balances() -> None:
    model = net(CHAIN, CHAIN_CONSTANTS)
    graph = prepare(model)
    equalize_channels(graph)
    feeds = inputs(model)
    assert largest_difference(run(model, feeds)[0], run(graph.write(), feeds)[0]) < 1e-5
    before, after = (np.abs(graph.constants[n.input[1]]) for n in (graph.nodes[0], graph.nodes[2]))
    assert before.max(axis=(1, 2, 3)) == pytest.approx(after.max(axis=(1, 2, 3)), rel=1e-2)
    last = [graph.constants[graph.nodes[k].input[1]] for k in (8, 10)]
    assert np.abs(last[0]).max(axis=1) == pytest.approx(np.abs(last[1]).max(axis=1), rel=1e-2)


@pytest.mark.parametrize("middle", ["Clip", "Sigmoid"])
def test_equalization_leaves_what_is_not_homogeneous(middle: str) -> None:
    limits = {"lo": np.float32(0), "hi": np.float32(6)} if middle == "Clip" else {}
    nodes = [node(middle, ["c", *limits], ["d"]), node("Conv", ["d", "w2"], ["y"])]
    graph = prepare(after_conv(*nodes, constants={"w2": random(4, 8, 1, 1), **limits}))
    weights = graph.constants[graph.nodes[0].input[1]]
    equalize_channels(graph)
    assert np.array_equal(weights, graph.constants[graph.nodes[0].input[1]])


def test_equalization_leaves_dead_channels() -> None:
    constants = {**CHAIN_CONSTANTS, "w1": CHAIN_CONSTANTS["w1"] * (np.arange(8) != 3).reshape(8, 1, 1, 1)}
    model = net(CHAIN, {k: v.astype(np.float32) for k, v in constants.items()})
    graph = prepare(model)
    equalize_channels(graph)
    assert all(np.isfinite(array).all() for array in graph.constants.values())
    feeds = inputs(model)
    assert largest_difference(run(model, feeds)[0], run(graph.write(), feeds)[0]) < 1e-5


WINDOWS = [
    node("Conv", ["x", "w"], ["y"], pads=[1, 0, 2, 1], strides=[2, 1], dilations=[2, 1]),
    node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER", strides=[2, 2]),
    node("Conv", ["x", "w"], ["y"], auto_pad="SAME_LOWER", strides=[3, 3]),
    node("Conv", ["x", "wd"], ["y"], group=4, pads=[1, 1, 1, 1]),
    node("Conv", ["x", "wg"], ["y"], group=2),
    node("MaxPool", ["x"], ["y"], kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1]),
    node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], dilations=[2, 2]),
    node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1),
]


@pytest.mark.parametrize("window", WINDOWS, ids=lambda n: n.op_type)
def test_the_evaluator_computes_what_onnx_runtime_does(window: Any) -> None:
    constants = {"w": random(5, 4, 3, 2), "wd": random(8, 1, 3, 3), "wg": random(6, 2, 2, 2)}
    model = net([window], {k: v for k, v in constants.items() if k in window.input}, (4, 9, 8))
    feeds = inputs(model)
    assert Evaluator(model).run(feeds)["y"] == pytest.approx(run(model, feeds)[0], abs=1e-4)


@pytest.mark.parametrize(("shape", "free"), [([1, -1], True), ([1, 512], True), ([-1, 512], True), ([2, 256], False)])
def test_a_fixed_batch_is_lifted_only_where_that_changes_nothing(shape: list[int], free: bool) -> None:
    model = after_conv(node("Reshape", ["c", "s"], ["y"]), constants={"s": np.array(shape)}, batch=1)
    data = read_calibration(prepare(model), inputs(model))
    assert data.free == free
    assert len(next(iter(data.batches[0].values()))) == (16 if free else 1)
