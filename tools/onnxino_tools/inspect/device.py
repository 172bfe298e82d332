"""The operators of a model file (.oxm) as rows: shapes, quantization, how exactly each computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxino.schema.model import Model, Tensor

# Exactness -> what it means for the user.
MEANING = {
    "exact": "integer arithmetic, ONNX Runtime's bytes",
    "table": "a table of 256 values, made with ONNX Runtime's formula",
    "step": "integer arithmetic where ONNX Runtime computes in float32: at most one quantization step apart",
    "float": "float32 in one written order of operations: the same bits on every device, not always ONNX Runtime's",
}


@dataclass(frozen=True)
class DeviceOperator:
    """One operator as the device runs it. Shapes are the device's (images NHWC)."""

    name: str
    kernel: str
    inputs: list[str]
    outputs: list[str]
    quantization: str
    exactness: str
    macs: int


def device_operators(model: Model) -> list[DeviceOperator]:
    """The operators in the order in which they run."""
    from onnxino.ops import OPERATORS

    rows: list[DeviceOperator] = []
    for operator in model.operators:
        inputs = [model.tensors[int(i)] for i in operator.inputs]
        outputs = [model.tensors[int(i)] for i in operator.outputs]
        kernel = operator.kernel
        rows.append(
            DeviceOperator(
                name=operator.name,
                kernel=kernel_name(kernel),
                inputs=[describe(t) for t in inputs],
                outputs=[describe(t) for t in outputs],
                quantization=", ".join(quantization(t) for t in outputs),
                exactness=operator.exactness.name.lower(),
                macs=int(OPERATORS[type(kernel)].macs(kernel, inputs, outputs)),
            )
        )
    return rows


def kernel_name(kernel: object) -> str:
    """The kernel's name; of those that compute several functions, with the function: 'FloatUnary Sigmoid'."""
    function = getattr(kernel, "function", None)
    name = type(kernel).__name__
    return name if function is None else f"{name} {function.name}"


def describe(tensor: Tensor) -> str:
    """Type and shape: 'int8 [1, 8, 8, 3]'."""
    shape = [int(d) for d in tensor.shape]
    constant = "const " if tensor.data is not None else ""
    return f"{constant}{tensor.type.name.lower()} {shape}"


def quantization(tensor: Tensor) -> str:
    """Scale and zero point of an int8 tensor as the device holds it; of others '-'."""
    if tensor.type.name != "Int8":
        return "-"
    return f"{tensor.scale:.6g}, zero point {int(tensor.zero_point)}"
