"""The passes, each on a small graph of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx_net import Net, Q
from patterns import conv

from onnxino.schema.model import Exactness, Provenance
from onnxino_converter.arithmetic import quantize_array
from onnxino_converter.build_model import build_model
from onnxino_converter.fuse.operands import activation_bounds
from onnxino_converter.importer import import_graph
from onnxino_converter.ir import Graph, Node, PortInfo, Quantization, Value
from onnxino_converter.passes.absorb_into_ports import absorb_into_ports
from onnxino_converter.passes.alias_transposes import alias_transposes
from onnxino_converter.passes.drop_identities import drop_identities
from onnxino_converter.passes.fold_constants import fold_constants
from onnxino_converter.passes.fold_into_dense import fold_into_dense
from onnxino_converter.passes.fuse_qdq import fuse_qdq
from onnxino_converter.passes.fuse_qoperator import fuse_qoperator
from onnxino_converter.passes.integer_movement import integer_movement
from onnxino_converter.passes.keep_quantization import keep_quantization
from onnxino_converter.passes.mark_pairs import mark_pairs
from onnxino_converter.passes.merge_duplicates import merge_duplicates
from onnxino_converter.passes.merge_movement import merge_movement
from onnxino_converter.passes.move_quantization import move_quantization
from onnxino_converter.passes.pass_reshapes import pass_reshapes
from onnxino_converter.passes.push_transposes import push_transposes
from onnxino_converter.passes.resolve_ports import resolve_ports
from onnxino_converter.passes.to_nhwc import to_nhwc
from onnxino_converter.pipeline import run_passes
from onnxino_converter.quantized import (
    AddSpec,
    Clamp,
    ConcatSpec,
    DenseSpec,
    LookupSpec,
    MeanSpec,
    ReshapeSpec,
    SoftmaxSpec,
    TransposeSpec,
)

Q8 = Quantization(0.1, 0, False)
INT8 = np.dtype(np.int8)


def value(name: str, *shape: int, constant: Any = None) -> Value:
    return Value(name, shape, INT8, constant, Q8)


def transpose(x: Value, *perm: int) -> Node:
    shape = tuple(x.shape[p] for p in perm)
    return Node("Transpose", "t", [x], [Value(f"{x.name}_t", shape, INT8, None, Q8)], spec=TransposeSpec(perm))


def reshape(x: Value, *shape: int) -> Node:
    return Node("Reshape", "r", [x], [Value(f"{x.name}_r", shape, INT8, None, Q8)], spec=ReshapeSpec())


def lookup(x: Value, table: Any = None) -> Node:
    spec = LookupSpec(np.arange(-128, 128).astype(np.int8)[::-1] if table is None else table)
    return Node("Lookup", "l", [x], [Value(f"{x.name}_l", x.shape, INT8, None, Q8)], spec=spec)


def graph(nodes: list[Node], inputs: list[Value], output: Value) -> Graph:
    ports = [PortInfo(v.name, v, v.dtype, v.shape, [""] * len(v.shape)) for v in inputs]
    return Graph("g", ports, [PortInfo("y", output, output.dtype, output.shape, [""] * len(output.shape))], nodes)


def ops(made: Graph) -> list[str]:
    return [node.op for node in made.nodes]


def imported(net: Net) -> Graph:
    return import_graph(net.model())


# ------------------------------------------------------------------------------------------------- before fusing


def test_fold_constants_computes_quantized_and_moved_constants() -> None:
    net = Net()
    x = net.input((2, 4, 4), Q(0.1))
    weights = net.quantize(net.const(np.float32([[[[0.5]], [[-0.25]]]])), Q(0.01))
    moved = net.op("Transpose", [weights.name], perm=[0, 1, 3, 2])
    net.output(
        net.quantize(net.op("Conv", [net.dq(x), net.op("DequantizeLinear", [moved, *net.params(Q(0.01))])]), Q(0.1))
    )
    made = imported(net)
    assert fold_constants(made)
    weights_node = next(
        node for node in made.nodes if node.op == "DequantizeLinear" and node.input(0).constant is not None
    )
    assert weights_node.input(0).constant.ravel().tolist() == [50, -25]  # type: ignore[union-attr]
    assert not fold_constants(made)


@pytest.mark.parametrize(
    ("real", "expected"), [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (200.0, 127), (-200.0, -128), (np.nan, 0)]
)
def test_quantize_array_rounds_to_even_and_saturates(real: float, expected: int) -> None:
    made = quantize_array(np.float32([real]), np.float32([1]), np.int8([0]), -1)
    assert made.tolist() == [expected]
    assert made.dtype == np.int8


def test_merge_duplicates() -> None:
    net = Net()
    x = net.input((2, 2), Q(0.1))
    net.output(net.quantize(net.op("Add", [net.dq(x), net.dq(x)]), Q(0.1)))
    made = imported(net)
    before = len(made.nodes)
    assert merge_duplicates(made)
    assert len(made.nodes) == before - 1
    assert not merge_duplicates(made)


def test_mark_pairs_marks_tensors_with_one_reader() -> None:
    net = Net()
    x = net.input((2, 2), Q(0.1))
    first = net.quantize(net.op("Relu", [net.dq(x)]), Q(0.2))
    shared = net.dq(first)
    net.output(net.quantize(net.op("Add", [shared, net.op("Relu", [shared])]), Q(0.3)))
    made = imported(net)
    mark_pairs(made)
    marks = {node.output.name: node.output.unsigned_in_ort for node in made.nodes if node.op == "QuantizeLinear"}
    assert list(marks.values()) == [True, False, True]
    assert marks[first.name] is False


def test_readers_that_lead_to_no_output_count() -> None:
    net = Net()
    x = net.input((2, 2), Q(0.1))
    real = net.dq(x)
    net.output(net.quantize(net.op("Softmax", [real]), Q(0.01)))
    net.op("Sigmoid", [real])
    made = imported(net)
    assert made.remove_dead(remember=True)
    mark_pairs(made)
    assert [n.output.unsigned_in_ort for n in made.nodes if n.op == "QuantizeLinear"] == [False, True]


def test_mark_pairs_leaves_graph_outputs_alone() -> None:
    net = Net(ports="quantized")
    x = net.input((2, 2), Q(0.1))
    net.output(net.quantize(net.op("Relu", [net.dq(x)]), Q(0.3)))
    assert not mark_pairs(imported(net))


@pytest.mark.parametrize(
    ("kind", "attributes"), [("Reshape", {}), ("Transpose", {"perm": [0, 2, 1]}), ("MaxPool", {"kernel_shape": [2, 2]})]
)
def test_move_quantization_lets_movement_run_on_integers(kind: str, attributes: dict[str, Any]) -> None:
    net = Net()
    x = net.input((2, 4, 4) if kind == "MaxPool" else (4, 4), Q(0.1))
    inputs = [net.dq(x)] + ([net.const(np.int64([1, 16]))] if kind == "Reshape" else [])
    moved = net.op("Relu", [net.op(kind, inputs, **attributes)])
    net.output(net.quantize(net.op(kind, [moved, *inputs[1:]], **attributes), Q(0.2)))
    made = imported(net)
    assert move_quantization(made)
    assert all(node.input(0).dtype != np.float32 for node in made.nodes if node.op == kind)
    assert not move_quantization(made)


# ------------------------------------------------------------------------------------------------- fusing


def test_fuse_qdq_takes_the_whole_pattern() -> None:
    net = Net()
    conv(net, True, activation=("Relu", {}), y=Q(0.1, -20))
    made = imported(net)
    merge_duplicates(made)
    assert fuse_qdq(made)
    fused = next(node for node in made.nodes if node.spec is not None)
    assert fused.spec.clamp == Clamp(-20, 127)
    assert fused.spec.exactness == Exactness.Step
    assert ops(made) == ["QuantizeLinear", "Conv", "DequantizeLinear"]


@pytest.mark.parametrize(
    ("clip", "clamp"),
    [
        ((0.0, 6.0), Clamp(-10, 50)),
        ((-100.0, 1.0), Clamp(-128, 0)),
        ((2.0, 1.0), Clamp(0, 0)),
        ((50, 60), Clamp(127, 127)),
    ],
)
def test_clip_becomes_a_clamp(clip: tuple[float, float], clamp: Clamp) -> None:
    net = Net()
    conv(net, False, activation=("Clip", {"low": clip[0], "high": clip[1]}), y=Q(0.1, -10))
    made = imported(net)
    fuse_qdq(made)
    assert next(node for node in made.nodes if node.spec is not None).spec.clamp == clamp


def test_a_float_with_two_readers_is_computed_for_each() -> None:
    net = Net()
    x = net.input((4, 4, 4), Q(0.1))
    shared = net.op("Conv", [net.dq(x), net.dq_const(np.ones((2, 4, 1, 1), np.int8), np.float32(0.1))])
    net.output(net.quantize(shared, Q(0.2)))
    net.output(net.quantize(shared, Q(0.3)))
    made = imported(net)
    fuse_qdq(made)
    specs = [node.spec for node in made.nodes if node.spec is not None]
    assert [spec.exactness for spec in specs] == [Exactness.Step] * 2


def test_fuse_qoperator_keeps_int8_arithmetic() -> None:
    for unsigned, domain in ((False, 0), (True, 128)):
        net = Net(style="qop", unsigned=unsigned)
        a, b = net.input((4,), Q(0.1)), net.input((4,), Q(0.2))
        inputs = [a.name, *net.params(a.q), b.name, *net.params(b.q), *net.params(Q(0.3))]
        from onnx_net import Tensor

        net.output(Tensor(net.op("QLinearAdd", inputs, "com.microsoft"), Q(0.3)))
        made = imported(net)
        assert fuse_qoperator(made)
        assert next(node for node in made.nodes if node.op == "Add").spec.domain == domain
        assert not fuse_qoperator(made)


def test_integer_movement_gives_specs_and_quantization() -> None:
    net = Net(ports="quantized")
    x = net.input((4, 6), Q(0.1))
    moved = net.op("Transpose", [x.name], perm=[0, 2, 1])
    from onnx_net import Tensor

    net.output(Tensor(moved, x.q))
    made = imported(net)
    made.nodes[0].input(0).quantization = Q8
    assert integer_movement(made)
    assert made.nodes[0].spec == TransposeSpec((0, 2, 1))
    assert made.nodes[0].output.quantization == Q8


def test_resolve_ports_takes_over_the_conversions() -> None:
    net = Net()
    conv(net, False)
    made = imported(net)
    merge_duplicates(made)
    fuse_qdq(made)
    resolve_ports(made)
    assert ops(made) == ["Conv"]
    assert made.inputs[0].value is made.nodes[0].input(0)
    assert made.inputs[0].quantization == Quantization(float(np.float32(0.02)), -3, False)
    assert made.outputs[0].value is made.nodes[0].output


def test_an_output_read_with_other_parameters_is_a_view() -> None:
    net = Net()
    x = net.input((4,), Q(0.1))
    y = net.quantize(net.op("Neg", [net.dq(x)]), Q(0.2))
    from onnx_net import Tensor

    net.output(Tensor(y.name, Q(0.4, 3)))
    made = imported(net)
    run_passes(made)
    assert ops(made) == ["Lookup", "Reshape"]
    assert made.nodes[0].output.quantization == Quantization(float(np.float32(0.2)), 0, False)
    assert made.outputs[0].value.quantization == Quantization(float(np.float32(0.4)), 3, False)


def test_keep_quantization_gives_outputs_what_their_ports_were_resolved_with() -> None:
    x = Value("x", (2, 3), INT8)
    turned = transpose(x, 1, 0)
    made = graph([turned], [x], turned.output)
    other = Quantization(0.3, 5, False)
    made.outputs.append(PortInfo("z", turned.output, INT8, (3, 2), ["", ""]))
    made.outputs[0].quantization, made.outputs[1].quantization = Q8, other
    absorb_into_ports(made)
    assert keep_quantization(made)
    assert [port.value.quantization for port in made.outputs] == [Q8, other]
    assert ops(made) == ["Reshape"]
    assert not keep_quantization(made)


def test_a_float_port_whose_scale_is_lost_is_an_internal_error() -> None:
    net = Net()
    conv(net, False)
    made = imported(net)
    run_passes(made)
    made.outputs[0].value.quantization = None
    with pytest.raises(RuntimeError, match="internal error: port 'dequantizelinear"):
        build_model(made, "lost", None, Provenance(tool_version="", options="", source_sha256=np.zeros(32, np.uint8)))


# ------------------------------------------------------------------------------------------------- layout


def test_drop_identities() -> None:
    x = value("x", 2, 3)
    same = transpose(x, 0, 1)
    table = lookup(same.output, np.arange(-128, 128).astype(np.int8))
    flat = reshape(table.output, 6)
    back = reshape(flat.output, 3, 2)
    made = graph([same, table, flat, back], [x], back.output)
    while drop_identities(made):
        pass
    assert ops(made) == ["Reshape"]
    assert made.nodes[0].input(0) is x


def test_to_nhwc_turns_spatial_operators_and_remembers_the_order() -> None:
    net = Net()
    conv(net, False)
    made = imported(net)
    fuse_qdq(made)
    resolve_ports(made)
    name = made.nodes[0].output.name
    assert to_nhwc(made)
    before, fused, after = made.nodes
    assert (before.spec.perm, fused.op, after.spec.perm) == ((0, 2, 3, 1), "Conv", (0, 3, 1, 2))
    assert fused.output.name == name
    assert fused.output.perm == (0, 2, 3, 1)


@pytest.mark.parametrize(
    ("axes", "image"),
    [
        ((2, 3), (2, 4, 5, 3)),
        ((1, 2), (2, 3, 4, 5)),
        ((3,), (2, 5, 1, 12)),
        ((0, 1, 2, 3), (1, 2, 60, 1)),
        ((0,), (3, 2, 1, 20)),
    ],
)
def test_to_nhwc_turns_any_mean_into_one_over_an_image(axes: tuple[int, ...], image: tuple[int, ...]) -> None:
    x = value("x", 2, 3, 4, 5)
    shape = tuple(size for i, size in enumerate(x.shape) if i not in axes)
    y = value("y", *shape)
    made = graph([Node("Mean", "m", [x], [y], spec=MeanSpec(axes, Q8, Q8, Exactness.Step))], [x], y)
    to_nhwc(made)
    assert next(node for node in made.nodes if node.op == "Mean").input(0).shape == image


def test_to_nhwc_moves_the_softmax_axis_to_the_end() -> None:
    x, y = value("x", 2, 3, 4), value("y", 2, 3, 4)
    made = graph([Node("Softmax", "s", [x], [y], spec=SoftmaxSpec(1, Q8, Q8, Exactness.Exact))], [x], y)
    to_nhwc(made)
    assert made.nodes[1].input(0).shape == (2, 4, 3)
    assert made.nodes[1].spec.axis == 2


def test_push_transposes_past_elementwise_operators_until_they_cancel() -> None:
    x = value("x", 1, 4, 5, 3)
    first = transpose(x, 0, 3, 1, 2)
    table = lookup(first.output)
    last = transpose(table.output, 0, 2, 3, 1)
    made = graph([first, table, last], [x], last.output)
    assert push_transposes(made)
    merge_movement(made)
    drop_identities(made)
    assert ops(made) == ["Lookup"]


def _add(a: Value, b: Value, *shape: int) -> Node:
    spec = AddSpec(Q8, Q8, Q8, 0, Clamp(), Exactness.Exact)
    return Node("Add", "a", [a, b], [value("sum", *shape)], spec=spec)


@pytest.mark.parametrize("other", ["transposed", "constant", "channels", "plain"])
def test_push_transposes_past_add(other: str) -> None:
    x, z = value("x", 1, 4, 5, 3), value("z", 1, 4, 5, 3)
    first = transpose(x, 0, 3, 1, 2)
    nodes, inputs, b = [first], [x], z
    if other == "transposed":
        second = transpose(z, 0, 3, 1, 2)
        nodes, inputs, b = [first, second], [x, z], second.output
    elif other == "constant":
        b = value("c", 3, 1, 1, constant=np.int8([[[1]], [[2]], [[3]]]))
    elif other == "channels":
        b = value("s", 1, 3, 1, 1)
        inputs = [x, b]
    else:
        b = value("p", 1, 3, 4, 5)
        inputs = [x, b]
    summed = _add(first.output, b, 1, 3, 4, 5)
    made = graph([*nodes, summed], inputs, summed.output)
    assert push_transposes(made) == (other != "plain")
    if other != "plain":
        assert next(node for node in made.nodes if node.op == "Add").input(0) is x


def test_push_transposes_renumbers_the_concat_axis() -> None:
    a, b = value("a", 1, 4, 5, 3), value("b", 1, 4, 5, 2)
    ta, tb = transpose(a, 0, 3, 1, 2), transpose(b, 0, 3, 1, 2)
    joined = Node("Concat", "c", [ta.output, tb.output], [value("y", 1, 5, 4, 5)], spec=ConcatSpec(1, Exactness.Exact))
    made = graph([ta, tb, joined], [a, b], joined.output)
    assert push_transposes(made)
    concat = next(node for node in made.nodes if node.op == "Concat")
    assert (concat.spec.axis, concat.output.shape) == (3, (1, 4, 5, 5))


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda x: [transpose(x, 0, 3, 1, 2)], ["Transpose"]),
        (lambda x: _chain(x, (0, 3, 1, 2), (0, 2, 3, 1)), ["Reshape"]),
        (lambda x: _chain(x, (0, 3, 1, 2), (0, 3, 1, 2)), ["Reshape", "Transpose", "Reshape"]),
    ],
    ids=["one", "inverse", "two become one"],
)
def test_merge_movement(build: Any, expected: list[str]) -> None:
    x = value("x", 1, 4, 5, 3)
    nodes = build(x)
    made = graph(nodes, [x], nodes[-1].output)
    wanted = _evaluate(made)
    assert merge_movement(made) == (expected != ["Transpose"])
    assert ops(made) == expected
    assert np.array_equal(_evaluate(made), wanted)
    assert not merge_movement(made)


def test_pass_reshapes_moves_transposes_to_the_output() -> None:
    x = value("x", 1, 1, 20, 3)
    turned = transpose(x, 0, 3, 1, 2)
    flat = reshape(turned.output, 1, 3, 20)
    made = graph([turned, flat], [x], flat.output)
    wanted = _evaluate(made)
    assert pass_reshapes(made)
    assert ops(made) == ["Reshape", "Transpose"]
    assert made.nodes[1].spec.perm == (0, 2, 1)
    assert np.array_equal(_evaluate(made), wanted)


def test_pass_reshapes_moves_transposes_to_the_input() -> None:
    x = value("x", 1, 3, 20)
    tall = reshape(x, 1, 3, 1, 20)
    turned = transpose(tall.output, 0, 2, 3, 1)
    made = graph([tall, turned], [x], turned.output)
    wanted = _evaluate(made)
    assert pass_reshapes(made)
    assert ops(made) == ["Transpose", "Reshape"]
    assert made.nodes[0].spec.perm == (0, 2, 1)
    assert np.array_equal(_evaluate(made), wanted)
    assert absorb_into_ports(made)


def test_pass_reshapes_leaves_other_reshapes() -> None:
    x = value("x", 1, 4, 5, 3)
    turned = transpose(x, 0, 3, 1, 2)
    flat = reshape(turned.output, 1, 12, 5)
    assert not pass_reshapes(graph([turned, flat], [x], flat.output))


def test_alias_transposes() -> None:
    x = value("x", 1, 4, 5, 3)
    moves, stays = transpose(x, 1, 0, 2, 3), transpose(x, 0, 3, 1, 2)
    made = graph([moves, stays], [x], moves.output)
    assert alias_transposes(made)
    assert ops(made) == ["Reshape", "Transpose"]
    assert not alias_transposes(made)


def _chain(x: Value, *perms: tuple[int, ...]) -> list[Node]:
    nodes: list[Node] = []
    for perm in perms:
        nodes.append(transpose(nodes[-1].output if nodes else x, *perm))
    return nodes


def _evaluate(made: Graph) -> Any:
    """The output of a graph of movement, for an input that counts its elements."""
    x = made.inputs[0].value
    arrays = {x: np.arange(x.elements).reshape(x.shape)}
    for node in made.nodes:
        array = arrays[node.input(0)]
        moved = array.transpose(node.spec.perm) if node.op == "Transpose" else array.reshape(node.output.shape)
        arrays[node.output] = moved
    return arrays[made.outputs[0].value]


@pytest.mark.parametrize(("rows", "folds"), [(1, True), (2, True)])
def test_fold_into_dense(rows: int, folds: bool) -> None:
    x = value("x", rows, 2, 3, 4)
    turned = transpose(x, 0, 3, 1, 2)
    flat = reshape(turned.output, rows, 24)
    weights = np.random.default_rng(0).integers(-9, 9, (5, 24)).astype(np.int8)
    zeros = np.zeros(5, np.int32)
    spec = DenseSpec(weights, zeros, np.float32([1]), Q8, Q8, Clamp(), Exactness.Exact)
    y = value("y", rows, 5)
    made = graph([turned, flat, Node("Dense", "d", [flat.output], [y], spec=spec)], [x], y)
    assert fold_into_dense(made) == folds
    assert ops(made) == ["Reshape", "Dense"]
    data = np.random.default_rng(1).integers(-9, 9, x.shape)
    expected = data.transpose(0, 3, 1, 2).reshape(rows, 24) @ weights.T.astype(int)
    assert np.array_equal(data.reshape(rows, 24) @ made.nodes[1].spec.weights.T.astype(int), expected)


def test_fold_into_dense_leaves_what_mixes_rows() -> None:
    x = value("x", 4, 2)
    turned = transpose(x, 1, 0)
    spec = DenseSpec(np.ones((3, 4), np.int8), np.zeros(3, np.int32), np.float32([1]), Q8, Q8, Clamp(), Exactness.Exact)
    y = value("y", 2, 3)
    made = graph([turned, Node("Dense", "d", [turned.output], [y], spec=spec)], [x], y)
    assert not fold_into_dense(made)


def test_absorb_into_ports() -> None:
    x = value("x", 1, 3, 4, 5)
    first = transpose(x, 0, 2, 3, 1)
    table = lookup(first.output)
    last = transpose(table.output, 0, 3, 1, 2)
    made = graph([first, table, last], [x], last.output)
    assert absorb_into_ports(made)
    assert ops(made) == ["Lookup"]
    assert made.inputs[0].perm == (0, 2, 3, 1)
    assert made.inputs[0].value.shape == (1, 4, 5, 3)
    assert made.outputs[0].perm == (0, 2, 3, 1)
    assert not absorb_into_ports(made)


def test_absorb_into_ports_needs_all_readers_to_agree() -> None:
    x = value("x", 1, 3, 4, 5)
    first, second = transpose(x, 0, 2, 3, 1), lookup(x)
    joined = _add(first.output, reshape(second.output, 1, 4, 5, 3).output, 1, 4, 5, 3)
    assert not absorb_into_ports(graph([first, second, joined], [x], joined.output))


# ------------------------------------------------------------------------------------------------- the graph itself


def test_graph_prints_every_node() -> None:
    net = Net()
    conv(net, False)
    made = imported(net)
    text = str(made)
    assert all(node.name in text for node in made.nodes)
    fuse_qdq(made)
    assert "ConvSpec" in str(made)


def test_unique_names() -> None:
    x = value("x", 2)
    made = graph([lookup(x)], [x], x)
    assert [made.unique_name("x"), made.unique_name("x"), made.unique_name("new")] == ["x_2", "x_3", "new"]


def test_activation_bounds() -> None:
    assert activation_bounds(Node("Relu", "", [], [])) == (0.0, float("inf"))
    assert activation_bounds(Node("Clip", "", [], [], {"low": -1, "high": 2})) == (-1.0, 2.0)
