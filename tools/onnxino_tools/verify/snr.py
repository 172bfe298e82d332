"""How much of a float model's signal survives quantization, layer by layer: signal-to-noise ratios in decibels.

A tensor of the converted model is matched with the float model's tensor
1. of the same name;
2. of the name that the QuantizeLinear which makes it reads (QDQ models);
3. of its name without the ending that quantization tools add (`_quantized`, `_QuantizeLinear_Output`, ...).
Where nothing but a Relu or Clip reads that tensor in the float model and our operator cannot give values outside its
limits (it is fused, or quantizing to its range does the same), the result of the Relu or Clip is what is compared.
What matches none is left out and counted. SNR = 10 * log10(sum(f^2) / sum((f - q)^2)) over all inputs, where f is the
float model's value, computed by ONNX Runtime, and q the device's, dequantized.
Cross-layer equalization multiplies the channels inside a network by factors that the next layer takes back. Where one
positive factor for each channel explains most of a large difference (_POOR, EXPLAINED), q is multiplied with these
least squares factors and the layer marked as rescaled; the ratio without them is kept beside. Outputs are never
rescaled, so a channel that is wrong in earnest shows there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from onnxino import RunResult
from onnxino.errors import InputError
from onnxino.schema.model import ElementType

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    from onnxino import InferenceSession
    from onnxino.schema.model import Tensor

_ENDINGS = re.compile(r"(_quantized|_QuantizeLinear_Output|_QuantizeLinear|_quant)$")


EXPLAINED = 6.0  # decibels that factors for the channels must gain; a few come from fitting noise and saturation
_POOR = 20.0  # decibels from which on a layer is as it is: small differences pass for factors where values hardly vary
_FEWEST = 8  # values of a channel from which a factor can be told: of one value, a factor explains everything
_QUANTIZED = re.compile(r"(Dynamic)?QuantizeLinear|DequantizeLinear|QLinear\w+|QGemm|\w+Integer")


@dataclass(frozen=True)
class LayerSnr:
    """`tensor`: name in the float model. `decibels`: inf where not one value differs. `as_it_is`: where factors were
    fitted to the channels, the decibels without them, else None."""

    operator: str
    kernel: str
    tensor: str
    decibels: float
    as_it_is: float | None = None


@dataclass
class SnrReport:
    """Layers in the order in which they run; `outputs`: graph outputs by name."""

    layers: list[LayerSnr] = field(default_factory=list[LayerSnr])
    outputs: dict[str, float] = field(default_factory=dict[str, float])
    unmatched: list[str] = field(default_factory=list[str])
    too_few: list[str] = field(default_factory=list[str])  # operators whose channels have too few values for factors


def compare_with_float(
    session: InferenceSession, quantized: ModelProto, float_model: ModelProto, feeds: dict[str, NDArray[Any]]
) -> SnrReport:
    """SNR of every layer of the session's model against the float model, fed with the same values.

    `quantized`: the ONNX model that was converted. `feeds`: its inputs, samples along the first axis. Raises InputError
    when the inputs of the two models do not correspond, or the second is no float model.
    """
    check_float(float_model)
    tensors = session.model.tensors
    batch = max(1, int(session.model.inputs[0].shape[0])) if len(session.model.inputs[0].shape) else 1
    count = len(next(iter(feeds.values()))) // batch * batch  # a rest that is no whole batch cannot run
    feeds = {name: array[:count] for name, array in feeds.items()}
    expected = run_float(float_model, _float_feeds(session, float_model, feeds), count, batch)
    found = _run_quantized(session, feeds, batch)
    origins = _origins(quantized)
    clamps = _clamps(float_model)
    interface = {port.tensor for port in session.model.outputs}
    report = SnrReport()
    for operator in session.model.operators:
        number = int(operator.outputs[0])
        tensor = tensors[number]
        name = match(tensor.name, origins, expected)
        name = None if name is None else _behind_clamps(name, clamps, limits(operator.kernel, tensor), tensor.scale)
        value = found.intermediates[tensor.name]
        if name is None or expected[name].size != value.size:
            report.unmatched.append(operator.name)
            continue
        real = dequantized(tensor, value).reshape(expected[name].shape)
        kernel = type(operator.kernel).__name__
        ratio = snr(expected[name], real)
        scaled = None if number in interface else rescaled(expected[name], real, kernel)
        fitted = ratio if scaled is None else snr(expected[name], scaled)
        if scaled is None and ratio < _POOR and number not in interface:
            report.too_few.append(operator.name)
        pair = (fitted, ratio) if ratio < _POOR and fitted >= ratio + EXPLAINED else (ratio, None)
        report.layers.append(LayerSnr(operator.name, kernel, name, *pair))
    for port, value in zip(session.model.outputs, found.outputs, strict=True):
        name = match(port.name, origins, expected)
        if name is not None and expected[name].size == value.size:
            real = value if value.dtype.kind == "f" else dequantized(tensors[port.tensor], value)
            report.outputs[port.name] = snr(expected[name], real.reshape(expected[name].shape))
    return report


def _run_quantized(session: InferenceSession, feeds: dict[str, NDArray[Any]], batch: int) -> RunResult:
    """All outputs and tensors of the quantized model; `batch` samples at a time where it takes that many."""
    if batch == 1:
        return session.run(None, feeds, intermediates=True)
    count = len(next(iter(feeds.values())))
    runs = [
        session.run(None, {name: array[i : i + batch] for name, array in feeds.items()}, intermediates=True)
        for i in range(0, count, batch)
    ]
    outputs = [np.concatenate(parts) for parts in zip(*(run.outputs for run in runs), strict=True)]
    names = runs[0].intermediates
    return RunResult(outputs, {name: np.concatenate([run.intermediates[name] for run in runs]) for name in names})


def snr(signal: NDArray[Any], approximation: NDArray[Any]) -> float:
    """10 * log10(sum(signal^2) / sum((signal - approximation)^2)); inf where they are equal."""
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


def check_float(model: ModelProto, name: str = "the model of --float-model") -> None:
    """Raises InputError where the model is quantized: it would be compared with its own kind."""
    for node in model.graph.node:
        if _QUANTIZED.fullmatch(node.op_type):
            raise InputError(
                f"{name} is not a float model: it holds {node.op_type}",
                "--float-model is the model as it was before it was quantized",
            )


def limits(kernel: Any, tensor: Tensor) -> tuple[float, float]:
    """The least and the greatest real value that an operator can give."""
    clamp = getattr(kernel, "requantization", None) or kernel
    if tensor.type == ElementType.Float32:
        least, most = getattr(clamp, "minimum", -np.inf), getattr(clamp, "maximum", np.inf)
        return (float(least), float(most)) if np.ndim(least) == 0 and np.ndim(most) == 0 else (-np.inf, np.inf)
    ends = int(getattr(clamp, "minimum", -128)), int(getattr(clamp, "maximum", 127))
    least, most = ((end - int(tensor.zero_point)) * float(tensor.scale) for end in ends)
    return least, most


def rescaled(signal: NDArray[Any], approximation: NDArray[Any], kernel: str = "") -> NDArray[np.float64] | None:
    """The approximation with each channel times the positive factor that brings it closest to the signal.

    The channel is axis 1 (of a dense layer's result the last). None where it has too few values to tell a factor.
    """
    f, q = signal.astype(np.float64), approximation.astype(np.float64)
    axis = f.ndim - 1 if kernel in ("FullyConnected", "FloatFullyConnected") else 1
    if f.ndim < 2 or f.size < _FEWEST * f.shape[axis]:
        return None
    others = tuple(k for k in range(f.ndim) if k != axis)
    power = (q * q).sum(others, keepdims=True)
    factors = np.divide((f * q).sum(others, keepdims=True), power, out=np.ones_like(power), where=power > 0)
    return q * np.where(factors > 0, factors, 1.0)


def _clamps(model: ModelProto) -> dict[str, tuple[str, float, float]]:
    """Tensor -> result and limits of the Relu or Clip that is all that reads it."""
    from onnx import numpy_helper

    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    readers: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in set(node.input):
            readers.setdefault(name, []).append(node)
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    found: dict[str, tuple[str, float, float]] = {}
    for name, nodes in readers.items():
        if len(nodes) != 1 or nodes[0].op_type not in ("Relu", "Clip") or nodes[0].input[0] != name:
            continue
        ends = (0.0, float("inf")) if nodes[0].op_type == "Relu" else _ends(nodes[0], constants)
        if ends is not None:
            found[name] = (nodes[0].output[0], *ends)
    return found


def _ends(node: NodeProto, constants: dict[str, NDArray[Any]]) -> tuple[float, float] | None:
    """Limits of a Clip; None where they are computed."""
    ends: list[float] = []
    for index, key, default in ((1, "min", -np.inf), (2, "max", np.inf)):
        name = node.input[index] if len(node.input) > index else ""
        if name and name not in constants:
            return None
        stated = [attribute.f for attribute in node.attribute if attribute.name == key]  # before opset 11
        ends.append(float(constants[name].reshape(-1)[0]) if name else float(stated[0]) if stated else default)
    return ends[0], ends[1]


def _behind_clamps(
    name: str, clamps: dict[str, tuple[str, float, float]], ours: tuple[float, float], step: float
) -> str:
    """The last of the clamps behind a float tensor that let all our values pass, to a quantization step."""
    while name in clamps and clamps[name][1] - step <= ours[0] and ours[1] <= clamps[name][2] + step:
        name = clamps[name][0]
    return name


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


def run_float(model: ModelProto, feeds: dict[str, NDArray[Any]], count: int, batch: int = 1) -> dict[str, NDArray[Any]]:
    """Every float32 tensor of a model by name, as ONNX Runtime computes them, `batch` samples at once, concatenated.

    Raises InputError when ONNX Runtime cannot run it on these inputs.
    """
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
        for i in range(0, count, batch):
            values: list[Any] = session.run(None, {k: v[i : i + batch] for k, v in feeds.items()})
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
