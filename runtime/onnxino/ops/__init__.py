"""The operators: one module each, named as its C twin, and the table that finds it by its kernel's dataclass."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from onnxino.ops import (
    add,
    arg_max,
    average_pool2d,
    concat,
    conv2d,
    depthwise_conv2d,
    dequantize,
    fake_quantize,
    float_average_pool2d,
    float_binary,
    float_conv2d,
    float_fully_connected,
    float_mat_mul,
    float_max_pool2d,
    float_reduce,
    float_softmax,
    float_unary,
    fully_connected,
    lookup,
    max_pool2d,
    mean2d,
    mul,
    pad,
    quantize,
    softmax,
    take,
    transpose,
)
from onnxino.schema import model as schema
from onnxino.schema.model import Tensor


class OperatorSpec(Protocol):
    """What a module of this package offers for the kernel dataclass it belongs to."""

    __name__: str

    def check(self, kernel: Any, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        """Raises ModelError unless tensors and attributes fit together; `run` relies on that."""
        ...

    def run(self, kernel: Any, arrays: list[NDArray[Any]], outputs: list[Tensor]) -> list[NDArray[Any]]:
        """Computes the outputs, [B, *tensor.shape] each, of inputs [B, *tensor.shape], in their tensors' types."""
        ...

    def scratch(self, kernel: Any, inputs: list[Tensor], outputs: list[Tensor]) -> int:
        """Bytes of arena that the C kernel needs while it runs."""
        ...

    def safe_offset(self, kernel: Any, index: int, inputs: list[Tensor], outputs: list[Tensor]) -> int | None:
        """Smallest d so that the output may begin d bytes before input `index`, which it overwrites; None = never."""
        ...

    def macs(self, kernel: Any, inputs: list[Tensor], outputs: list[Tensor]) -> int:
        """Multiply-accumulates of one run of the model."""
        ...


OPERATORS: dict[type, OperatorSpec] = {
    schema.Conv2D: conv2d,
    schema.DepthwiseConv2D: depthwise_conv2d,
    schema.FullyConnected: fully_connected,
    schema.Add: add,
    schema.Mul: mul,
    schema.MaxPool2D: max_pool2d,
    schema.AveragePool2D: average_pool2d,
    schema.Mean2D: mean2d,
    schema.Softmax: softmax,
    schema.Lookup: lookup,
    schema.Concat: concat,
    schema.Transpose: transpose,
    schema.Quantize: quantize,
    schema.Dequantize: dequantize,
    schema.FakeQuantize: fake_quantize,
    schema.FloatConv2D: float_conv2d,
    schema.FloatFullyConnected: float_fully_connected,
    schema.FloatMatMul: float_mat_mul,
    schema.FloatUnary: float_unary,
    schema.FloatBinary: float_binary,
    schema.FloatMaxPool2D: float_max_pool2d,
    schema.FloatAveragePool2D: float_average_pool2d,
    schema.FloatReduce: float_reduce,
    schema.FloatSoftmax: float_softmax,
    schema.ArgMax: arg_max,
    schema.Take: take,
    schema.Pad: pad,
}


def stem(kernel: object) -> str:
    """The file name, without ending, of a kernel's Python and C implementation."""
    return OPERATORS[type(kernel)].__name__.rpartition(".")[2]
