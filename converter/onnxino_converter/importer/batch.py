"""Follows a symbolic batch through the graph, and refuses operators that join samples.

A model with a symbolic batch is converted for one sample, and a session runs the samples one by one. That is right only
where no value of one sample depends on another: not for a Softmax over the batch, a mean of it, a Gather in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from onnxino.errors import ConvertError
from onnxino_converter.importer.context import RawNode
from onnxino_converter.ir import PortInfo, Shape, Value

_NO_END = 2**31 - 1  # of a Slice: exporters give this or more for "until the end"


@dataclass(frozen=True)
class Batch:
    """Dimension `axis` of a value is `before` * batch * what is left of its size for one sample."""

    axis: int
    before: int = 1


class Joined(Exception):
    """An operator joins samples; the text says how. No error by itself: the caller makes one of it."""


@dataclass
class Tracked:
    """Where the batch is, by ONNX tensor name. What is not listed does not depend on it, or can run for one only."""

    places: dict[str, Batch] = field(default_factory=dict[str, Batch])
    sizes: set[str] = field(default_factory=set[str])  # constants that were computed from a shape with the batch in it
    hint: str = ""

    def start(self, ports: list[PortInfo]) -> None:
        """The graph's inputs. Their first dimension alone may be symbolic."""
        free = [port for port in ports if port.shape[0] == -1]
        self.places = {port.name: Batch(0) for port in free}
        if free:
            self.hint = _hint(free)

    def follow(self, raw: RawNode, names: list[str], values: dict[str, Value]) -> None:
        """After a node's import; names: of its inputs. Raises ConvertError where it joins samples."""
        if not self.places:
            return
        batches = [self.places.get(name) for name in names]
        made = next((values[name] for name in raw.outputs if name in values), None)
        if made is None:
            return
        computed = [name in self.sizes for name in names]
        if made.constant is not None:
            if any(computed) or any(batches):
                self.sizes.update(raw.outputs)
            return
        if not any(batches):
            return
        step = Step(raw, batches, computed, made.shape)
        try:
            after = _RULES.get(raw.op, _elementwise)(step)
        except Joined as joined:
            raise raw.refuse(
                f"{joined}: with a symbolic batch that joins samples, and the device runs them one by one",
                "operators that keep the samples apart",
                self.hint,
            ) from None
        if after is not None:
            self.places.update({name: after for name in raw.outputs if name})

    def check_output(self, port: PortInfo) -> None:
        """Raises ConvertError for an output of which the batch is not the outermost dimension."""
        batch = self.places.get(port.name)
        if batch is not None and (batch.axis or batch.before > 1):
            raise ConvertError(
                f"graph output '{port.name}' {list(port.value.shape)}: its symbolic batch lies in dimension "
                f"{batch.axis}; supported: the first",
                f"put a Transpose behind it that brings the batch to the front; or {self.hint}",
            )


def _hint(ports: list[PortInfo]) -> str:
    import shlex

    names = list(dict.fromkeys(port.dimension_names[0] for port in ports))
    tool = "python -m onnxruntime.tools.make_dynamic_shape_fixed"
    if len(names) == 1 and names[0]:
        given = f"--dim_param {shlex.quote(names[0])} --dim_value 1"
    else:
        sizes = ",".join(str(max(1, d)) for d in ports[0].shape)
        given = f"--input_name {shlex.quote(ports[0].name)} --input_shape {sizes}"
    return f"for one sample at a time, fix the batch: {tool} {given} model.onnx fixed.onnx"


@dataclass(frozen=True)
class Step:
    """One node: where the batch is in its inputs, which of them hold sizes, and its first output's shape."""

    raw: RawNode
    batches: list[Batch | None]
    sizes: list[bool]
    made: Shape

    def shape(self, index: int = 0) -> Shape:
        return self.raw.input(index).shape

    def batch(self, index: int = 0) -> Batch | None:
        return self.batches[index] if index < len(self.batches) else None

    def computed(self, index: int) -> bool:
        return index < len(self.sizes) and self.sizes[index]

    def axis(self, name: str, default: int) -> int:
        return self.raw.int(name, default) % max(1, len(self.shape()))


def _elementwise(step: Step) -> Batch | None:
    """Every input broadcasts to the output."""
    found = _together([_aligned(step, index, step.made) for index in range(len(step.batches))])
    if found is None or step.made[found.axis] == 1:
        return found
    back = found.axis - len(step.made)
    others = [v for v, b in zip(step.raw.inputs, step.batches, strict=True) if v is not None and b is None]
    # beside a fixed size of the same dimension it can run for one batch only
    return None if any(len(v.shape) >= -back and v.shape[back] > 1 for v in others) else found


def _aligned(step: Step, index: int, made: Shape) -> Batch | None:
    batch = step.batch(index)
    if batch is None:
        return None
    axis = batch.axis + len(made) - len(step.shape(index))
    if axis < 0 or made[axis] != step.shape(index)[batch.axis]:
        raise Joined(f"it broadcasts the batch to {list(made)}")
    return Batch(axis, batch.before)


def _together(places: list[Batch | None]) -> Batch | None:
    known = list(dict.fromkeys(place for place in places if place is not None))
    if len(known) > 1:
        raise Joined(f"the batch lies in dimensions {sorted(place.axis for place in known)} of its inputs")
    return known[0] if known else None


def _over(step: Step, axes: set[int], what: str) -> Batch | None:
    """The batch of the first input, where it is in none of the axes."""
    batch = step.batch()
    if batch is not None and batch.axis in axes:
        raise Joined(f"{what} along dimension {batch.axis}, the batch of '{step.raw.input(0).name}'")
    return batch


def _softmax(step: Step) -> Batch | None:
    old = step.raw.opset < 13 if not step.raw.domain else step.raw.int("opset", 13) < 13
    axis = step.axis("axis", 1 if old else -1)
    return _over(step, set(range(axis, len(step.shape()))) if old else {axis}, "it normalizes")


def _layer_norm(step: Step) -> Batch | None:
    return _over(step, set(range(step.axis("axis", -1), len(step.shape()))), "it normalizes")


def _axes(step: Step, index: int) -> list[int] | None:
    """Normalized axes, given as attribute or as input."""
    if "axes" in step.raw.attributes:
        given = step.raw.ints("axes")
    else:
        array = step.raw.optional_constant(index, "axes")
        if array is None or not array.size:
            return None
        given = [int(v) for v in array.ravel()]
    return given


def _reduce(step: Step) -> Batch | None:
    rank = len(step.shape())
    if step.raw.op.startswith("Arg"):
        axes = {step.axis("axis", 0)}
    else:
        given = _axes(step, 1)
        if given is None and step.raw.int("noop_with_empty_axes", 0):
            return step.batch()
        axes = set(range(rank)) if given is None else {a % rank for a in given}
    batch = _over(step, axes, "it reduces")
    return batch if batch is None or step.raw.int("keepdims", 1) else _without(batch, axes)


def _without(batch: Batch, axes: set[int]) -> Batch:
    return Batch(batch.axis - sum(axis < batch.axis for axis in axes), batch.before)


def _image(step: Step) -> Batch | None:
    """Convolutions and poolings: [N, C, ...]."""
    batch = step.batch()
    if batch is None or batch.axis == 0:
        return batch
    if batch.axis >= 2:
        raise Joined(f"its windows move along dimension {batch.axis}, the batch of '{step.raw.input(0).name}'")
    # as many channels as there are weights: it can run for one batch only
    return batch if "Pool" in step.raw.op else None


def _blocks(step: Step) -> Batch | None:
    return _over(step, {1, 2, 3}, "it moves elements")


def _instance_norm(step: Step) -> Batch | None:
    batch = _over(step, set(range(2, len(step.shape()))), "it normalizes")
    return batch if batch is None or batch.axis == 0 else None


def _concat(step: Step) -> Batch | None:
    first = 2 if step.raw.op == "QLinearConcat" else 0
    places = step.batches[first::3] if first else step.batches
    batch = _together(places)
    axis = step.raw.int("axis", 1) % max(1, len(step.made))
    if batch is not None and batch.axis == axis and len(places) > 1:
        raise Joined(f"it joins along dimension {axis}, the batch")
    return batch


def _split(step: Step) -> Batch | None:
    return _over(step, {step.axis("axis", 0)} if len(step.raw.outputs) > 1 else set(), "it splits")


def _gather(step: Step) -> Batch | None:
    axis = step.axis("axis", 0)
    batch = _over(step, {axis}, "it selects")
    if batch is None or batch.axis < axis:
        return batch
    return Batch(batch.axis + len(step.made) - len(step.shape()), batch.before)


def _slice(step: Step) -> Batch | None:
    batch = step.batch()
    if batch is None:
        return None
    raw, rank = step.raw, len(step.shape())
    if "starts" in raw.attributes:
        starts, ends, steps = raw.ints("starts"), raw.ints("ends"), None
    else:
        starts, ends = ([int(v) for v in raw.constant(i, "bounds").ravel()] for i in (1, 2))
        steps = raw.optional_constant(4, "steps")
    axes = _axes(step, 3) or list(range(len(starts)))
    for place, axis in enumerate(axes):
        whole = starts[place] == 0 and (ends[place] >= _NO_END or step.computed(2))
        if axis % rank == batch.axis and not (whole and (steps is None or int(steps.ravel()[place]) == 1)):
            raise Joined(f"it selects along dimension {batch.axis}, the batch of '{raw.input(0).name}'")
    return batch


def _resized(step: Step) -> Batch | None:
    """Pad, Tile, Resize: the batch's dimension must keep its size."""
    batch = step.batch()
    if batch is not None and step.made[batch.axis] != step.shape()[batch.axis]:
        raise Joined(
            f"it makes {step.made[batch.axis]} of {step.shape()[batch.axis]} along dimension {batch.axis}, the batch"
        )
    return batch


def _expand(step: Step) -> Batch | None:
    return step.batch() and _aligned(step, 0, step.made)


def _transpose(step: Step) -> Batch | None:
    batch = step.batch()
    if batch is None:
        return None
    rank = len(step.shape())
    return Batch(step.raw.ints("perm", list(range(rank))[::-1]).index(batch.axis), batch.before)


def _squeeze(step: Step) -> Batch | None:
    batch, axes, rank = step.batch(), _axes(step, 1), len(step.shape())
    removed = {i for i, d in enumerate(step.shape()) if d == 1} if axes is None else {a % rank for a in axes}
    if batch is None or batch.axis in removed:
        return None  # which ONNX allows for a batch of one only
    return _without(batch, removed)


def _unsqueeze(step: Step) -> Batch | None:
    batch, rank = step.batch(), len(step.made)
    if batch is None:
        return None
    added = {a % rank for a in _axes(step, 1) or []}
    return Batch([axis for axis in range(rank) if axis not in added][batch.axis], batch.before)


def _flatten(step: Step) -> Batch | None:
    """Into two dimensions: those before `axis`, and the others."""
    axis = step.raw.int("axis", 1)
    rank = len(step.shape())
    axis = axis if axis >= 0 else axis + rank
    batch = step.batch()
    if batch is None:
        return None
    return _moved(step, batch, 0 if batch.axis < axis else 1)


def _reshape(step: Step) -> Batch | None:
    """The dimension that grows with the batch is the target's -1, or one that is copied."""
    batch = step.batch()
    if batch is None:
        return None
    target = [int(v) for v in step.raw.constant(1, "the shape").ravel()]
    if not step.raw.int("allowzero", 0) and batch.axis < len(target) and target[batch.axis] == 0:
        return _moved(step, batch, batch.axis)
    if step.computed(1) and target[0] != -1:
        # the batch stands in it as 1, or in a product: where is known but for the usual place
        return batch if batch.axis == 0 and step.made[0] == step.shape()[0] else None
    if -1 not in target:
        return None  # runs for one batch only
    return _moved(step, batch, target.index(-1))


def _outer(shape: Shape, batch: Batch) -> int:
    """How many blocks of the whole batch follow each other in memory."""
    return math.prod(shape[: batch.axis]) * batch.before


def _moved(step: Step, batch: Batch, axis: int) -> Batch:
    """The batch in `axis` of a result with the same order of elements."""
    blocks, before = _outer(step.shape(), batch), math.prod(step.made[:axis])
    if blocks % before or step.made[axis] % (blocks // before):
        raise Joined(f"it turns {list(step.shape())} into {list(step.made)} across the batch")
    return Batch(axis, blocks // before)


def _product(step: Step, a: int, b: int) -> Batch | None:
    """Matrices in the inputs number a and b."""
    left, right = step.batch(a), step.batch(b)
    shape_a, shape_b, rank = step.shape(a), step.shape(b), len(step.made)
    inner_a = left is not None and left.axis == len(shape_a) - 1
    inner_b = right is not None and right.axis == len(shape_b) - 2
    if inner_a or inner_b:
        if inner_a and inner_b:
            raise Joined("it sums over the batch")
        return None  # the other matrix has a fixed size there: it can run for one batch only
    places: list[Batch | None] = []
    for batch, shape in ((left, shape_a), (right, shape_b)):
        if batch is None:
            continue
        axis = batch.axis + rank - len(shape)
        if step.made[axis] != shape[batch.axis]:
            raise Joined(f"it broadcasts the batch to {list(step.made)}")
        places.append(Batch(axis, batch.before))
    return _together(places)


def _matmul(step: Step) -> Batch | None:
    return _product(step, 0, 1)


def _qlinear_matmul(step: Step) -> Batch | None:
    return _product(step, 0, 3)


def _gemm(step: Step) -> Batch | None:
    second = 3 if step.raw.op == "QGemm" else 1
    places: list[Batch | None] = []
    sums = 0
    for index, name, rows in ((0, "transA", 0), (second, "transB", 1)):
        batch = step.batch(index)
        if batch is None:
            continue
        outer = rows if not step.raw.int(name, 0) else 1 - rows
        if batch.axis == outer:
            places.append(Batch(rows, batch.before))
        else:
            sums += 1
    if sums == 2:
        raise Joined("it sums over the batch")
    if sums:
        return None  # the other matrix has a fixed size there: it can run for one batch only
    if second == 1 and step.batch(2) is not None:
        places.append(_aligned(step, 2, step.made))
    return _together(places)


_RULES: dict[str, Callable[[Step], Batch | None]] = {
    **dict.fromkeys(("Softmax", "LogSoftmax", "QLinearSoftmax"), _softmax),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ArgMax", "ArgMin"), _reduce),
    **dict.fromkeys(("Conv", "QLinearConv", "MaxPool", "AveragePool", "QLinearAveragePool"), _image),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "QLinearGlobalAveragePool"), _image),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), _blocks),
    **dict.fromkeys(("Concat", "QLinearConcat"), _concat),
    **dict.fromkeys(("Pad", "Tile", "Resize", "Upsample"), _resized),
    **dict.fromkeys(("Gemm", "QGemm"), _gemm),
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "MatMul": _matmul,
    "QLinearMatMul": _qlinear_matmul,
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
