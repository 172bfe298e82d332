"""Builds small quantized ONNX models, in QDQ and in QOperator style, and runs them in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx import NodeProto as Node

MS = "com.microsoft"


@dataclass(frozen=True)
class Q:
    """Quantization of an activation; zero points of uint8 are given as for int8 and shifted by 128."""

    scale: float
    zero: int = 0


@dataclass(frozen=True)
class Tensor:
    """A quantized tensor of the net."""

    name: str
    q: Q


@dataclass
class Net:
    """A model under construction. style "qdq" or "qop"; unsigned: uint8 activations."""

    style: str = "qdq"
    unsigned: bool = False
    opset: int = 17
    ports: str = "float"  # or "quantized"
    batch: int | str = "N"
    nodes: list[Node] = field(default_factory=list)
    initializers: list[TensorProto] = field(default_factory=list)
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    feeds: dict[str, tuple[list[int], Q]] = field(default_factory=dict)
    count: int = 0

    @property
    def dtype(self) -> Any:
        return np.uint8 if self.unsigned else np.int8

    def name(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def const(self, array: Any, stem: str = "c") -> str:
        name = self.name(stem)
        self.initializers.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def op(self, kind: str, inputs: Sequence[str], domain: str = "", **attributes: Any) -> str:
        output = self.name(kind.lower())
        self.nodes.append(
            helper.make_node(kind, list(inputs), [output], name=f"node_{output}", domain=domain, **attributes)
        )
        return output

    def zero(self, q: Q) -> Any:
        return self.dtype(q.zero + (128 if self.unsigned else 0))

    def params(self, q: Q) -> list[str]:
        """Fresh initializers each time: ONNX Runtime 1.31.1 fails on shared ones with x64quantprecision."""
        return [self.const(np.float32(q.scale), "scale"), self.const(self.zero(q), "zero")]

    def input(self, shape: Sequence[int], q: Q) -> Tensor:
        """A graph input [batch, *shape]; float inputs are quantized at once."""
        name = self.name("input")
        dims = [self.batch, *shape]
        self.feeds[name] = (list(shape), q)
        if self.ports == "float":
            self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, dims))
            return self.quantize(name, q)
        kind = TensorProto.UINT8 if self.unsigned else TensorProto.INT8
        self.inputs.append(helper.make_tensor_value_info(name, kind, dims))
        return Tensor(name, q)

    def quantize(self, value: str, q: Q) -> Tensor:
        return Tensor(self.op("QuantizeLinear", [value, *self.params(q)]), q)

    def dq(self, tensor: Tensor) -> str:
        return self.op("DequantizeLinear", [tensor.name, *self.params(tensor.q)])

    def dq_const(self, array: Any, scale: Any, axis: int | None = None, zero: Any = None) -> str:
        """DequantizeLinear of a constant, per tensor or along `axis`."""
        array, scale = np.asarray(array), np.asarray(scale, np.float32)
        zeros = np.zeros(scale.shape, array.dtype) if zero is None else np.asarray(zero, array.dtype)
        attributes = {} if axis is None else {"axis": axis}
        return self.op("DequantizeLinear", [self.const(array), self.const(scale), self.const(zeros)], **attributes)

    def output(self, tensor: Tensor) -> None:
        name = tensor.name
        kind = TensorProto.UINT8 if self.unsigned else TensorProto.INT8
        if self.ports == "float":
            name, kind = self.dq(tensor), TensorProto.FLOAT
        self.outputs.append(helper.make_tensor_value_info(name, kind, None))

    def model(self) -> ModelProto:
        imports = [helper.make_opsetid("", self.opset), helper.make_opsetid(MS, 1)]
        graph = helper.make_graph(self.nodes, "net", self.inputs, self.outputs, self.initializers)
        return helper.make_model(graph, opset_imports=imports, ir_version=min(10, 4 + self.opset // 3))

    def random_feeds(self, rows: int = 48, seed: int = 0) -> dict[str, Any]:
        """Inputs over the whole range and beyond; floats lie on and between the quantization steps."""
        generator = np.random.default_rng(seed)
        made: dict[str, Any] = {}
        for name, (shape, q) in self.feeds.items():
            values = generator.integers(-128, 128, (rows, *shape))
            if self.ports == "float":
                noise = generator.choice([0.0, 0.5, -0.5, 0.3], values.shape)
                made[name] = ((values - q.zero + noise) * q.scale).astype(np.float32)
            else:
                made[name] = (values + (128 if self.unsigned else 0)).astype(self.dtype)
        return made


def ort_session(model: ModelProto, save: str | None = None, optimize: bool = True) -> Any:
    """A session of the oracle. The precise option is left out where ONNX Runtime cannot load the model with it
    (QOperator int8); machines with VNNI compute the same without."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    data = model.SerializeToString()
    for precise in (True, False):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        if precise:
            options.add_session_config_entry("session.x64quantprecision", "1")
        if not optimize:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        if save is not None:
            options.optimized_model_filepath = save
        try:
            return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception:
            if not precise:
                raise
    raise AssertionError


def steps(expected: Any, found: Any, scale: float) -> Any:
    """Differences in quantization steps."""
    assert expected.shape == found.shape
    assert expected.dtype == found.dtype
    if expected.dtype == np.float32:
        return np.abs(np.rint((expected.astype(np.float64) - found) / scale)).astype(int)
    return np.abs(expected.astype(int) - found.astype(int))
