"""ONNX's standard backend interface (onnx.backend.base) on Onnxino: any ONNX model or node, on NumPy or the C runtime.

    from onnxino.backend import OnnxinoBackend
    OnnxinoBackend.run_model(model, [image], backend="c")

Needs the converter, which is imported when a model is prepared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from onnx.backend import base

from onnxino.errors import ConvertError, InputError
from onnxino.session import InferenceSession

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Array = NDArray[Any]

# Operator -> from which input on its inputs are parameters, which the converter must know.
_PARAMETERS = {
    "BatchNormalization": 1,
    "Clip": 1,
    "Conv": 1,
    "DequantizeLinear": 1,
    "Dropout": 1,
    "Expand": 1,
    "Gather": 1,
    "Gemm": 1,
    "Pad": 1,
    "QLinearConv": 1,
    "QLinearMatMul": 1,
    "QuantizeLinear": 1,
    "ReduceMax": 1,
    "ReduceMean": 1,
    "ReduceMin": 1,
    "ReduceSum": 1,
    "Reshape": 1,
    "Resize": 1,
    "Slice": 1,
    "Split": 1,
    "Squeeze": 1,
    "Tile": 1,
    "Unsqueeze": 1,
    "Upsample": 1,
}


def parameters(node: NodeProto) -> list[str]:
    """The inputs of a node that are no activations (weights, scales, axes, shapes): the converter must know them."""
    first = _PARAMETERS.get(node.op_type, len(node.input))
    return [name for name in node.input[first:] if name]


class OnnxinoRep(base.BackendRep):
    """A prepared model; a context manager. Runs any number of times."""

    def __init__(self, session: InferenceSession, constants: frozenset[str], inputs: Sequence[str]) -> None:
        self.session = session
        self._inputs = [name for name in inputs if name not in constants]

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Array, ...]:
        """Computes the outputs. inputs: an array for each input that is no constant, in the model's order or by name.

        Raises InputError for a wrong number, name, type or shape, and for keyword arguments: there are none.
        """
        _no_others(kwargs)
        names = [port.name for port in self.session.get_outputs()]
        if isinstance(inputs, Mapping):
            feeds = {str(name): np.asarray(value) for name, value in cast("Mapping[Any, Any]", inputs).items()}
            return base.namedtupledict("Outputs", names)(*self.session.run(None, feeds))
        given: list[Array] = [inputs] if isinstance(inputs, np.ndarray) else [np.asarray(value) for value in inputs]
        if len(given) != len(self._inputs):
            raise InputError(
                f"{len(given)} inputs are given, the model has {len(self._inputs)}: {', '.join(self._inputs)}"
            )
        outputs = tuple(self.session.run(None, dict(zip(self._inputs, given, strict=True))))
        return base.namedtupledict("Outputs", names)(*outputs)

    def close(self) -> None:
        """Frees what the session holds."""
        self.session.close()

    def __enter__(self) -> OnnxinoRep:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class OnnxinoBackend(base.Backend):
    """onnx.backend.base.Backend. Keyword arguments of every method:

    backend: "numpy" (the reference) or "c". constants: values of graph inputs that are known beforehand and become part
    of the model (weights, scales, shapes): a device computes with activations, and knows all else when it is loaded.
    """

    BACKENDS: ClassVar[tuple[str, ...]] = ("numpy", "c")

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """CPU alone: NumPy and C run on this computer."""
        return device.split(":")[0] == "CPU"

    @classmethod
    def is_compatible(cls, model: ModelProto | str | Path, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether `prepare` takes the model."""
        from unittest import SkipTest

        try:
            cls.prepare(model, device, **kwargs).close()
        except SkipTest:
            return False
        return True

    @classmethod
    def prepare(
        cls,
        model: ModelProto | str | Path,
        device: str = "CPU",
        *,
        backend: str = "numpy",
        constants: Mapping[str, Array] | None = None,
        **kwargs: Any,
    ) -> OnnxinoRep:
        """Converts a model (or the file of one), in float32 wherever it is not quantized, and opens it.

        Raises onnx's BackendIsNotSupposedToImplementIt with the reason for what a device cannot run, InputError for an
        unknown device, backend or keyword, and ConvertError for a file that is no ONNX model.
        """
        from onnxino_converter import convert
        from onnxino_converter.importer import load_source

        _no_others(kwargs, "backend", "constants")
        if not cls.supports_device(device):
            raise InputError(f"device '{device}' is unknown", "CPU is what there is")
        if backend not in cls.BACKENDS:
            raise InputError(f"backend '{backend}' is unknown", f"one of {', '.join(cls.BACKENDS)}")
        known = dict(constants or {})
        if isinstance(model, str | Path):
            model = load_source(model).model
        try:
            converted = convert(_with_constants(model, known), name="model", board=None, float=True)
        except ConvertError as error:
            raise _not_supposed(error.message) from error
        initializers = {tensor.name for tensor in model.graph.initializer}
        inputs = [info.name for info in model.graph.input if info.name not in initializers]
        return OnnxinoRep(InferenceSession(converted.model, backend), frozenset(known), inputs)

    @classmethod
    def run_model(
        cls, model: ModelProto | str | Path, inputs: Any, device: str = "CPU", **kwargs: Any
    ) -> tuple[Array, ...]:
        """Prepares and runs a model once."""
        with cls.prepare(model, device, **kwargs) as prepared:
            return prepared.run(inputs)

    @classmethod
    def run_node(
        cls,
        node: NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[tuple[Any, tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Array, ...]:
        """Runs one node. Weights, scales, axes and the like become constants by themselves.

        inputs: an array for each input that the node names, in its order or by name. opset_version: default 17.
        outputs_info is not needed. Raises InputError where an input is missing.
        """
        from onnx import helper

        opset = int(kwargs.pop("opset_version", 17))
        names = [name for name in node.input if name]
        _no_others(kwargs, "backend", "opset_version")
        given = _by_name(node, names, inputs)
        fixed = set(parameters(node)) - set(node.input[:1])
        ports = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in given.items()
        ]
        outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
        imports = [helper.make_opsetid("", opset)]
        if node.domain not in ("", "ai.onnx"):
            imports.append(helper.make_opsetid(node.domain, 1))
        graph = helper.make_graph([node], "node", ports, outputs)
        model = helper.make_model(graph, opset_imports=imports)
        constants = {name: array for name, array in given.items() if name in fixed}
        activations = [array for name, array in given.items() if name not in fixed]
        return cls.run_model(model, activations, device, constants=constants, **kwargs)


def _by_name(node: NodeProto, names: list[str], inputs: Any) -> dict[str, Array]:
    """Arrays for the inputs of a node. Raises InputError where there are too many or too few."""
    if isinstance(inputs, Mapping):
        given = {str(name): np.asarray(value) for name, value in cast("Mapping[Any, Any]", inputs).items()}
    else:
        values: list[Array] = [inputs] if isinstance(inputs, np.ndarray) else [np.asarray(v) for v in inputs]
        given = dict(zip(names, values, strict=False))
        if len(values) > len(names):
            given |= {f"(input {k})": value for k, value in enumerate(values[len(names) :], len(names))}
    if set(given) != set(names):
        raise InputError(
            f"the inputs given are {', '.join(given) or 'none'}, the {node.op_type} node has {', '.join(names)}",
            "give an array for each input, weights too: run_node(node, [x, w])",
        )
    return {name: given[name] for name in names}


def _no_others(kwargs: Mapping[str, Any], *known: str) -> None:
    """Raises InputError for keyword arguments that nothing reads, as misspelled ones."""
    for name in kwargs:
        if name not in known:
            text = f"the keyword arguments are {', '.join(known)}" if known else "leave it away"
            raise InputError(f"there is no keyword argument '{name}'", text)


def _with_constants(model: ModelProto, constants: Mapping[str, Array]) -> ModelProto:
    """A copy of the model in which these inputs are initializers."""
    if not constants:
        return model
    from onnx import ModelProto as Proto
    from onnx import numpy_helper

    inputs = {info.name for info in model.graph.input}
    for name in constants:
        if name not in inputs:
            raise InputError(f"the constant '{name}' is no input of the model", f"it has {', '.join(sorted(inputs))}")
    copy = Proto()
    copy.CopyFrom(model)
    del copy.graph.input[:]
    copy.graph.input.extend(info for info in model.graph.input if info.name not in constants)
    copy.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
    return copy


def _not_supposed(reason: str) -> Exception:
    """What ONNX's test runner takes as a skip, with its reason."""
    from onnx.backend.test.runner import BackendIsNotSupposedToImplementIt

    return BackendIsNotSupposedToImplementIt(reason)


prepare = OnnxinoBackend.prepare
run_model = OnnxinoBackend.run_model
run_node = OnnxinoBackend.run_node
supports_device = OnnxinoBackend.supports_device
is_compatible = OnnxinoBackend.is_compatible
