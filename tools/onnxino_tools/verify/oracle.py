"""ONNX Runtime as the oracle: its outputs, and what each of its kernels computed inside.

ONNX Runtime rewrites a quantized graph before it runs it. It can save the rewritten graph; run again with every tensor
as an output and all rewriting off, that graph shows which operators run on integers and which in float32, and the bytes
between them.
"""

from __future__ import annotations

import importlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxino.errors import MissingExtraError, OnnxinoError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto, NodeProto

PRECISION = "session.x64quantprecision"
# Operators that pass bytes on: looked through when the operator that computed a tensor is searched.
MOVES = {"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "ReorderInput", "ReorderOutput"}


@dataclass(frozen=True)
class Seen:
    """A tensor inside ONNX Runtime: its name in the rewritten graph, and what computed it.

    `channels_last` says that its axes are those of the ONNX tensor with axis 1 moved to the end; `integer` is False
    where the value is a float32 result that was quantized afterwards.
    """

    name: str
    channels_last: bool
    integer: bool
    computed_by: str


def import_onnxruntime() -> Any:
    """Returns the module onnxruntime, with its warnings off.

    Raises MissingExtraError; OnnxinoError where it is installed but cannot be imported.
    """
    try:
        onnxruntime: Any = importlib.import_module("onnxruntime")  # untyped
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "onnxruntime":
            raise MissingExtraError("comparing with ONNX Runtime", "verify") from error
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, KeyboardInterrupt):  # native modules make an ImportError of it
                raise cause from None
            cause = cause.__cause__ or cause.__context__
        raise OnnxinoError(f"onnxruntime is installed, but cannot be imported: {error}") from error
    onnxruntime.set_default_logger_severity(4)
    return onnxruntime


def _session(model: ModelProto, precise: bool, optimize: bool = True, save: Path | None = None) -> Any:
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1  # the models are small, and waiting threads spin
    if precise:
        options.add_session_config_entry(PRECISION, "1")
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if save is not None:
        options.optimized_model_filepath = str(save)
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def open_as_written(model: ModelProto) -> Any:
    """A session of a model in which nothing is optimized. Raises what ONNX Runtime does."""
    return _session(model, precise=False, optimize=False)


def open_optimized(model: ModelProto) -> Any:
    """A session of a model as ONNX Runtime runs it. Raises what ONNX Runtime does."""
    return _session(model, precise=True)


def host_saturates() -> bool:
    """Whether ONNX Runtime's u8*s8 kernels saturate on this machine (x86-64 with AVX2 but without VNNI).

    Asks it for 255*127 + 255*127 in each pair of products: 64,770, or 32,767 where they saturate.
    """
    import numpy as np
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["y"])],
        "probe",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, [4, 64])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [4, 16])],
        [helper.make_tensor("b", TensorProto.INT8, [64, 16], [127] * (64 * 16))],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    seen = _session(model, precise=False).run(None, {"a": np.full((4, 64), 255, np.uint8)})[0]
    return bool((seen != 255 * 127 * 64).any())


def _named(model: ModelProto) -> ModelProto:
    """A copy in which every node has a name of its own, which ONNX Runtime keeps through its rewriting."""
    from onnx import ModelProto as Proto

    copy = Proto()
    copy.CopyFrom(model)
    for index, node in enumerate(copy.graph.node):
        node.name = f"n{index}.{node.op_type}"
    return copy


def _unshared(model: ModelProto) -> ModelProto:
    """A copy in which no two nodes share an initializer: with the option, ONNX Runtime 1.31.1 fails on shared ones."""
    from onnx import ModelProto as Proto
    from onnx import TensorProto

    copy = Proto()
    copy.CopyFrom(model)
    initializers = {t.name: t for t in copy.graph.initializer}
    uses: dict[str, int] = {}
    for node in copy.graph.node:
        for k, name in enumerate(node.input):
            if name in initializers:
                uses[name] = uses.get(name, 0) + 1
                if uses[name] > 1:
                    tensor = TensorProto()
                    tensor.CopyFrom(initializers[name])
                    tensor.name = node.input[k] = f"{name}__use{uses[name]}"
                    copy.graph.initializer.append(tensor)
    return copy


class Oracle:
    """ONNX Runtime's view of one model.

    `precision` says how the session was made: "1" (option set), "not needed" (ONNX Runtime fails on the option, and
    this machine's kernels do not saturate), or "1, initializers unshared" (ONNX Runtime fails on the option, so each
    initializer was copied for each of its uses).
    Raises MissingExtraError without onnxruntime, OnnxinoError when ONNX Runtime refuses the model.
    """

    def __init__(self, model: ModelProto) -> None:
        self.model = _named(model)
        self._turns = _has_odd_transposes(self.model.graph)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rewritten.onnx"
            self.session, self.precision = self._open(path)
            self.rewritten = load(path)
        self._inside = self._expose()
        self.input_names: list[str] = [i.name for i in self.session.get_inputs()]
        self.output_names: list[str] = [o.name for o in self.session.get_outputs()]

    def _open(self, save: Path) -> tuple[Any, str]:
        try:
            return _session(self.model, precise=True, save=save), "1"
        except MissingExtraError:
            raise
        except Exception as first:
            try:
                if not host_saturates():
                    return _session(self.model, precise=False, save=save), "not needed"
                return _session(_unshared(self.model), precise=True, save=save), "1, initializers unshared"
            except Exception:
                reason = str(first).strip().splitlines()[-1]
                raise OnnxinoError(f"ONNX Runtime refuses this model: {reason}") from first

    def _expose(self) -> Any:
        """A session of the rewritten graph, as it is, with the output of every node."""
        from onnx import ModelProto as Proto
        from onnx import ValueInfoProto

        exposed = Proto()
        exposed.CopyFrom(self.rewritten)
        known = {o.name for o in exposed.graph.output}
        for node in exposed.graph.node:
            for name in node.output:
                if name and name not in known:
                    exposed.graph.output.append(ValueInfoProto(name=name))
        return _session(exposed, precise=False, optimize=False)

    def run(self, feeds: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The outputs of the model as ONNX Runtime computes them, in the order of `output_names`.

        Raises OnnxinoError where its rewriting made a graph that it cannot run.
        """
        try:
            return list(self.session.run(None, feeds))
        except Exception as error:  # ONNX Runtime's own exceptions have no common base
            reason = str(error).strip().splitlines()[-1]
            raise OnnxinoError(f"ONNX Runtime loads this model, but cannot run it: {reason}") from error

    def run_inside(self, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Every tensor of the rewritten graph by its name there."""
        names = [o.name for o in self._inside.get_outputs()]
        return dict(zip(names, self._inside.run(None, feeds), strict=True))

    def float_operators(self) -> list[str]:
        """The operator types that run in float32 in the rewritten graph, in order."""
        quantizers = {"QuantizeLinear", "DequantizeLinear"}
        floats = _float_tensors(self.rewritten.graph)
        return [
            node.op_type
            for node in self.rewritten.graph.node
            if node.op_type not in quantizers | MOVES and any(name in floats for name in node.input)
        ]

    def locate(self) -> dict[str, Seen]:
        """Where each quantized tensor of the original graph, by its ONNX name, is found in the rewritten one."""
        return {
            tensor: seen
            for tensor, names in _computing_nodes(self.model.graph).items()
            if (seen := self._find(tensor, names)) is not None
        }

    def float_tensor(self, tensor: str) -> Seen | None:
        """The float32 (or index) tensor of this ONNX name, where the rewritten graph still computes it."""
        for node in self.rewritten.graph.node:
            if tensor in node.output and node.op_type not in {"QuantizeLinear", "MaxPool"}:
                return Seen(tensor, _attribute(node, "channels_last") == 1, False, node.op_type)
        return None

    def _find(self, tensor: str, names: list[str]) -> Seen | None:
        """`names`: the QuantizeLinear first (if any), then the operators between it and the quantized inputs."""
        by_name: dict[str, list[NodeProto]] = {}
        producers: dict[str, NodeProto] = {}
        for node in self.rewritten.graph.node:
            by_name.setdefault(re.split(r"_token_\d+$|/", node.name)[0], []).append(node)
            producers.update(dict.fromkeys(node.output, node))
        for name in names:
            for node in by_name.get(name, []):
                if node.op_type == "DequantizeLinear" or (node.op_type != "QuantizeLinear" and not _is_integer(node)):
                    continue
                output = node.output[0]
                moved = output == name or _attribute(node, "channels_last") == 1
                back = producers.get(tensor)
                if back is not None and back.op_type == "Transpose" and back.input[0] == output:
                    output, moved = tensor, False  # moved, and turned back under its own name
                elif output == name and _attribute(node, "channels_last") != 1 and self._turns:
                    return None  # moved past one of the model's own Transposes: its axes are unknown
                source = node
                if node.op_type == "QuantizeLinear":
                    while source.input[0] in producers and (source is node or source.op_type in MOVES):
                        source = producers[source.input[0]]
                return Seen(output, moved, node.op_type != "QuantizeLinear", source.op_type)
        return None


def load(path: Path) -> ModelProto:
    """Reads an ONNX file."""
    import onnx

    model: ModelProto = onnx.load(str(path))  # pyright: ignore[reportUnknownMemberType]
    return model


def _has_odd_transposes(graph: GraphProto) -> bool:
    """Whether the model has Transposes that do more than bring channels to the end or back."""
    perms = [tuple(a.ints) for node in graph.node if node.op_type == "Transpose" for a in node.attribute]
    return any(perm not in ((0, 2, 3, 1), (0, 3, 1, 2)) for perm in perms)


def _attribute(node: NodeProto, name: str) -> int:
    return next((a.i for a in node.attribute if a.name == name), 0)


def _is_integer(node: NodeProto) -> bool:
    return node.op_type.startswith("QLinear") or node.op_type in {"QGemm", "QLinearMatMul", "MaxPool", "Concat"}


def _float_tensors(graph: GraphProto) -> set[str]:
    """Names of tensors that hold float32 activations: results of DequantizeLinear and of operators on them."""
    from onnx import TensorProto

    names = {i.name for i in graph.input if i.type.tensor_type.elem_type == TensorProto.FLOAT}
    constants = {t.name for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "DequantizeLinear":
            if node.input[0] not in constants:
                names.update(node.output)
        elif node.op_type != "QuantizeLinear" and any(i in names for i in node.input):
            names.update(node.output)
    return names


def _computing_nodes(graph: GraphProto) -> dict[str, list[str]]:
    """For each quantized activation: names of the nodes that compute it from quantized ones, its quantizer first."""
    producers = {name: node for node in graph.node for name in node.output}
    result: dict[str, list[str]] = {}
    for node in graph.node:
        if node.op_type == "QuantizeLinear":
            names, pending = [node.name], [node.input[0]]
            while pending:
                source = producers.get(pending.pop())
                if source is not None and source.op_type not in {"DequantizeLinear", "QuantizeLinear"}:
                    names.append(source.name)
                    pending += source.input
            result[node.output[0]] = names
        elif _is_integer(node):
            result[node.output[0]] = [node.name]
    return result
