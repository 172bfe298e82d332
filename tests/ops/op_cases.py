"""Builds models of one operator, for every backend, and ONNX models of one operator, for ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from model_builder import requantization as requantization
from model_builder import single
from model_builder import weights as weights
from model_builder import window as window
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onnxino import InferenceSession
from onnxino.schema.codec import encode
from onnxino.schema.model import ElementType, Kernel

f32 = np.float32
Int8 = NDArray[np.int8]
Floats = NDArray[np.float32]


DEVICE = {"int8": np.int8, "int64": np.int32, "float32": np.float32}
ELEMENTS = {"int8": ElementType.Int8, "int64": ElementType.Int32, "float32": ElementType.Float32}
DTYPES = {ElementType.Int8: np.int8, ElementType.Int32: np.int64, ElementType.Float32: np.float32}


def run(
    backend: str,
    kernel: Kernel,
    inputs: Sequence[NDArray[Any]],
    output: Sequence[int],
    writes: ElementType | None = None,
) -> NDArray[Any]:
    """Runs one operator on device arrays [B * N, ...] whose operator is made for N = output[0].

    int64 arrays feed Int32 tensors. writes: the output's type; the first input's where left out.
    """
    batch = 1 if not output else max(1, len(inputs[0]) // output[0])
    return _run(backend, kernel, inputs, [(len(x) // batch, *x.shape[1:]) for x in inputs], output, writes)


def run_raw(
    backend: str,
    kernel: Kernel,
    inputs: Sequence[NDArray[Any]],
    output: Sequence[int],
    writes: ElementType | None = None,
) -> NDArray[Any]:
    """Runs one operator once, on device arrays of exactly the operator's shapes."""
    return _run(backend, kernel, inputs, [x.shape for x in inputs], output, writes)


def _run(
    backend: str,
    kernel: Kernel,
    inputs: Sequence[NDArray[Any]],
    shapes: Sequence[Sequence[int]],
    output: Sequence[int],
    writes: ElementType | None,
) -> NDArray[Any]:
    reads = [ELEMENTS[str(x.dtype)] for x in inputs]
    writes = reads[0] if writes is None else writes
    data = encode(single(kernel, shapes, output, reads, writes))
    with InferenceSession(data, backend=backend) as session, np.errstate(all="ignore"):
        result = session.run(None, {f"x{number}": x for number, x in enumerate(inputs)})[0]
    assert result.dtype == DTYPES[writes]
    return result


def same_bits(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Equal to the bit, signs of zeros included; any NaN equals any other."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype != np.float32:
        return bool(np.array_equal(a, b))
    return bool(np.all((a.view(np.int32) == b.view(np.int32)) | (np.isnan(a) & np.isnan(b))))


# ------------------------------------------------------------------------------------------------- ONNX Runtime


def ort_session(model: onnx.ModelProto | bytes, optimize: bool = True) -> onnxruntime.InferenceSession:
    """x64quantprecision: without it, kernels for processors without VNNI saturate where the contract wraps."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 3
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    data = model if isinstance(model, bytes) else model.SerializeToString()
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def ort(
    op: str,
    arguments: Sequence[Any],
    inputs: dict[int, Any],
    domain: str = "",
    output: Any = None,
    opset: int = 13,
    **attributes: Any,
) -> Any:
    """Runs one ONNX node. arguments: constants in order, None where left out; inputs: fed arrays by position.

    output: dtype of the output, where it is not the first input's. opset: of ONNX, and QLinearSoftmax's attribute.
    """
    names: list[str] = []
    initializers: list[onnx.TensorProto] = []
    values: list[onnx.ValueInfoProto] = []
    for position, argument in enumerate(arguments):
        if position in inputs:
            array = inputs[position]
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            values.append(helper.make_tensor_value_info(f"i{position}", kind, array.shape))
        elif argument is None:
            names.append("")
            continue
        else:
            initializers.append(numpy_helper.from_array(np.asarray(argument), f"i{position}"))
        names.append(f"i{position}")
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(output or next(iter(inputs.values())).dtype))
    result = helper.make_tensor_value_info("y", kind, None)
    if op == "QLinearSoftmax":
        attributes["opset"] = opset
    node = helper.make_node(op, names, ["y"], domain=domain, **attributes)
    graph = helper.make_graph([node], "case", values, [result], initializers)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    session = ort_session(helper.make_model(graph, opset_imports=opsets, ir_version=9))
    return session.run(None, {f"i{position}": np.asarray(array) for position, array in inputs.items()})[0]


MICROSOFT = "com.microsoft"
FLOAT = TensorProto.FLOAT


# ------------------------------------------------------------------------------------------------- values


def to_uint8(x: Any) -> Any:
    """The same real value in ONNX's uint8: value + 128."""
    return (np.asarray(x, np.int8).view(np.uint8) ^ np.uint8(0x80))[()]


def from_uint8(x: Any) -> Any:
    """The opposite."""
    return (x ^ np.uint8(0x80)).view(np.int8)


def nhwc(x: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def nchw(x: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def random_int8(seed: int, shape: Sequence[int], low: int = -128, high: int = 127) -> Int8:
    return np.random.default_rng(seed).integers(low, high, shape, np.int8, endpoint=True)


def random_of(dtype: str, seed: int, shape: Sequence[int]) -> NDArray[Any]:
    """Any values of a port type: int8, int64 of 32 bits, or float32."""
    if dtype == "float32":
        return np.random.default_rng(seed).normal(0, 2, shape).astype(f32)
    limits = np.iinfo(DEVICE[dtype])
    return np.random.default_rng(seed).integers(limits.min, limits.max, shape, dtype, endpoint=True)
