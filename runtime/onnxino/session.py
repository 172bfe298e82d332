"""InferenceSession: runs a model with the names, layouts, types and shapes of the ONNX model it was made from."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, cast, overload

import numpy as np
from numpy.typing import NDArray

from onnxino import numerics
from onnxino.backends import Backend, open_backend
from onnxino.errors import InputError, ModelError
from onnxino.model import parse_model, shape_of
from onnxino.schema.model import ElementType, Model, Port, Tensor

Array = NDArray[Any]

_TYPES: dict[ElementType, tuple[str, type[np.generic]]] = {
    ElementType.Int8: ("tensor(int8)", np.int8),
    ElementType.UInt8: ("tensor(uint8)", np.uint8),
    ElementType.Float32: ("tensor(float)", np.float32),
    ElementType.Int64: ("tensor(int64)", np.int64),
}
_MOST_AXES = 6  # orders of more axes are not tried for a hint
_SIGN = np.uint8(0x80)  # an ONNX uint8 value is the device's int8 value + 128: the same byte but for this bit


@dataclass(frozen=True)
class NodeArg:
    """A graph input or output as ONNX Runtime describes it: a symbolic dimension is its name."""

    name: str
    shape: list[int | str]
    type: str


class RunResult(NamedTuple):
    """What `run(..., intermediates=True)` returns."""

    outputs: list[Array]
    """The asked outputs, as run returns them without intermediates."""
    intermediates: dict[str, Array]
    """Every tensor of the network by ONNX name, in ONNX's layout, batch first; int8 and uint8 are quantized."""


class InferenceSession:
    """Runs one model on one backend; a context manager.

    model: path of a .oxm file, its bytes, what convert() returned; or path of a .onnx file or an onnx.ModelProto, which
    is converted in memory.
    backend: "numpy" (the reference), "c" (this host), "emulator" (the board's firmware in this process), or a port.
    providers, sess_options: accepted and ignored, for code that was written for ONNX Runtime; `backend` says where the
    model runs.
    Raises OnnxinoError: ModelError, ConvertError, InputError (no such backend), LinkError, MissingExtraError.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes | object,
        backend: str = "numpy",
        *,
        providers: object = None,
        sess_options: object = None,
    ) -> None:
        data, where = _read(model)
        self._model: Model = parse_model(data, where)
        self._backend: Backend = open_backend(backend, self._model, data)
        self._backend_name = backend
        self._closed = False

    @property
    def model(self) -> Model:
        """The verified model."""
        return self._model

    @property
    def backend(self) -> Backend:
        """The open backend."""
        return self._backend

    @property
    def cycles(self) -> NDArray[np.int64] | None:
        """[B] CPU cycles of each sample of the last run, where the backend counts them."""
        return self._backend.cycles

    def get_inputs(self) -> list[NodeArg]:
        """The graph's inputs, in order."""
        return [_describe(port) for port in self._model.inputs]

    def get_outputs(self) -> list[NodeArg]:
        """The graph's outputs, in order."""
        return [_describe(port) for port in self._model.outputs]

    @overload
    def run(
        self, output_names: Sequence[str] | None, feeds: Mapping[str, Array], intermediates: Literal[False] = False
    ) -> list[Array]: ...

    @overload
    def run(
        self, output_names: Sequence[str] | None, feeds: Mapping[str, Array], intermediates: Literal[True]
    ) -> RunResult: ...

    def run(
        self, output_names: Sequence[str] | None, feeds: Mapping[str, Array], intermediates: bool = False
    ) -> list[Array] | RunResult:
        """Returns the outputs named (None: all) as list of arrays, like ONNX Runtime.

        feeds: one array for each input, of the type and shape that get_inputs() tells. A symbolic first dimension takes
        any batch of 1 or more; a fixed one of 1 does too, which ONNX Runtime would refuse.
        intermediates: returns RunResult(outputs, intermediates) instead.
        Raises InputError for names, types or shapes that do not fit, and after close().
        """
        if self._closed:
            raise InputError("the session is closed", "open another: onnxino.InferenceSession(model)")
        _check_arguments(output_names, feeds, self._model.inputs[0].name)
        ports = self._outputs(output_names)
        inputs = self._to_tensors(feeds)
        if not intermediates:
            results = self._backend.run(inputs)
            by_tensor = {port.tensor: result for port, result in zip(self._model.outputs, results, strict=True)}
            return [self._to_onnx(port, by_tensor[port.tensor]) for port in ports]
        arrays = self._backend.run_all(inputs)
        outputs = [self._to_onnx(port, arrays[port.tensor]) for port in ports]
        tensors = self._model.tensors
        return RunResult(outputs, {tensors[i].name: _tensor_to_onnx(tensors[i], a) for i, a in arrays.items()})

    def to_device(self, feeds: Mapping[str, Array]) -> list[Array]:
        """What a device is given for these feeds (as run takes them): [B, *tensor.shape] for each input."""
        return self._to_tensors(feeds)

    def from_device(self, outputs: Sequence[Array]) -> list[Array]:
        """What run returns for a device's outputs: [B, *tensor.shape] for each output, in order."""
        return [self._to_onnx(port, array) for port, array in zip(self._model.outputs, outputs, strict=True)]

    def close(self) -> None:
        """Closes the backend: frees memory, processes and ports. What is closed does not run again."""
        self._closed = True
        self._backend.close()

    def __enter__(self) -> InferenceSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        lines = [f"InferenceSession of '{self._model.name}' on {self._backend_name}"]
        lines += [f"  input  {_text(arg)}" for arg in self.get_inputs()]
        lines += [f"  output {_text(arg)}" for arg in self.get_outputs()]
        return "\n".join(lines)

    def _outputs(self, names: Sequence[str] | None) -> list[Port]:
        ports = {port.name: port for port in self._model.outputs}
        for name in names or []:
            if name not in ports:
                raise InputError(f"there is no output '{name}'", f"the model has {_names(ports)}")
        # Not the dict's values: a graph may list an output twice, and ONNX Runtime then returns it twice.
        return [ports[name] for name in names] if names else list(self._model.outputs)

    def _to_tensors(self, feeds: Mapping[str, Array]) -> list[Array]:
        ports = {port.name: port for port in self._model.inputs}
        for name in feeds:
            if name not in ports:
                raise InputError(f"there is no input '{name}'", f"the model has {_names(ports)}")
        for name in ports:
            if name not in feeds:
                raise InputError(f"input '{name}' is missing", f"the model has {_names(ports)}")
        arrays = [np.asarray(feeds[port.name]) for port in self._model.inputs]
        batches = [_check_feed(port, array) for port, array in zip(self._model.inputs, arrays, strict=True)]
        if len(set(batches)) > 1:
            found = ", ".join(f"'{port.name}' {batch}" for port, batch in zip(self._model.inputs, batches, strict=True))
            raise InputError(f"the inputs have different batches: {found}", "give every input the same batch")
        return [self._to_device(port, array) for port, array in zip(self._model.inputs, arrays, strict=True)]

    def _to_device(self, port: Port, array: Array) -> Array:
        """ONNX array -> [B, *tensor.shape] of the tensor's type."""
        tensor = self._model.tensors[port.tensor]
        array = array.reshape(-1, *_sample_shape(port))
        if port.perm is not None:
            array = array.transpose(0, *(int(p) + 1 for p in port.perm))
        if port.type == ElementType.Float32 and tensor.type == ElementType.Int8:
            array = numerics.quantize(array, tensor.scale, tensor.zero_point)
        elif port.type == ElementType.UInt8:
            array = (array ^ _SIGN).view(np.int8)
        elif port.type == ElementType.Int64:
            array = _to_int32(port, array)
        return np.ascontiguousarray(array.reshape(-1, *shape_of(tensor)))

    def _to_onnx(self, port: Port, array: Array) -> Array:
        """[B, *tensor.shape] of the tensor's type -> ONNX array."""
        tensor = self._model.tensors[port.tensor]
        shape = _sample_shape(port)
        result: Array = _unpermute(array, shape, port.perm)
        if port.type == ElementType.Float32 and tensor.type == ElementType.Int8:
            result = numerics.dequantize(result, tensor.scale, tensor.zero_point)
        elif port.type == ElementType.UInt8:
            result = result.view(np.uint8) ^ _SIGN
        elif port.type == ElementType.Int64:
            result = result.astype(np.int64)
        return _merge_batch(result, shape)


def _read(source: object) -> tuple[bytes, str]:
    """The .oxm file's bytes and what to call it; an ONNX model is converted."""
    content: Any = getattr(source, "model", source)  # of what convert() returns
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(cast("bytes", content)), "the model"
    if type(source).__name__ == "ModelProto":
        return _converted(source, "the model"), "the model"
    if not isinstance(source, str | os.PathLike):
        raise InputError(
            f"the model is of type {type(source).__name__}, expected a path, bytes of a .oxm file, or an ONNX model",
            "onnxino.InferenceSession('model.oxm')",
        )
    path = Path(cast("str | os.PathLike[str]", source))
    if path.suffix.lower() == ".onnx":
        return _converted(path, f"'{path}'"), f"'{path}'"
    try:
        return path.read_bytes(), f"'{path}'"
    except OSError as error:
        raise ModelError(f"'{path}' cannot be read: {error.strerror}") from error


def _converted(source: Any, where: str) -> bytes:
    try:
        from onnxino_converter import convert
    except ImportError as error:
        message = f"{where} is an ONNX file, and the converter is not installed"
        raise ModelError(message, "pip install onnxino") from error
    return convert(source, float=True).model


def _to_int32(port: Port, array: NDArray[np.int64]) -> NDArray[np.int32]:
    limits = np.iinfo(np.int32)
    if array.size and not (limits.min <= array.min() and array.max() <= limits.max):
        raise InputError(
            f"input '{port.name}' holds {array.min()} to {array.max()}, expected numbers of 32 bits",
            "a device holds int64 inputs as int32",
        )
    return array.astype(np.int32)


def _sample_shape(port: Port) -> tuple[int, ...]:
    """The port's ONNX shape for a batch of one: symbolic dimensions count 1."""
    return tuple(max(1, int(d)) for d in port.shape)


def _unpermute(array: Array, shape: tuple[int, ...], perm: NDArray[np.uint8] | None) -> Array:
    """[B, *device] -> [B, *shape]: device axis i is ONNX axis perm[i]."""
    if perm is None:
        return array.reshape(-1, *shape)
    order = [int(p) for p in perm]
    array = array.reshape(-1, *(shape[p] for p in order))
    return np.ascontiguousarray(array.transpose(0, *(order.index(axis) + 1 for axis in range(len(order)))))


def _merge_batch(array: Array, shape: tuple[int, ...]) -> Array:
    """[B, n, ...] -> [B * n, ...]."""
    if not shape:
        return array.reshape(()) if len(array) == 1 else array
    return array.reshape(-1, *shape[1:])


def _tensor_to_onnx(tensor: Tensor, array: Array) -> Array:
    """[B, *device shape] -> ONNX layout and type."""
    device = shape_of(tensor)
    order = list(range(len(device))) if tensor.perm is None else [int(p) for p in tensor.perm]
    shape = tuple(device[order.index(axis)] for axis in range(len(device)))
    result: Array = _unpermute(array, shape, tensor.perm)
    if tensor.onnx_type == ElementType.UInt8 and tensor.type == ElementType.Int8:
        result = result.view(np.uint8) ^ _SIGN
    return _merge_batch(result, shape)


def _check_arguments(output_names: object, feeds: object, name: str) -> None:
    """What ONNX Runtime's users get wrong most. Raises InputError."""
    if isinstance(output_names, str):
        raise InputError(f"output_names is the text '{output_names}', expected a list", f"['{output_names}']")
    if output_names is not None and not isinstance(output_names, Sequence):
        found = type(output_names).__name__
        raise InputError(f"output_names is of type {found}, expected a list of names or None", "None gives all outputs")
    if not isinstance(feeds, Mapping):
        raise InputError(
            f"feeds must be a dict {{'{name}': array}}, found {type(feeds).__name__}",
            f"session.run(None, {{'{name}': array}})",
        )


def _check_feed(port: Port, array: Array) -> int:
    """Returns the batch of an array given for an input."""
    name, dtype = _TYPES[port.type]
    if array.dtype != dtype:
        raise InputError(
            f"input '{port.name}' is {array.dtype}, expected {np.dtype(dtype)} ({name})",
            f"convert it: array.astype(np.{np.dtype(dtype)})" if port.type == ElementType.Float32 else None,
        )
    shape = [int(d) for d in port.shape]
    free = bool(shape) and shape[0] in (1, -1)
    if not _fits(array.shape, shape, free):
        wanted = _describe(port).shape
        hint = _reordered(array.shape, shape, free)
        alone = f"give exactly {shape[0]} along the first dimension" if shape and shape[0] > 1 else "it takes no batch"
        hint = hint or ("the first dimension is the batch: 1 or more" if free else alone)
        raise InputError(f"input '{port.name}' has shape {list(array.shape)}, expected {wanted}", hint)
    return array.shape[0] if free else 1


def _fits(found: tuple[int, ...], wanted: list[int], free: bool) -> bool:
    return len(found) == len(wanted) and all(
        f == max(1, w) or (axis == 0 and free and f >= 1) for axis, (f, w) in enumerate(zip(found, wanted, strict=True))
    )


def _reordered(found: tuple[int, ...], wanted: list[int], free: bool) -> str | None:
    """The hint for an array that has its axes in another order (NHWC for NCHW), or no batch dimension."""
    single = len(found) == len(wanted) - 1
    if single and (_fits((1, *found), wanted, free) or len(found) > _MOST_AXES):
        return "one dimension is missing; for a single sample: array[np.newaxis]"
    if len(found) > _MOST_AXES:
        return None
    for order in itertools.permutations(range(len(found))):  # those that keep most axes in order come first
        shape = tuple(found[axis] for axis in order)
        axes = ", ".join(map(str, order))
        if single and _fits((1, *shape), wanted, free):
            return f"for a single sample with its axes in another order: array.transpose({axes})[np.newaxis]"
        if _fits(shape, wanted, free) and (not free or order[0] == 0):
            return f"the axes are in another order: array.transpose({axes})"
    return "one dimension is missing; for a single sample: array[np.newaxis]" if single else None


def _describe(port: Port) -> NodeArg:
    names = port.dimension_names or []
    shape: list[int | str] = [
        int(d) if d >= 0 else (names[axis] if axis < len(names) and names[axis] else "N")
        for axis, d in enumerate(port.shape)
    ]
    return NodeArg(port.name, shape, _TYPES[port.type][0])


def _text(arg: NodeArg) -> str:
    return f"{arg.name}: {arg.type} {arg.shape}"


def _names(ports: Mapping[str, Port]) -> str:
    return ", ".join(f"'{name}'" for name in ports)
