"""Verifies what a model says before anything runs it: the rules of docs/format.md beyond the flatbuffer's structure.

The C runtime refuses what is refused here, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import ModelError
from onnxino.model import DTYPES, Lifetime, lifetimes, root, shape_of, tensor_bytes
from onnxino.ops import OPERATORS
from onnxino.schema.model import ElementType, Model, Operator, Port, Tensor

MAX_DIMENSIONS = 6
MAX_ELEMENTS = 1 << 31
ALIGNMENT = 16
PORT_TYPES: dict[ElementType, tuple[ElementType, ...]] = {  # by the type of the device tensor
    ElementType.Int8: (ElementType.Int8, ElementType.UInt8, ElementType.Float32),
    ElementType.Int32: (ElementType.Int64,),
    ElementType.Float32: (ElementType.Float32,),
}


def verify_model(model: Model) -> None:
    """Raises ModelError for the first rule that the model breaks."""
    for index, tensor in enumerate(model.tensors):
        _within(f"tensor {index} '{tensor.name}'", lambda: _check_tensor(model, index, tensor))  # noqa: B023
    _check_ports(model)
    _check_operators(model)
    _check_plan(model)


def _within(where: str, check: Callable[[], None]) -> None:
    """Runs a check; its error is told with the place."""
    try:
        check()
    except ModelError as error:
        raise ModelError(f"{where}: {error.message}", error.hint) from error


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ModelError(message)


# ------------------------------------------------------------------------------------------------- tensors


def _check_tensor(model: Model, index: int, tensor: Tensor) -> None:
    shape = shape_of(tensor)
    _require(1 <= len(shape) <= MAX_DIMENSIONS, f"it has {len(shape)} dimensions, expected 1 to {MAX_DIMENSIONS}")
    _require(min(shape) >= 1, f"its shape is {list(shape)}, expected dimensions of 1 or more")
    _require(
        math.prod(shape) < MAX_ELEMENTS, f"its shape {list(shape)} has {math.prod(shape)} elements, expected < 2^31"
    )
    _check_perm(tensor.perm, len(shape))
    _require(tensor.type != ElementType.Unset, "its type is not set")
    _require(tensor.type in DTYPES, f"its type is {tensor.type.name}, which no device tensor has")
    _require(
        math.isfinite(tensor.scale) and tensor.scale > 0, f"its scale is {tensor.scale}, expected finite and above 0"
    )
    _require(tensor.alias_of >= -1, f"it is an alias of tensor {tensor.alias_of}")
    if tensor.data is not None:
        _require(tensor.alias_of < 0, "it is a constant and an alias")
        size = tensor_bytes(tensor)
        _require(len(tensor.data) == size, f"it holds {len(tensor.data)} bytes, its shape needs {size}")
    elif tensor.alias_of >= 0:
        _check_alias(model, index, tensor)
    if tensor.data is None:
        _check_area("it", tensor.offset, tensor_bytes(tensor), model.arena_size)


def _check_alias(model: Model, index: int, tensor: Tensor) -> None:
    _require(tensor.alias_of < index, f"it is an alias of tensor {tensor.alias_of}, expected an earlier one")
    target = model.tensors[tensor.alias_of]
    what = f"it is an alias of tensor {tensor.alias_of} '{target.name}', which"
    _require(target.alias_of < 0, f"{what} is an alias itself")
    _require(target.data is None, f"{what} is a constant")
    size, target_size = tensor_bytes(tensor), tensor_bytes(target)
    _require(size == target_size, f"{what} has {target_size} bytes, not {size}")
    _require(tensor.offset == target.offset, f"{what} lies at {target.offset}, not {tensor.offset}")


def _check_area(what: str, offset: int, size: int, arena_size: int) -> None:
    _require(offset % ALIGNMENT == 0, f"{what} lies at {offset}, expected a multiple of {ALIGNMENT}")
    _require(offset + size <= arena_size, f"{what} ends at byte {offset + size}, the arena has {arena_size}")


def _check_perm(perm: NDArray[np.uint8] | None, rank: int) -> None:
    if perm is not None:
        found = [int(p) for p in perm]
        _require(sorted(found) == list(range(rank)), f"its perm is {found}, expected an order of {rank} axes")


# ------------------------------------------------------------------------------------------------- ports


def _check_ports(model: Model) -> None:
    _require(bool(model.inputs), "the model has no inputs")
    _require(bool(model.outputs), "the model has no outputs")
    for port in model.inputs:
        _within(f"input '{port.name}'", lambda: _check_port(model, port, is_input=True))  # noqa: B023
    for port in model.outputs:
        _within(f"output '{port.name}'", lambda: _check_port(model, port, is_input=False))  # noqa: B023


def _names(types: Iterable[ElementType]) -> str:
    """Like 'Int8, UInt8 or Float32'."""
    *first, last = (kind.name for kind in types)
    return f"{', '.join(first)} or {last}" if first else last


def _check_port(model: Model, port: Port, *, is_input: bool) -> None:
    _require(port.tensor < len(model.tensors), f"it names tensor {port.tensor} of {len(model.tensors)}")
    tensor = model.tensors[port.tensor]
    _require(not is_input or tensor.data is None, f"its tensor '{tensor.name}' is a constant")
    _require(
        tensor.type in PORT_TYPES,
        f"its tensor '{tensor.name}' is {tensor.type.name}, expected {_names(PORT_TYPES)}",
    )
    expected = PORT_TYPES[tensor.type]
    _require(
        port.type in expected,
        f"its type is {port.type.name}, expected {_names(expected)} (its tensor '{tensor.name}' is {tensor.type.name})",
    )
    shape = [int(d) for d in port.shape]
    _require(len(shape) <= MAX_DIMENSIONS, f"it has {len(shape)} dimensions, expected up to {MAX_DIMENSIONS}")
    _require(all(d >= 1 or d == -1 for d in shape), f"its shape is {shape}, expected 1 or more, or -1")
    count, size = math.prod(max(d, 1) for d in shape), math.prod(shape_of(tensor))
    _require(count == size, f"its shape {shape} has {count} elements, its tensor '{tensor.name}' {size}")
    names = port.dimension_names
    _require(not names or len(names) == len(shape), f"it has {len(names or [])} dimension names, expected {len(shape)}")
    _check_perm(port.perm, len(shape))


# ------------------------------------------------------------------------------------------------- operators


def _check_operators(model: Model) -> None:
    written: set[int] = {i for i, t in enumerate(model.tensors) if t.data is not None}
    for port in model.inputs:
        target = root(model, port.tensor)
        _require(target not in written, f"input '{port.name}' is written twice: tensor '{model.tensors[target].name}'")
        written.add(target)
    for number, operator in enumerate(model.operators):
        kind = type(operator.kernel).__name__
        _within(
            f"operator {number} '{operator.name}' ({kind})",
            lambda: _check_operator(model, operator, written),  # noqa: B023
        )
    for port in model.outputs:
        _require(root(model, port.tensor) in written, f"output '{port.name}' is never written")


def _check_operator(model: Model, operator: Operator, written: set[int]) -> None:
    inputs, outputs = (_tensors(model, indices) for indices in (operator.inputs, operator.outputs))
    for index in operator.inputs:
        name = model.tensors[int(index)].name
        _require(root(model, int(index)) in written, f"it reads tensor '{name}', which nothing has written")
    for index in operator.outputs:
        target = root(model, int(index))
        _require(
            target not in written, f"it writes tensor '{model.tensors[int(index)].name}', which is written already"
        )
        written.add(target)
    spec = OPERATORS[type(operator.kernel)]
    spec.check(operator.kernel, inputs, outputs)
    need = spec.scratch(operator.kernel, inputs, outputs)
    _require(operator.scratch_size >= need, f"it has {operator.scratch_size} bytes of scratch, it needs {need}")
    if operator.scratch_size:
        _check_area("its scratch", operator.scratch_offset, operator.scratch_size, model.arena_size)


def _tensors(model: Model, indices: Sequence[Any] | NDArray[np.uint32]) -> list[Tensor]:
    for index in indices:
        _require(index < len(model.tensors), f"it names tensor {index} of {len(model.tensors)}")
    return [model.tensors[int(i)] for i in indices]


# ------------------------------------------------------------------------------------------------- memory plan


def _check_plan(model: Model) -> None:
    ends = [t.offset + tensor_bytes(t) for t in model.tensors if t.data is None]
    ends += [o.scratch_offset + o.scratch_size for o in model.operators if o.scratch_size]
    highest = max(ends, default=0)
    _require(
        model.arena_size == highest, f"the arena has {model.arena_size} bytes, its highest tensor ends at {highest}"
    )
    alive = sorted(lifetimes(model).items(), key=lambda item: item[1].first)
    for position, (index, life) in enumerate(alive):
        for other, other_life in alive[position + 1 :]:
            if other_life.first > life.last:
                break
            _check_pair(model, (index, life), (other, other_life))
        for number in range(max(0, life.first), min(life.last, len(model.operators) - 1) + 1):
            _check_scratch(model, number, index)


def _overlap(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two areas (offset, size) share bytes."""
    return a[0] < b[0] + b[1] and b[0] < a[0] + a[1]


def _area(model: Model, index: int) -> tuple[int, int]:
    tensor = model.tensors[index]
    return tensor.offset, tensor_bytes(tensor)


def _check_pair(model: Model, earlier: tuple[int, Lifetime], later: tuple[int, Lifetime]) -> None:
    (index, life), (other, other_life) = earlier, later
    if not _overlap(_area(model, index), _area(model, other)):
        return
    names = f"tensors '{model.tensors[index].name}' and '{model.tensors[other].name}'"
    safe = life.last == other_life.first and _safe(model, life.last, index, other)
    _require(safe, f"{names} share bytes of the arena while both are in use")


def _safe(model: Model, number: int, source: int, target: int) -> bool:
    """Whether operator `number` declares that its output `target` may overwrite its dying input `source`."""
    if not 0 <= number < len(model.operators):
        return False
    operator = model.operators[number]
    inputs, outputs = _tensors(model, operator.inputs), _tensors(model, operator.outputs)
    places = [place for place, index in enumerate(operator.inputs) if root(model, int(index)) == source]
    if not places or target not in [root(model, int(i)) for i in operator.outputs]:
        return False
    room = model.tensors[source].offset - model.tensors[target].offset
    spec = OPERATORS[type(operator.kernel)]
    offsets = [spec.safe_offset(operator.kernel, place, inputs, outputs) for place in places]
    return all(offset is not None and room >= offset for offset in offsets)


def _check_scratch(model: Model, number: int, index: int) -> None:
    operator = model.operators[number]
    area = (operator.scratch_offset, operator.scratch_size)
    _require(
        not operator.scratch_size or not _overlap(area, _area(model, index)),
        f"the scratch of operator {number} '{operator.name}' shares bytes with tensor '{model.tensors[index].name}'",
    )
