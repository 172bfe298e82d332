"""What a float value is made of: a dequantized tensor, a constant, or a computation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onnxino.schema.model import Exactness
from onnxino_converter.arithmetic import F32, dequantize, quantize
from onnxino_converter.ir import Array, Graph, Node, Quantization, Value
from onnxino_converter.quantized import Clamp
from onnxino_converter.refusal import QUANTIZE_HINT, refusal

KernelTypes = Literal["uint8", "any"]  # activations that ONNX Runtime's integer kernel takes on x86-64


def per_tensor(node: Node, scale: Array, zero_point: Array, what: str) -> Quantization:
    """One scale and zero point for a whole activation tensor; equal ones for all channels count as one."""
    if np.any(scale != scale[0]) or np.any(zero_point != zero_point[0]):
        raise refusal(
            node.describe(),
            f"{what} is quantized per channel ({scale.size} scales)",
            "activations quantized per tensor",
            "quantize activations per tensor (per_channel concerns the weights only)",
        )
    return Quantization(float(scale[0]), int(zero_point[0]), zero_point.dtype == np.uint8)


def held(scale: Array, zero_point: Array) -> bool:
    """Whether the device can hold a tensor of this quantization: 8 bits, one scale and zero point."""
    return zero_point.dtype.itemsize == 1 and bool(np.all(scale == scale[0]) and np.all(zero_point == zero_point[0]))


def device_bytes(array: Array) -> NDArray[np.int8]:
    """The int8 values that the device holds for an int8 or uint8 array."""
    return (array.astype(np.int16) - 128).astype(np.int8) if array.dtype == np.uint8 else array.astype(np.int8)


LARGEST_SUM = 2.0**20  # steps: a few roundings of such terms are a quarter of a step


@dataclass
class Operand:
    """A quantized tensor as an operator reads it, with the parameters of its DequantizeLinear or QOperator inputs."""

    value: Value
    scale: NDArray[np.float32]
    zero_point: Array
    axis: int = -1
    float_in_ort: bool = False  # ONNX Runtime runs in float32 what reads it

    @property
    def constant(self) -> Array | None:
        return self.value.constant

    @property
    def unsigned_in_ort(self) -> bool:
        """Whether ONNX Runtime on x86-64 computes with it as uint8; int8 constants are turned into uint8 there."""
        return self.zero_point.dtype == np.uint8 or self.value.unsigned_in_ort or self.constant is not None

    def quantization(self, node: Node) -> Quantization:
        q = per_tensor(node, self.scale, self.zero_point, f"'{self.value.name}'")
        if self.value.quantization is None:
            self.value.quantization = q
        return q

    def weights(self, node: Node, channel_axis: int) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Weights with their zero points subtracted, int8 or (passes/narrow_weights.py) int16, and one scale or one
        per channel."""
        where = node.describe()
        array = self.constant
        if array is None:
            raise refusal(where, f"the weights ('{self.value.name}') are computed at run time", "constant weights")
        if str(array.dtype) not in ("int8", "uint8"):
            raise refusal(where, f"the weights are of type {array.dtype}", "int8 and uint8", QUANTIZE_HINT)
        if self.axis >= 0 and self.axis != channel_axis:
            raise refusal(
                where,
                f"the weights are quantized along axis {self.axis}",
                f"per tensor, or along output channels (axis {channel_axis})",
            )
        count = array.shape[channel_axis]
        if self.scale.size not in (1, count):
            raise refusal(
                where, f"there are {self.scale.size} weight scales for {count} output channels", "1 or one for each"
            )
        broadcast = [1] * array.ndim
        broadcast[channel_axis] = self.zero_point.size
        shifted = array.astype(np.int32) - self.zero_point.astype(np.int32).reshape(broadcast)
        narrow = shifted.min() >= -128 and shifted.max() <= 127
        return shifted.astype(np.int8 if narrow else np.int16), self.scale


@dataclass
class Pattern:
    """The float computation before a QuantizeLinear: `head` is its operator, `activations` the Relu and Clip after."""

    graph: Graph
    producers: dict[Value, Node]
    users: dict[Value, list[Node]]
    outputs: set[Value]
    quantize: Node
    y: Quantization
    head: Node
    activations: list[Node] = field(default_factory=list[Node])

    @property
    def result(self) -> Value:
        """The quantized result, which the fused node writes."""
        return self.quantize.output

    def operand(self, value: Value) -> Operand | None:
        """The dequantized constant, or tensor that the device holds, behind a float value, or None."""
        node = self.producers.get(value)
        if node is None or node.op != "DequantizeLinear":
            return None
        operand = operand_of(node)
        return operand if operand.constant is not None or held(operand.scale, operand.zero_point) else None

    def weight_operand(self, value: Value) -> Operand | None:
        """Weights behind a DequantizeLinear; float ones as ONNX Runtime quantizes them between quantized tensors."""
        if value.constant is None or value.constant.dtype != F32 or not np.all(np.isfinite(value.constant)):
            return self.operand(value)
        low, high = F32(min(value.constant.min(), 0)), F32(max(value.constant.max(), 0))
        scale = F32(1) if low == high else F32((high - low) / F32(255))
        if not np.isfinite(scale) or scale <= 0:
            return None
        zero = np.rint(np.clip(F32(-128) - low / scale, F32(-128), F32(127))).astype(np.int8)
        stored = np.clip(np.rint(value.constant / scale) + F32(zero), -128, 127).astype(np.int8)
        made = Value(f"{value.name}_quantized", value.shape, stored.dtype, stored)
        return Operand(made, np.asarray([scale], F32), np.asarray([zero], np.int8))

    def activation(self, value: Value) -> Operand:
        """The same, where anything else is refused."""
        operand = self.operand(value)
        if operand is None or operand.zero_point.dtype.itemsize > 1:
            raise self.float_input(value)
        return operand

    def float_input(self, value: Value) -> Exception:
        producer = self.producers.get(value)
        origin = (
            f"comes from {producer.describe()}"
            if producer
            else "is a constant"
            if value.constant is not None
            else "is a graph input"
        )
        return refusal(
            self.head.describe(),
            f"its input '{value.name}' stays float: it {origin} without QuantizeLinear and DequantizeLinear in between",
            "quantized inputs",
            QUANTIZE_HINT,
        )

    @property
    def clamp(self) -> Clamp:
        """The activations as a range of the stored result: clamping after rounding gives the same bytes."""
        low, high = -128, 127
        for node in reversed(self.activations):
            bounds = activation_bounds(node)
            least, most = (int(v) for v in quantize(np.asarray(bounds, F32), self.y))
            low, high = min(max(low, least), most), min(max(high, least), most)
        return Clamp(low, high)

    def arithmetic(self, operands: list[Operand], kernel: KernelTypes) -> tuple[int, Exactness]:
        """The domain (128: uint8, 0: int8) and exactness of the pattern's operator in ONNX Runtime on x86-64.

        It runs in integers where all tensors are of one type that its kernel takes, nothing else reads the floats,
        and Relu and Clip are redundant; otherwise in float32, which is within a step.
        """
        unsigned = {operand.unsigned_in_ort for operand in operands}
        plain = not any(operand.float_in_ort for operand in operands)
        unsigned.add(self.y.unsigned or self.result.unsigned_in_ort)
        domain = 128 if True in unsigned else 0
        taken = len(unsigned) == 1 and (kernel == "any" or domain == 128)
        return domain, Exactness.Exact if taken and plain and self._pure() else Exactness.Step

    def check_reach(self, steps: float, exactness: Exactness) -> None:
        """Refuses an integer kernel in place of float32 (Step) where the largest sum of magnitudes is so many steps of
        the result that float32 sums that cancel are more than a step from exact ones. It then runs in float32."""
        if exactness == Exactness.Step and steps > LARGEST_SUM:
            raise refusal(self.head.describe(), "its scales are too far apart for sums in steps of the result")

    def _pure(self) -> bool:
        """Whether nothing else reads the floats of the pattern, its activations are redundant, and the QuantizeLinear
        follows in ONNX Runtime, too."""
        if self.quantize.attributes.get("float_in_ort"):
            return False
        value = self.quantize.input(0)
        for _ in range(len(self.activations) + 1):
            if len(self.users.get(value, [])) != 1 or value in self.outputs or value.read_by_dead:
                return False
            value = self.producers[value].input(0)
        return all(self._redundant(node) for node in self.activations)

    def _redundant(self, node: Node) -> bool:
        """ONNX Runtime drops a Relu or Clip when the quantized type cannot hold what it would cut off."""
        if node.attributes.get("float_in_ort"):
            return False
        eps = float(np.finfo(F32).eps)
        low, high = activation_bounds(node)
        least, most = (float(v) for v in dequantize(np.asarray([-128, 127], np.int8), self.y))
        if node.op == "Relu":
            return self.y.device_zero_point == -128
        return low - least <= eps and most - high <= eps


def operand_of(dequantize_node: Node) -> Operand:
    attributes: dict[str, Any] = dequantize_node.attributes
    return Operand(
        dequantize_node.input(0),
        attributes["scale"],
        attributes["zero_point"],
        attributes["axis"],
        attributes.get("float_in_ort", False),
    )


def activation_bounds(node: Node) -> tuple[float, float]:
    if node.op == "Relu":
        return 0.0, float("inf")
    return float(node.attributes["low"]), float(node.attributes["high"])
