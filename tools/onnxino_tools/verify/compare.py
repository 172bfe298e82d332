"""Compares Onnxino with ONNX Runtime: whole models by backend, and each operator fed with ONNX Runtime's own values.

Quantized tensors are compared byte by byte, float32 ones by their largest difference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from onnxino.errors import OnnxinoError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray

    from onnxino import InferenceSession
    from onnxino.schema.model import Model, Operator, Tensor
    from onnxino_tools.verify.oracle import Oracle, Seen


TOLERANCE = 1e-5  # of float32 results that an operator makes of the same inputs, relative to their largest value
CLASSES = ("exact", "table", "step", "float")  # what may be promised of an operator, strictest first


@dataclass
class OperatorReport:
    """One operator of the model against what ONNX Runtime computes for the same tensor, fed the same values.

    `integer`: ONNX Runtime computes it on integers. `alone`: its rewritten graph does not hold the tensor, or not one
    of these inputs, so the part of the original graph that computes it ran on its own, as it is written. `steps`: the
    largest difference in quantization steps. Of float32 results, `largest` is the largest difference, `relative` the
    same in relation to the largest value, and `outside` counts those apart by more than TOLERANCE of that value.
    """

    name: str
    kernel: str
    tensor: str
    exactness: str
    onnxruntime: str
    integer: bool
    alone: bool = False
    bytes_compared: int = 0
    bytes_different: int = 0
    steps: int = 0
    floats_compared: int = 0
    largest: float = 0.0
    relative: float = 0.0
    outside: int = 0

    @property
    def promise(self) -> str:
        """One of CLASSES: ONNX Runtime computes it on integers, or the converter says that it comes to the same;
        by a table; quantized after float32 arithmetic; or float32."""
        if self.floats_compared:
            return "float"
        # QLinearSigmoid is a table of a float32 function, which may round otherwise at ties: then the mark is Step
        if self.integer and not (self.exactness == "Step" and self.onnxruntime == "QLinearSigmoid"):
            return "exact"
        if self.alone:
            return "step"
        return {"Exact": "exact", "Table": "table"}.get(self.exactness, "step")

    @property
    def kept(self) -> bool:
        """Whether the promise holds: no different byte where exact or by table, else at most one step; of float32
        results none outside the tolerance."""
        return self.steps <= (1 if self.promise == "step" else 0) and self.outside == 0


@dataclass
class ClassReport:
    """All operators of one class together; the fields are those of OperatorReport."""

    operators: int = 0
    bytes_compared: int = 0
    bytes_different: int = 0
    steps: int = 0
    floats_compared: int = 0
    largest: float = 0.0
    relative: float = 0.0
    outside: int = 0

    def add(self, one: OperatorReport) -> None:
        self.operators += 1
        self.bytes_compared += one.bytes_compared
        self.bytes_different += one.bytes_different
        self.steps = max(self.steps, one.steps)
        self.floats_compared += one.floats_compared
        self.largest = max(self.largest, one.largest)
        self.relative = max(self.relative, one.relative)
        self.outside += one.outside


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
    wrong_inputs: list[str] = field(default_factory=list[str])  # by name: another value reaches the first operator
    wrong_outputs: list[str] = field(default_factory=list[str])  # by name: not what ONNX makes of the last tensor
    outputs_not_compared: list[str] = field(default_factory=list[str])

    @property
    def classes(self) -> dict[str, ClassReport]:
        """The operators by class, all of CLASSES."""
        found = {name: ClassReport() for name in CLASSES}
        for operator in self.operators:
            found[operator.promise].add(operator)
        return found

    @property
    def unexplained(self) -> bool:
        """Whether outputs differ from ONNX Runtime's though its own graph holds the result of every operator and none
        differs: then inputs or outputs are converted in another way."""
        same = all(not (o.alone or o.bytes_different or o.largest) for o in self.operators)
        return (
            bool(self.operators)
            and same
            and not self.not_located
            and any(b.bytes_different or b.largest for b in self.backends.values())
        )

    @property
    def kept(self) -> bool:
        """Whether every promise holds: operators as promised, inputs and outputs
        converted as in ONNX, backends identical to the reference."""
        same = all(b.reference_different == 0 for b in self.backends.values())
        ports = not (self.wrong_inputs or self.wrong_outputs or self.outputs_not_compared or self.unexplained)
        return all(o.kept for o in self.operators) and same and ports


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
    report: VerifyReport,
    session: InferenceSession,
    oracle: Oracle,
    batches: Iterable[tuple[list[NDArray[Any]], list[dict[str, NDArray[Any]]]]],
) -> None:
    """Runs each operator's NumPy kernel on the values that ONNX Runtime fed its own, and compares the results; then
    what `session` makes of the last ones with what ONNX Runtime does.

    `batches`: for each batch the device inputs (B, ...), and for each of its B samples every tensor inside ONNX
    Runtime. Adds to the report: operators; in `not_located` the names of those whose result is no tensor of the ONNX
    model, which are compared together with the next; and the outputs that are wrong or could not be compared.
    """
    from onnxino_tools.verify.ports import PortComparison

    comparison = _Comparison(session.model, oracle)
    ports = PortComparison(session, comparison.parts)
    for inputs, inside in batches:
        comparison.add(inputs, inside)
        ports.add(comparison.values, comparison.ours, comparison.compared, inside)
    report.operators, report.not_located = list(comparison.reports.values()), comparison.missing
    report.wrong_inputs, report.wrong_outputs = list(ports.wrong_inputs), list(ports.wrong)
    report.outputs_not_compared = list(ports.not_compared)


class _Comparison:
    """Gathers the reports, batch after batch."""

    def __init__(self, model: Model, oracle: Oracle) -> None:
        from onnxino_tools.verify.parts import Parts

        self.reports: dict[int, OperatorReport] = {}
        self.missing: list[str] = []
        self._model = model
        self._located = oracle.locate()
        self._oracle = oracle
        self.parts = Parts(oracle.model, model)
        self.values: dict[int, NDArray[Any]] = {}
        self.ours: dict[int, NDArray[Any]] = {}  # what our kernels made of these values
        self.compared: set[int] = {p.tensor for p in model.inputs}  # tensors that need no further comparison
        self._foreign: set[int] = set()  # tensors whose values are not those that ONNX Runtime fed its kernels

    def add(self, inputs: list[NDArray[Any]], inside: list[dict[str, NDArray[Any]]]) -> None:
        self.values = {p.tensor: v for p, v in zip(self._model.inputs, inputs, strict=True)}
        self._foreign = set()
        for index, operator in enumerate(self._model.operators):
            outputs = run_operator(self._model, operator, self.values, len(inputs[0]))
            foreign = any(source(self._model, int(number)) in self._foreign for number in operator.inputs)
            for number, ours in zip(operator.outputs, outputs, strict=True):
                self._add_output(index, int(number), ours, inside, foreign)

    def _add_output(
        self, index: int, number: int, ours: NDArray[Any], inside: list[dict[str, NDArray[Any]]], foreign: bool
    ) -> None:
        """`foreign`: not all inputs are ONNX Runtime's own, so its result tells nothing unless it is the same."""
        import numpy as np

        operator, tensor = self._model.operators[index], self._model.tensors[number]
        seen = self._located.get(tensor.name) or self._oracle.float_tensor(tensor.name)
        theirs = _join([to_device(sample[seen.name], tensor, seen) for sample in inside]) if seen is not None else None
        self.values[number] = ours if theirs is None else theirs
        self.ours[number] = ours
        if theirs is None:
            self._foreign.add(number)
        if seen is not None and theirs is not None and (not foreign or np.array_equal(ours, theirs)):
            self._count(index, number, seen, ours, theirs)
            return
        alone = _join([self._alone(tensor, sample) for sample in range(len(inside))])
        if alone is not None:
            self._count(index, number, None, ours, alone)
        elif seen is not None and theirs is not None:
            self._count(index, number, seen, ours, theirs)
        elif index not in self.reports and operator.name not in self.missing:
            self.missing.append(operator.name)

    def _alone(self, tensor: Tensor, sample: int) -> NDArray[Any] | None:
        """What the part of the original graph that ends in this tensor makes of the same inputs, or None."""
        from onnxino_tools.verify.oracle import Seen

        found = self.parts.run(tensor, {k: v[sample : sample + 1] for k, v in self.values.items()})
        return None if found is None else to_device(found, tensor, Seen(tensor.name, False, False, ""))

    def _count(self, index: int, number: int, seen: Seen | None, ours: NDArray[Any], theirs: NDArray[Any]) -> None:
        self.compared.add(number)
        _count(self._report(index, self._model.tensors[number], seen), ours, theirs)

    def _report(self, index: int, tensor: Tensor, seen: Seen | None) -> OperatorReport:
        """The operator's report, made at its first result. `seen` None: compared alone."""
        if index not in self.reports:
            operator = self._model.operators[index]
            self.reports[index] = OperatorReport(
                operator.name,
                type(operator.kernel).__name__,
                tensor.name,
                operator.exactness.name,
                seen.computed_by if seen is not None else self.parts.computed_by(tensor),
                seen is not None and seen.integer,
            )
        report = self.reports[index]
        if seen is None:
            report.alone, report.integer = True, False
        return report


def _join(samples: list[NDArray[Any] | None]) -> NDArray[Any] | None:
    """The samples as one batch; None if one of them is missing."""
    import numpy as np

    whole = [sample for sample in samples if sample is not None]
    return np.concatenate(whole) if len(whole) == len(samples) else None


def source(model: Model, number: int) -> int:
    """The tensor that holds a tensor's values: itself, or the one of which it is an alias."""
    alias = int(model.tensors[number].alias_of)
    return alias if alias >= 0 else number


def _count(report: OperatorReport, ours: NDArray[Any], theirs: NDArray[Any]) -> None:
    import numpy as np

    if ours.dtype == np.float32:
        for pair in zip(ours, theirs, strict=True):
            _count_floats(report, *pair)
        return
    difference = np.abs(ours.astype(np.int64) - theirs.astype(np.int64))
    report.bytes_compared += int(difference.size)
    report.bytes_different += int(np.count_nonzero(difference))
    report.steps = max(report.steps, int(difference.max(initial=0)))


def _count_floats(report: OperatorReport, ours: NDArray[Any], theirs: NDArray[Any]) -> None:
    """One sample."""
    difference, scale = float_difference(ours, theirs)
    largest = float(difference.max(initial=0))
    report.floats_compared += int(difference.size)
    report.largest = max(report.largest, largest)
    if largest:
        report.relative = max(report.relative, largest / scale if scale else float("inf"))
    report.outside += int((difference > TOLERANCE * scale).sum())


def float_difference(ours: NDArray[Any], theirs: NDArray[Any]) -> tuple[NDArray[Any], float]:
    """Absolute differences (0 where both are the same infinity or NaN), and the largest finite magnitude of theirs."""
    import numpy as np

    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, np.abs(ours.astype(np.float64) - theirs))
    finite = np.abs(theirs[np.isfinite(theirs)])
    return np.nan_to_num(difference, nan=np.inf), float(finite.max(initial=0))


def run_operator(model: Model, operator: Operator, values: dict[int, NDArray[Any]], batch: int) -> list[NDArray[Any]]:
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


def different(ours: NDArray[Any], theirs: NDArray[Any]) -> NDArray[Any]:
    """Where two arrays of one shape and type differ: of float32 where the bits do, but every NaN is the same."""
    import numpy as np

    if ours.dtype != np.float32:
        return ours != theirs
    bits = np.ascontiguousarray(ours).view(np.uint32) != np.ascontiguousarray(theirs).view(np.uint32)
    return bits.reshape(ours.shape) & ~(np.isnan(ours) & np.isnan(theirs))


def first_difference(model: Model, reference: dict[int, NDArray[Any]], other: dict[int, NDArray[Any]]) -> str | None:
    """Name of the first operator whose result differs between two executors of the same model, or None."""
    for operator in model.operators:
        for number in operator.outputs:
            ours, theirs = reference[int(number)], other[int(number)]
            if different(ours, theirs).any():
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
