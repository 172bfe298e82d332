"""Builds the model file's dataclasses from the fused graph: tensors, aliases, operators, ports, memory plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnxino.errors import ConvertError
from onnxino.model import lifetimes, root, tensor_bytes
from onnxino.ops import OPERATORS
from onnxino.schema.model import ElementType, Exactness, Metadata, Model, Operator, Port, Provenance, Tensor
from onnxino_converter.ir import Graph, Node, PortInfo, Value
from onnxino_converter.lower import lower_node
from onnxino_converter.plan import Buffer, plan_memory

ARENA_MAX = 2**32 - 1  # its size and offsets are 32 bits in the file
_TYPES = {
    "int8": ElementType.Int8,
    "uint8": ElementType.UInt8,
    "float32": ElementType.Float32,
    "int64": ElementType.Int64,
}


def _device_type(value: Value) -> ElementType:
    """8-bit values are int8 on the device; indices (int64 in ONNX) are int32 there."""
    if value.dtype == np.float32:
        return ElementType.Float32
    return ElementType.Int8 if value.dtype.itemsize == 1 else ElementType.Int32


@dataclass
class _Builder:
    tensors: list[Tensor] = field(default_factory=list[Tensor])
    index: dict[Value, int] = field(default_factory=dict[Value, int])

    def add(self, value: Value, alias_of: int = -1) -> int:
        """The tensor's index; made when first seen."""
        if value in self.index:
            return self.index[value]
        q = value.quantization
        unsigned = q.unsigned if q else value.dtype == np.uint8
        data = None if value.constant is None else np.ascontiguousarray(value.constant).view(np.uint8).ravel()
        perm = None if value.perm in (None, tuple(range(len(value.shape)))) else np.asarray(value.perm, np.uint8)
        tensor = Tensor(
            name=value.name,
            shape=np.asarray(value.shape or (1,), np.int32),
            perm=perm,
            type=_device_type(value),
            onnx_type=ElementType.UInt8 if unsigned else _device_type(value),
            scale=q.scale if q else 1.0,
            zero_point=q.device_zero_point if q else 0,
            alias_of=alias_of,
            data=data,
        )
        self.tensors.append(tensor)
        self.index[value] = len(self.tensors) - 1
        return self.index[value]

    def alias(self, value: Value, of: Value) -> None:
        target = self.index[of]
        known = self.tensors[target].alias_of
        self.add(value, known if known >= 0 else target)


def build_model(graph: Graph, name: str, metadata: Metadata | None, provenance: Provenance) -> Model:
    """The complete model with its memory plan."""
    builder = _Builder()
    for port in (*graph.inputs, *graph.outputs):
        _check_port(port)
    inputs = [_port(port, builder.add(port.value)) for port in graph.inputs]
    operators: list[Operator] = []
    for node in graph.nodes:
        if node.op == "Reshape":
            builder.alias(node.output, node.input(0))
        else:
            operators.append(_operator(builder, node))
    outputs = [_port(port, builder.add(port.value)) for port in graph.outputs]
    model = Model(
        name=name,
        tensors=builder.tensors,
        operators=operators,
        inputs=inputs,
        outputs=outputs,
        arena_size=0,
        metadata=metadata,
        provenance=provenance,
    )
    assign_memory(model)
    return model


def _operator(builder: _Builder, node: Node) -> Operator:
    lowered = lower_node(node)
    inputs = [builder.add(value) for value in node.present]
    return Operator(
        name=node.name or node.output.name,
        kernel=lowered.kernel,
        inputs=np.asarray(inputs, np.uint32),
        outputs=np.asarray([builder.add(value) for value in node.outputs], np.uint32),
        scratch_offset=0,
        scratch_size=0,
        exactness=Exactness(lowered.exactness),
    )


def _check_port(port: PortInfo) -> None:
    """Raises RuntimeError where a pass has lost the scale of a float port: every value would be wrong, silently."""
    q, found = port.quantization, port.value.quantization
    if port.dtype != np.float32 or (port.value.dtype == np.float32 and q is None):
        return
    if q is None or found is None or not found.same_mapping(q):
        raise RuntimeError(f"internal error: port '{port.name}' was resolved as {q}, its tensor says {found}")


def _port(port: PortInfo, tensor: int) -> Port:
    symbolic = any(d == -1 for d in port.shape)
    identity = port.perm is None or port.perm == tuple(range(len(port.perm)))
    return Port(
        name=port.name,
        tensor=tensor,
        type=_TYPES[str(port.dtype)],
        shape=np.asarray(port.shape or (1,), np.int32),
        dimension_names=[n if d == -1 else "" for n, d in zip(port.dimension_names, port.shape, strict=True)]
        if symbolic
        else None,
        perm=None if identity else np.asarray(port.perm, np.uint8),
    )


def assign_memory(model: Model) -> None:
    """Offsets of tensors and scratch areas, and the arena size, from what the operators state about themselves."""
    lives = lifetimes(model)
    roots = sorted(lives)
    buffers = [
        Buffer(model.tensors[i].name, tensor_bytes(model.tensors[i]), lives[i].first, lives[i].last) for i in roots
    ]
    position = {index: place for place, index in enumerate(roots)}
    over: dict[tuple[int, int], int] = {}
    scratches: list[tuple[Operator, int]] = []
    for number, operator in enumerate(model.operators):
        for (target, source), distance in _overlaps(model, operator).items():
            if lives[source].last == number and lives[target].first == number:
                over[position[target], position[source]] = distance
        operator.scratch_size = _scratch(model, operator)
        if operator.scratch_size:
            scratches.append((operator, len(buffers)))
            buffers.append(Buffer(f"scratch of {operator.name}", operator.scratch_size, number, number))
    plan = plan_memory(buffers, over)
    if plan.arena_size > ARENA_MAX:
        largest = ", ".join(f"'{b.name}' {b.size:,}" for b in sorted(buffers, key=lambda b: -b.size)[:3])
        raise ConvertError(
            f"running the model takes {plan.arena_size:,} bytes of RAM, a model file can tell {ARENA_MAX:,} at most; "
            f"largest tensors in bytes: {largest}",
            "use a smaller input, fewer channels in the first layers, or a larger stride",
        )
    for index in roots:
        model.tensors[index].offset = buffers[position[index]].offset
    for operator, place in scratches:
        operator.scratch_offset = buffers[place].offset
    for index, tensor in enumerate(model.tensors):
        if tensor.alias_of >= 0:
            tensor.offset = model.tensors[root(model, index)].offset
    model.arena_size = plan.arena_size


def _operands(model: Model, operator: Operator) -> tuple[list[Tensor], list[Tensor]]:
    return [model.tensors[int(i)] for i in operator.inputs], [model.tensors[int(i)] for i in operator.outputs]


def _scratch(model: Model, operator: Operator) -> int:
    inputs, outputs = _operands(model, operator)
    return OPERATORS[type(operator.kernel)].scratch(operator.kernel, inputs, outputs)


def _overlaps(model: Model, operator: Operator) -> dict[tuple[int, int], int]:
    """(output root, input root) -> safe distance, where the operator declares one at every place that it reads."""
    inputs, outputs = _operands(model, operator)
    spec: Any = OPERATORS[type(operator.kernel)]
    found: dict[tuple[int, int], int] = {}
    never: set[tuple[int, int]] = set()
    for place, index in enumerate(operator.inputs):
        if model.tensors[int(index)].data is not None:
            continue
        key = (root(model, int(operator.outputs[0])), root(model, int(index)))
        distance = spec.safe_offset(operator.kernel, place, inputs, outputs)
        if distance is None:
            never.add(key)
        else:
            found[key] = max(found.get(key, 0), int(distance))
    return {key: distance for key, distance in found.items() if key not in never}
