"""Compares Onnxino with ONNX Runtime: whole models by backend, and each operator fed with ONNX Runtime's own values.

Quantized tensors are compared byte by byte, float32 ones by their largest difference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from onnxino.errors import OnnxinoError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from onnxino.schema.model import Model, Operator, Tensor
    from onnxino_tools.verify.oracle import Oracle, Seen


TOLERANCE = 1e-4  # of float32 results that an operator makes of the same inputs, relative to their largest value
ROUNDED_TOLERANCE = 0.05  # where the inputs may be a quantization step apart


@dataclass
class OperatorReport:
    """One operator of the model against the kernel of ONNX Runtime that computes the same tensor, fed the same bytes.

    `integer`: ONNX Runtime computes it on integers. `steps`: the largest difference in quantization steps. Of float32
    results, `largest` is the largest difference, and `outside` counts those apart by more than the tolerance.
    """

    name: str
    kernel: str
    tensor: str
    exactness: str
    onnxruntime: str
    integer: bool
    bytes_compared: int = 0
    bytes_different: int = 0
    steps: int = 0
    floats_compared: int = 0
    largest: float = 0.0
    outside: int = 0

    @property
    def kept(self) -> bool:
        """Whether the promise holds: no difference where ONNX Runtime computes on integers, else at most one step;
        of float32 results none outside the tolerance."""
        return (self.bytes_different == 0 if self.integer else self.steps <= 1) and self.outside == 0


@dataclass
class BackendReport:
    """One backend against ONNX Runtime's outputs: bytes of quantized ones (float32 ports as quantization steps), the
    largest difference of those that are float32 on the device."""

    bytes_compared: int = 0
    bytes_different: int = 0
    steps: int = 0
    floats_compared: int = 0
    largest: float = 0.0
    reference_different: int = 0  # output values that differ from the NumPy reference
    first_different: str | None = None  # the first operator whose bytes differ from the NumPy reference


@dataclass
class VerifyReport:
    """What `onnxino verify` found."""

    inputs: int
    precision: str
    float_operators: list[str]
    backends: dict[str, BackendReport] = field(default_factory=dict[str, BackendReport])
    operators: list[OperatorReport] = field(default_factory=list[OperatorReport])
    not_located: list[str] = field(default_factory=list[str])

    @property
    def kept(self) -> bool:
        """Whether every promise holds: operators as promised, backends identical to the reference."""
        return all(o.kept for o in self.operators) and all(b.reference_different == 0 for b in self.backends.values())


def to_device(value: NDArray[Any], tensor: Tensor, seen: Seen) -> NDArray[Any] | None:
    """ONNX Runtime's values (B, ...) of a tensor as the device holds them, (B, *tensor.shape); None if they do not fit.

    ONNX Runtime may hold the tensor as uint8 (128 above the device's int8), and with its channels last.
    """
    import numpy as np

    from onnxino.model import DTYPES

    array = value
    if array.dtype == np.uint8:
        array = (array ^ 0x80).view(np.int8)
    if array.dtype == np.int64:
        array = array.astype(np.int32)
    if array.dtype != DTYPES[tensor.type]:
        return None
    shape = [int(d) for d in tensor.shape]
    onnx_axes = list(range(len(shape))) if tensor.perm is None else [int(p) for p in tensor.perm]
    if seen.channels_last and array.ndim > 2:
        array = np.moveaxis(array, -1, 1)
    if array.ndim != len(shape):
        return array.reshape(-1, *shape) if array.size % int(np.prod(shape)) == 0 and tensor.perm is None else None
    device = array.transpose(onnx_axes)
    batch_axis = onnx_axes.index(0)
    if batch_axis != 0 or list(device.shape[1:]) != shape[1:] or device.shape[0] % shape[0]:
        return None
    return np.ascontiguousarray(device).reshape(-1, *shape)


def compare_operators(
    model: Model, oracle: Oracle, batches: list[tuple[list[NDArray[Any]], dict[str, NDArray[Any]]]]
) -> tuple[list[OperatorReport], list[str]]:
    """Runs each operator's NumPy kernel on the bytes that ONNX Runtime fed its own, and compares the results.

    `batches`: for each batch the device inputs and every tensor inside ONNX Runtime. Returns the reports, and the
    names of operators whose result ONNX Runtime never holds (their difference shows at the next operator).
    """
    from onnxino.schema.model import Exactness

    located = oracle.locate()
    reports: dict[int, OperatorReport] = {}
    missing: list[str] = []
    for inputs, inside in batches:
        rounded: set[int] = set()  # tensors that may be a step from what ONNX Runtime fed its kernels
        values: dict[int, NDArray[Any]] = {p.tensor: v for p, v in zip(model.inputs, inputs, strict=True)}
        for index, operator in enumerate(model.operators):
            outputs = _run_operator(model, operator, values, len(inputs[0]))
            behind = any(_source(model, int(number)) in rounded for number in operator.inputs)
            for number, ours in zip(operator.outputs, outputs, strict=True):
                tensor = model.tensors[int(number)]
                seen = located.get(tensor.name) or oracle.float_tensor(tensor.name)
                theirs = to_device(inside[seen.name], tensor, seen) if seen is not None else None
                if seen is None or theirs is None:
                    values[int(number)] = ours
                    if behind or operator.exactness == Exactness.Step:
                        rounded.add(int(number))
                    if index not in reports and operator.name not in missing:
                        missing.append(operator.name)
                    continue
                report = reports.setdefault(index, _report(operator, tensor, seen))
                _count(report, ours, theirs, ROUNDED_TOLERANCE if behind else TOLERANCE)
                values[int(number)] = theirs
    return list(reports.values()), missing


def _report(operator: Operator, tensor: Tensor, seen: Seen) -> OperatorReport:
    kind = type(operator.kernel).__name__
    return OperatorReport(operator.name, kind, tensor.name, operator.exactness.name, seen.computed_by, seen.integer)


def _source(model: Model, number: int) -> int:
    alias = int(model.tensors[number].alias_of)
    return alias if alias >= 0 else number


def _count(report: OperatorReport, ours: NDArray[Any], theirs: NDArray[Any], tolerance: float) -> None:
    import numpy as np

    if ours.dtype == np.float32:
        _count_floats(report, ours, theirs, tolerance)
        return
    difference = np.abs(ours.astype(np.int64) - theirs.astype(np.int64))
    report.bytes_compared += int(difference.size)
    report.bytes_different += int(np.count_nonzero(difference))
    report.steps = max(report.steps, int(difference.max(initial=0)))


def _count_floats(report: OperatorReport, ours: NDArray[Any], theirs: NDArray[Any], tolerance: float) -> None:
    difference, scale = float_difference(ours, theirs)
    report.floats_compared += int(difference.size)
    report.largest = max(report.largest, float(difference.max(initial=0)))
    report.outside += int((difference > tolerance * scale).sum())


def float_difference(ours: NDArray[Any], theirs: NDArray[Any]) -> tuple[NDArray[Any], float]:
    """Absolute differences (0 where both are the same infinity or NaN), and the largest finite magnitude of theirs."""
    import numpy as np

    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, np.abs(ours.astype(np.float64) - theirs))
    finite = np.abs(theirs[np.isfinite(theirs)])
    return np.nan_to_num(difference, nan=np.inf), float(finite.max(initial=0))


def _run_operator(model: Model, operator: Operator, values: dict[int, NDArray[Any]], batch: int) -> list[NDArray[Any]]:
    import numpy as np

    from onnxino.model import constant_of
    from onnxino.ops import OPERATORS

    arrays: list[NDArray[Any]] = []
    for number in operator.inputs:
        tensor = model.tensors[int(number)]
        shape = tuple(int(d) for d in tensor.shape)
        if tensor.data is not None:
            arrays.append(np.broadcast_to(constant_of(tensor), (batch, *shape)))
        else:
            key = int(number) if int(number) in values else int(tensor.alias_of)
            arrays.append(values[key].reshape(batch, *shape))
    outputs = [model.tensors[int(n)] for n in operator.outputs]
    return OPERATORS[type(operator.kernel)].run(operator.kernel, arrays, outputs)


def first_difference(model: Model, reference: dict[int, NDArray[Any]], other: dict[int, NDArray[Any]]) -> str | None:
    """Name of the first operator whose result differs between two executors of the same model, or None."""
    import numpy as np

    for operator in model.operators:
        for number in operator.outputs:
            ours, theirs = reference[int(number)], other[int(number)]
            if not np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"):
                return f"{operator.name} ({type(operator.kernel).__name__}, tensor {model.tensors[int(number)].name})"
    return None


def as_steps(value: NDArray[Any], port_scale: float, zero_point: int) -> NDArray[np.int64]:
    """A graph output as integers: 8-bit values as they are, float32 ones as steps of their quantization scale."""
    import numpy as np

    if value.dtype.kind == "f":
        return np.rint(value.astype(np.float64) / port_scale).astype(np.int64) + zero_point
    if value.dtype.kind not in "iu":
        raise OnnxinoError(f"ONNX Runtime returned {value.dtype} where an 8-bit or float32 output was expected")
    return value.astype(np.int64)
