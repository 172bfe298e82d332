"""Small float networks for the quantizer's tests, and how ONNX Runtime computes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Arrays = dict[str, Any]
node = helper.make_node


def random(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def net(
    nodes: Sequence[NodeProto],
    constants: Arrays,
    shape: Sequence[int] = (3, 8, 8),
    *,
    outputs: Sequence[str] = ("y",),
    batch: int | str = "N",
    opset: int = 17,
) -> ModelProto:
    """A model with one float input x [batch, *shape]."""
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *shape])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def after_conv(*nodes: NodeProto, constants: Arrays | None = None, **options: Any) -> ModelProto:
    """x -> 3x3 Conv of 8 channels -> c, and then these nodes up to y."""
    first = node("Conv", ["x", "w", "b"], ["c"], name="first", pads=[1, 1, 1, 1])
    return net([first, *nodes], {"w": random(8, 3, 3, 3), "b": random(8), **(constants or {})}, **options)


def inputs(model: ModelProto, count: int = 20, seed: int = 1) -> Arrays:
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim][1:]
    return {"x": random(count, *shape, seed=seed)}


def run(model: ModelProto, feeds: Arrays) -> list[Any]:
    """ONNX Runtime, with exact integer kernels."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    port = session.get_inputs()[0]
    if isinstance(port.shape[0], int):
        step = port.shape[0]
        rows = [
            session.run(None, {port.name: feeds[port.name][k : k + step]})
            for k in range(0, len(feeds[port.name]), step)
        ]
        return [np.concatenate(parts) for parts in zip(*rows, strict=True)]
    return list(session.run(None, feeds))


def snr(expected: Any, found: Any) -> float:
    """Signal to noise ratio in dB."""
    expected, found = expected.astype(np.float64), found.astype(np.float64)
    return float(10 * np.log10((expected**2).sum() / max(((expected - found) ** 2).sum(), 1e-30)))


def kinds(model: ModelProto) -> list[str]:
    return [n.op_type for n in model.graph.node]
