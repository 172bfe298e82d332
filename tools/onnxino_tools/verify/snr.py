"""How much of a float model's signal survives quantization, layer by layer: signal-to-noise ratios in decibels.

A tensor of the converted model is matched with the float model's tensor
1. of the same name;
2. of the name that the QuantizeLinear which makes it reads (QDQ models);
3. of its name without the ending that quantization tools add (`_quantized`, `_QuantizeLinear_Output`, ...).
Where the float model has a Relu or Clip behind that tensor which the quantized one has not (quantizing to the range of
its result does the same), the result of the Relu or Clip is what is compared.
What matches none is left out and counted. SNR = 10 * log10(sum(f^2) / sum((f - q)^2)) over all inputs, where f is the
float model's value, computed by ONNX Runtime, and q the device's, dequantized.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from onnxino.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    from onnxino import InferenceSession
    from onnxino.schema.model import Tensor

_ENDINGS = re.compile(r"(_quantized|_QuantizeLinear_Output|_QuantizeLinear|_quant)$")


@dataclass(frozen=True)
class LayerSnr:
    """`tensor`: name in the float model. `decibels`: inf where not one value differs."""

    operator: str
    kernel: str
    tensor: str
    decibels: float


@dataclass
class SnrReport:
    """Layers in the order in which they run; `outputs`: graph outputs by name."""

    layers: list[LayerSnr] = field(default_factory=list[LayerSnr])
    outputs: dict[str, float] = field(default_factory=dict[str, float])
    unmatched: list[str] = field(default_factory=list[str])


def compare_with_float(
    session: InferenceSession, quantized: ModelProto, float_model: ModelProto, feeds: dict[str, NDArray[Any]]
) -> SnrReport:
    """SNR of every layer of the session's model against the float model, fed with the same values.

    `quantized`: the ONNX model that was converted. `feeds`: its inputs, samples along the first axis. Raises InputError
    when the inputs of the two models do not correspond.
    """
    tensors = session.model.tensors
    expected = run_float(float_model, _float_feeds(session, float_model, feeds), len(next(iter(feeds.values()))))
    found = session.run(None, feeds, intermediates=True)
    origins = _origins(quantized)
    absorbed = _absorbed(quantized, float_model, origins)
    report = SnrReport()
    for operator in session.model.operators:
        tensor = tensors[int(operator.outputs[0])]
        name = match(tensor.name, origins, expected)
        name = absorbed.get(name, name) if name is not None else None
        value = found.intermediates[tensor.name]
        if name is None or expected[name].size != value.size:
            report.unmatched.append(operator.name)
            continue
        real = dequantized(tensor, value).reshape(expected[name].shape)
        kernel = type(operator.kernel).__name__
        report.layers.append(LayerSnr(operator.name, kernel, name, snr(expected[name], real)))
    for port, value in zip(session.model.outputs, found.outputs, strict=True):
        name = match(port.name, origins, expected)
        if name is not None and expected[name].size == value.size:
            real = value if value.dtype.kind == "f" else dequantized(tensors[port.tensor], value)
            report.outputs[port.name] = snr(expected[name], real.reshape(expected[name].shape))
    return report


def snr(signal: NDArray[Any], approximation: NDArray[Any]) -> float:
    """10 * log10(sum(signal^2) / sum((signal - approximation)^2)); inf where they are equal."""
    import numpy as np

    f, q = signal.astype(np.float64), approximation.astype(np.float64)
    noise, power = float(((f - q) ** 2).sum()), float((f**2).sum())
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(power / noise)) if power > 0 else float("-inf")


def match(name: str, origins: dict[str, str], known: dict[str, Any]) -> str | None:
    """The float model's name for a tensor of the quantized one, or None."""
    for candidate in (name, origins.get(name), _ENDINGS.sub("", name)):
        if candidate is not None and candidate in known:
            return candidate
    return None


def dequantized(tensor: Tensor, value: NDArray[Any]) -> NDArray[np.float32]:
    """Real values of a tensor that the session gave in ONNX's type: uint8 values lie 128 above the device's."""
    import numpy as np

    if value.dtype.itemsize != 1:
        return value.astype(np.float32)
    zero = int(tensor.zero_point) + (128 if value.dtype == np.uint8 else 0)
    return ((value.astype(np.int32) - zero) * np.float32(tensor.scale)).astype(np.float32)


def _origins(quantized: ModelProto) -> dict[str, str]:
    """Quantized tensor -> the tensor that its QuantizeLinear reads; and what a DequantizeLinear makes -> the same."""
    origins: dict[str, str] = {}
    for node in quantized.graph.node:
        if node.op_type == "QuantizeLinear":
            origins[node.output[0]] = node.input[0]
        elif node.op_type == "DequantizeLinear" and node.input[0] in origins:
            origins[node.output[0]] = origins[node.input[0]]
    return origins


def _absorbed(quantized: ModelProto, float_model: ModelProto, origins: dict[str, str]) -> dict[str, str]:
    """Float tensor -> result of the one Relu or Clip that reads it, where the quantized model has no such tensor."""
    known = set(origins) | set(origins.values())
    stems = {_ENDINGS.sub("", name) for node in quantized.graph.node for name in node.output if name in known}
    readers: dict[str, list[NodeProto]] = {}
    for node in float_model.graph.node:
        for name in set(node.input):
            readers.setdefault(name, []).append(node)
    return {
        name: nodes[0].output[0]
        for name, nodes in readers.items()
        if len(nodes) == 1 and nodes[0].op_type in ("Relu", "Clip") and nodes[0].output[0] not in known | stems
    }


def _float_feeds(
    session: InferenceSession, float_model: ModelProto, feeds: dict[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """The same values under the float model's input names: equal names, or the same place when names differ."""
    constants = {tensor.name for tensor in float_model.graph.initializer}
    names = [info.name for info in float_model.graph.input if info.name not in constants]
    ports = session.model.inputs
    if len(names) != len(ports):
        raise InputError(
            f"the float model has {len(names)} inputs, the quantized one {len(ports)}",
            "--float-model is the model that was quantized",
        )
    same = {port.name for port in ports} == set(names)
    made: dict[str, NDArray[Any]] = {}
    for name, port in zip(names, ports, strict=True):
        chosen = next(p for p in ports if p.name == name) if same else port
        made[name] = dequantized(session.model.tensors[chosen.tensor], feeds[chosen.name])
    return made


def run_float(model: ModelProto, feeds: dict[str, NDArray[Any]], count: int) -> dict[str, NDArray[Any]]:
    """Every float32 tensor of a model by name, as ONNX Runtime computes them one sample after the other, concatenated.

    Raises InputError when ONNX Runtime cannot run it on these inputs.
    """
    import numpy as np
    from onnx import ModelProto as Proto
    from onnx import ValueInfoProto

    from onnxino_tools.verify.oracle import import_onnxruntime

    ort = import_onnxruntime()
    exposed = Proto()
    exposed.CopyFrom(model)
    shown = {info.name for info in exposed.graph.output}
    for node in exposed.graph.node:
        exposed.graph.output.extend(ValueInfoProto(name=name) for name in node.output if name and name not in shown)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    runs: dict[str, list[NDArray[Any]]] = {}
    try:
        session = ort.InferenceSession(exposed.SerializeToString(), options, providers=["CPUExecutionProvider"])
        names = [info.name for info in session.get_outputs()]
        for i in range(count):
            values: list[Any] = session.run(None, {k: v[i : i + 1] for k, v in feeds.items()})
            for name, value in zip(names, values, strict=True):
                if getattr(value, "dtype", None) == np.float32:
                    runs.setdefault(name, []).append(value)
    except Exception as error:  # ONNX Runtime's own exceptions have no common base
        reason = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", " ".join(str(error).split()))
        raise InputError(
            f"ONNX Runtime cannot run the float model on these inputs: {reason}",
            "--float-model is the model that was quantized",
        ) from error
    return {name: np.concatenate([np.atleast_1d(v) for v in values]) for name, values in runs.items()}
