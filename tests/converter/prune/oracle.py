"""What a pruned model must compute: the original with the removed channels zeroed, found from the weights alone.

Nothing here asks the pruner what it removed. Weights are random and differ, so each value of a pruned initializer tells
which index of the original it comes from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, numpy_helper

from onnxino_converter.prune import Pruned, prepared, prune
from onnxino_converter.quantize.graph import attribute

Arrays = dict[str, Any]
INPUT_AXIS = {"Conv": 1, "ConvTranspose": 0, "MatMul": 0}


def constants(model: ModelProto) -> Arrays:
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def kept_indices(before: Any, after: Any) -> list[list[int]]:
    """For each axis the indices of `before` that make up `after`."""
    values, first = np.unique(before, return_index=True)
    assert values.size == before.size, "the oracle needs weights that differ"
    found = np.minimum(np.searchsorted(values, after), values.size - 1)
    assert np.array_equal(values[found], after), "the pruned weights hold values that the original does not"
    # One axis: of several, NumPy 2.4's unravel_index gives wrong places beyond 8,192 elements.
    places = np.array(np.unravel_index(first[found.ravel()], before.shape)).reshape(before.ndim, *after.shape)
    result: list[list[int]] = []
    for axis in range(before.ndim):
        along = np.moveaxis(places[axis], axis, 0).reshape(after.shape[axis], -1)
        assert (along == along[:, :1]).all(), "an index of the pruned weights mixes several of the original"
        result.append(along[:, 0].tolist())
    return result


def input_axes(model: ModelProto) -> dict[str, int]:
    """Weights -> the axis that reads channels."""
    axes: dict[str, int] = {}
    for node in model.graph.node:
        if node.op_type in INPUT_AXIS:
            axes[node.input[1]] = INPUT_AXIS[node.op_type]
        elif node.op_type == "Gemm":
            axes[node.input[1]] = 1 if attribute(node, "transB", 0) else 0
    return axes


def zeroed(original: ModelProto, pruned: ModelProto, what: str) -> ModelProto:
    """The original without what was pruned. what: `makers`, the weights, biases and other parameters that make the
    removed channels, or `readers`, the weights that read them; never both, so that each side proves the other."""
    result = ModelProto()
    result.CopyFrom(original)
    axes, after = input_axes(original), constants(pruned)
    del result.graph.initializer[:]
    for name, array in constants(original).items():
        values = array.copy()
        if name in after and after[name].shape != array.shape and array.dtype == np.float32:
            for axis, kept in enumerate(kept_indices(array, after[name])):
                reads = axes.get(name) == axis
                if reads == (what == "readers"):
                    gone = np.setdiff1d(np.arange(array.shape[axis]), kept)
                    np.moveaxis(values, axis, 0)[gone] = 0
        result.graph.initializer.append(numpy_helper.from_array(values, name))
    return result


def run(model: ModelProto, feeds: Arrays) -> list[Any]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def inputs(model: ModelProto, count: int = 2) -> Arrays:
    initializers = {t.name for t in model.graph.initializer}
    feeds: Arrays = {}
    for port in model.graph.input:
        if port.name not in initializers:
            shape = [d.dim_value or count for d in port.type.tensor_type.shape.dim]
            feeds[port.name] = np.random.default_rng(len(feeds)).standard_normal(shape).astype(np.float32)
    return feeds


def distinct(model: ModelProto) -> ModelProto:
    """The model with weights that are no two alike: equal ones move to the next float32 numbers that are free."""
    result = ModelProto()
    result.CopyFrom(model)
    for tensor in result.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            bits = array.ravel().view(np.int32).astype(np.int64)
            keys = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)  # in the order of the numbers
            order, steps = np.argsort(keys, kind="stable"), np.arange(keys.size)
            keys[order] = np.maximum.accumulate(keys[order] - steps) + steps
            bits = np.where(keys < 0, -keys | 0x80000000, keys).astype(np.uint32)
            tensor.CopyFrom(numpy_helper.from_array(bits.view(np.float32).reshape(array.shape), tensor.name))
    return result


def check(model: ModelProto, result: Pruned, what: tuple[str, ...] = ("makers", "readers")) -> None:
    """The pruned model is valid, and computes what the original does without the removed channels."""
    onnx.checker.check_model(result.model, full_check=True)
    onnx.shape_inference.infer_shapes(result.model, strict_mode=True, data_prop=True)
    original, feeds = prepared(model), inputs(model)
    found = run(result.model, feeds)
    for side in what:
        expected = run(zeroed(original, result.model, side), feeds)
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert a.shape == b.shape
            assert np.isfinite(b).all()
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * float(np.abs(b).max() or 1), err_msg=side)


def pruned(model: ModelProto, **options: Any) -> Pruned:
    """Pruned by channels (one half, where nothing else is said), and checked."""
    options.setdefault("ratio", 0.5)
    what = options.pop("what", ("makers", "readers"))
    result = prune(model, granularity="channel", **options)
    check(model, result, what)
    return result


def left(result: Pruned) -> dict[str, int]:
    """Layer -> channels that are left."""
    return {change.name: change.after for change in result.changes}
