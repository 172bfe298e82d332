"""An ONNX classifier as a trainable module, and back."""

# pyright: reportUnknownMemberType=false
# (PyTorch annotates only a part of what it has.)

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from onnxino.errors import ConvertError
from onnxino_tools.train.graph import Graph, describe, read_graph
from onnxino_tools.train.normalize import Normalization, moments, normalizable
from onnxino_tools.train.operators import OPERATORS, Node, Run, Step
from onnxino_tools.train.operators.elementwise import softmax_axis

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_PROBE_BATCH = 3
_BATCH = 64


@dataclass(frozen=True)
class _Link:
    """One node, ready to run. `finished`: tensors that nothing reads after it."""

    proto: NodeProto
    step: Step
    inputs: list[str]
    outputs: list[str]
    finished: list[str]


class OnnxModule(nn.Module):
    """A network that computes what its ONNX graph does; made by to_module().

    Parameters and buffers have the names of the initializers (named_parameters(), state_dict()). In training mode
    batch normalizations take the statistics of the batch and update their own, and Dropout drops.
    input_shape: with None for open dimensions, the first axis counts samples.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._graph = graph
        self.input_shape = graph.input_shape
        # By hand: register_parameter refuses the dots that initializers' names have.
        for name, value in graph.constants.items():
            if value.dtype.kind not in "fiub":
                continue
            tensor = torch.from_numpy(np.array(value))
            if name in graph.trained:
                self._parameters[name] = nn.Parameter(tensor)
            else:
                self._buffers[name] = tensor
                if name not in graph.statistics:
                    self._non_persistent_buffers_set.add(name)
        self._links = _links(graph)
        self._logits = _logits(graph)
        self._normalizations: dict[str, Normalization] = {}  # by the tensor they normalize
        self._tensors = {graph.input} | {name for link in self._links for name in link.outputs}

    @property
    def has_softmax(self) -> bool:
        """Whether the graph ends in Softmax or LogSoftmax, which logits() leaves out."""
        return self._logits != self._graph.output

    @property
    def normalized(self) -> bool:
        """Whether the graph has a BatchNormalization, or normalize() gave it some."""
        return bool(self._normalizations) or any(link.proto.op_type == "BatchNormalization" for link in self._links)

    def normalize(self, images: Tensor | NDArray[np.float32]) -> list[str]:
        """Puts a batch normalization behind each convolution that has a constant weight and bias, so that a network
        whose normalizations were folded trains like one that has them; to_onnx() folds them into the graph as it was.

        images: float32 [N, ...], some hundred training images, whose statistics they begin with; the function stays.
        The names of the normalized tensors. Convolutions without bias, with one that others use, or whose output is the
        network's stay as they are; a second call does nothing.
        """
        found = {} if self._normalizations else normalizable(self._graph)
        device = next(self.parameters()).device
        parts = torch.split(torch.as_tensor(images), _BATCH)
        was_training = self.training
        self.eval()
        with torch.no_grad():
            statistics = moments(lambda some: self.tensors(some.to(device), list(found)), parts)
        self.train(was_training)
        for name, normalization in found.items():
            initial = normalization.initial(*statistics[name])
            for key, value in initial.items():
                value = value.to(device)
                if key in (normalization.scale, normalization.shift):
                    self._parameters[key] = nn.Parameter(value)
                else:
                    self._buffers[key] = value
        self._normalizations = self._normalizations or found
        return list(found)

    def forward(self, images: Tensor) -> Tensor:
        """The graph's output for float32 [N, ...], for any N even where the model was written for one."""
        return self.tensors(images, [self._graph.output])[self._graph.output]

    def logits(self, images: Tensor) -> Tensor:
        """float32 [N, classes]: the output before a closing Softmax, from which training computes its losses."""
        return self.tensors(images, [self._logits])[self._logits]

    def with_tensors(self, images: Tensor, names: Collection[str]) -> tuple[Tensor, dict[str, Tensor]]:
        """The logits, and tensors of the graph by name."""
        found = self.tensors(images, [*names, self._logits])
        return found[self._logits], found

    def tensors(self, images: Tensor, names: Collection[str]) -> dict[str, Tensor]:
        """Tensors of the graph by name. Raises ConvertError where a node fails, KeyError for an unknown name."""
        for name in names:
            if name not in self._tensors:
                raise KeyError(name)
        declared = self.input_shape[0] or 1
        run = Run(int(images.shape[0]), declared, self.training)
        wanted = set(names)
        missing = wanted - {self._graph.input}
        values: dict[str, Any] = {"": None, **self._parameters, **self._buffers, self._graph.input: images}
        for link in self._links:
            if not missing:
                break
            try:
                result = link.step([values[name] for name in link.inputs], run)
            except (RuntimeError, ValueError, IndexError, TypeError, KeyError) as error:
                raise _failed(link.proto, error) from error
            normalization = self._normalizations.get(link.outputs[0])
            if normalization is not None and isinstance(result, Tensor):
                result = normalization.step(result, values, self.training)
            values.update(zip(link.outputs, [result] if isinstance(result, Tensor) else result, strict=False))
            missing.difference_update(link.outputs)
            for name in link.finished:
                if name not in wanted:
                    del values[name]
        return {name: values[name] for name in names}

    def tensor_names(self) -> list[str]:
        """Names of the tensors that tensors() knows, in the order in which they are computed."""
        return [name for link in self._links for name in link.outputs if name]

    def to_onnx(self) -> ModelProto:
        """The same graph with the values of today; what is not trained stays byte for byte."""
        from onnx import ModelProto as Proto
        from onnx import numpy_helper

        result = Proto()
        result.CopyFrom(self._graph.model)
        values = self._values()
        for tensor in result.graph.initializer:
            if tensor.name in values:
                tensor.CopyFrom(numpy_helper.from_array(values[tensor.name], tensor.name))
        for node in result.graph.node:
            if node.op_type == "Constant" and node.output[0] in values:
                del node.attribute[:]
                new = node.attribute.add(name="value", type=4)  # AttributeProto.TENSOR
                new.t.CopyFrom(numpy_helper.from_array(values[node.output[0]], node.output[0]))
        return result

    def _values(self) -> dict[str, Any]:
        state: Mapping[str, Tensor] = self.state_dict()
        values = {name: np.ascontiguousarray(value.detach().cpu().numpy()) for name, value in state.items()}
        for normalization in self._normalizations.values():
            normalization.fold(values)
        return values

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        # torch takes what is before a dot for the name of a submodule, and would call these keys unexpected.
        known = {prefix + name for name in (*self._parameters, *self._buffers)}
        own = OrderedDict((key, value) for key, value in state_dict.items() if key in known)
        unexpected_keys += [key for key in state_dict if key.startswith(prefix) and key not in known]
        super()._load_from_state_dict(own, prefix, local_metadata, strict, missing_keys, [], error_msgs)


def to_module(model: ModelProto | Path | str | bytes) -> OnnxModule:
    """A float classifier of one input float32 [N, ...] and one output, as a module in evaluation mode. The model stays
    as it is.

    Trained: weights and biases of Conv, ConvTranspose, Gemm and MatMul, scales and shifts of BatchNormalization, slopes
    of PRelu, and constants of more than one element that Add, Sub and Mul combine with what comes from such a layer.
    Raises ConvertError, naming node and operator, for what cannot be trained, and for a model that mixes the samples of
    a batch.
    """
    graph = read_graph(model)
    _check_operators(graph)
    module = OnnxModule(graph).eval()
    if not graph.trained:
        raise ConvertError("the model has no weights that could be trained", "give a model with Conv, Gemm or MatMul")
    _check_batch(module)
    return module


def _check_operators(graph: Graph) -> None:
    unknown = [node for node in graph.nodes if node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx")]
    if not unknown:
        return
    quantized = any("Linear" in node.op_type or "Integer" in node.op_type for node in unknown)
    more = f" (and {len(unknown) - 1} more nodes: {_kinds(unknown[1:])})" if len(unknown) > 1 else ""
    raise ConvertError(
        f"{describe(unknown[0])}: the operator cannot be trained{more}",
        "the model is quantized already: give the float model that it was made from"
        if quantized
        else "change it where the model is made; docs/training.md lists what can be trained",
    )


def _kinds(nodes: list[NodeProto]) -> str:
    return ", ".join(sorted({node.op_type for node in nodes}))


def _links(graph: Graph) -> list[_Link]:
    nodes = graph.nodes
    last: dict[str, int] = {}
    for k, node in enumerate(nodes):
        last.update(dict.fromkeys((*node.input, *node.output), k))
    links: list[_Link] = []
    for k, node in enumerate(nodes):
        varies = any(name in graph.varying for name in node.input)
        step = OPERATORS[node.op_type](Node(node, graph.opset, varies))
        names = sorted({*node.input, *node.output})
        finished = [name for name in names if name and last[name] == k and name in graph.varying]
        links.append(_Link(node, step, list(node.input), list(node.output), finished))
    return links


def _logits(graph: Graph) -> str:
    """The tensor before a closing Softmax or LogSoftmax over the classes; else the graph's output."""
    makers = {name: node for node in graph.nodes for name in node.output}
    name = graph.output
    while name in makers and makers[name].op_type == "Identity":
        name = makers[name].input[0]
    node = makers.get(name)
    if node is None or node.op_type not in ("Softmax", "LogSoftmax"):
        return graph.output
    return node.input[0] if softmax_axis(Node(node, graph.opset, True)) in (1, -1) else graph.output


def _failed(node: NodeProto, error: Exception) -> ConvertError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ConvertError(
        f"{describe(node)}: cannot be computed: {reason}",
        "the input has another shape than the model takes, or the model is not valid: onnxino inspect MODEL.onnx",
    )


def _check_batch(module: OnnxModule) -> None:
    """Computes a few samples together and one by one: a model whose shapes hold a batch of one may mix them."""
    shape = module.input_shape[1:]
    if any(size is None for size in shape):
        return
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((_PROBE_BATCH, *[int(size or 1) for size in shape]), generator=generator)
    with torch.no_grad():
        apart = torch.cat([module(image[None]) for image in images])
        try:
            together = module(images)
            found = f"its output is {list(together.shape)}"
        except ConvertError as error:
            together, found = apart[:0], error.message
    scale = max(1.0, float(apart.abs().max()))
    if apart.shape == together.shape and bool(((together - apart).abs() <= 1e-3 * scale).all()):
        return
    raise ConvertError(
        f"the model gives another result for {_PROBE_BATCH} samples together than for each alone ({found})",
        "export it with an open batch dimension; samples are trained many at once",
    )
