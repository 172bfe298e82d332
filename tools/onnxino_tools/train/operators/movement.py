"""Operators that move values without computing: shapes, axes, parts, paddings."""

# pyright: reportUnknownMemberType=false
# (PyTorch annotates only a part of what it has.)

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from onnxino_tools.train.operators.node import Make, Node, Run, Step, Tensors, at, integers, need
from onnxino_tools.train.operators.windows import flat

_PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}


def _identity(_: Node) -> Step:
    return lambda inputs, run: need(inputs[0])


def _flatten(node: Node) -> Step:
    axis = node.get("axis", 1)

    def step(inputs: Tensors, run: Run) -> Tensor:
        value = need(inputs[0])
        place = axis % value.dim() if axis < 0 else axis
        rows = 1
        for size in value.shape[:place]:
            rows *= size
        return value.reshape(rows, -1)

    return step


def _reshape(node: Node) -> Step:
    fixed, zero_is_zero = node.get("shape"), bool(node.get("allowzero", 0))

    def step(inputs: Tensors, run: Run) -> Tensor:
        value, given = need(inputs[0]), at(inputs, 1)
        shape = list(fixed) if given is None else integers(given)
        if not zero_is_zero:
            shape = [value.shape[k] if size == 0 else size for k, size in enumerate(shape)]
        # A model written for a batch of one says so in its shapes, yet trains with many samples at once.
        if node.varies and len(shape) > 1 and shape[0] == run.declared and value.shape[0] == run.batch:
            shape[0] = run.batch
        return value.reshape(shape)

    return step


def _transpose(node: Node) -> Step:
    order = node.get("perm")

    def step(inputs: Tensors, run: Run) -> Tensor:
        value = need(inputs[0])
        return value.permute(order or list(reversed(range(value.dim()))))

    return step


def _squeeze(node: Node) -> Step:
    fixed = node.get("axes")

    def step(inputs: Tensors, run: Run) -> Tensor:
        value, given = need(inputs[0]), at(inputs, 1)
        axes = fixed if given is None else integers(given)
        if axes is None:
            axes = [k for k, size in enumerate(value.shape) if size == 1 and not (node.varies and k == 0)]
        return value.squeeze(tuple(axes))

    return step


def _unsqueeze(node: Node) -> Step:
    fixed = node.get("axes")

    def step(inputs: Tensors, run: Run) -> Tensor:
        value, given = need(inputs[0]), at(inputs, 1)
        axes = list(fixed) if given is None else integers(given)
        rank = value.dim() + len(axes)
        for axis in sorted(a % rank for a in axes):
            value = value.unsqueeze(axis)
        return value

    return step


def _concat(node: Node) -> Step:
    axis = node.get("axis", 1)
    return lambda inputs, run: torch.cat([need(tensor) for tensor in inputs], axis)


def _pad(node: Node) -> Step:
    mode = node.get("mode", "constant")
    if mode not in _PAD_MODES:
        raise node.refusal(f"its mode is {mode}", ", ".join(_PAD_MODES))
    fixed, fill = node.get("pads", node.get("paddings")), node.get("value", 0.0)

    def step(inputs: Tensors, run: Run) -> Tensor:
        value, given, constant, chosen = need(inputs[0]), at(inputs, 1), at(inputs, 2), at(inputs, 3)
        pads = list(fixed) if given is None else integers(given)
        axes = list(range(value.dim())) if chosen is None else [a % value.dim() for a in integers(chosen)]
        begin, end = [0] * value.dim(), [0] * value.dim()
        for k, axis in enumerate(axes):
            begin[axis], end[axis] = pads[k], pads[k + len(axes)]
        if mode == "constant":
            return functional.pad(value, flat(begin, end), value=fill if constant is None else float(constant))
        if any(begin[:2]) or any(end[:2]):
            raise RuntimeError(f"mode {mode} is only known for the axes behind the first two")
        return functional.pad(value, flat(begin[2:], end[2:]), mode=_PAD_MODES[mode])

    return step


def _shape(node: Node) -> Step:
    start, end = node.get("start", 0), node.get("end")
    return lambda inputs, run: torch.tensor(list(need(inputs[0]).shape)[start:end], dtype=torch.int64)


def _gather(node: Node) -> Step:
    axis = int(node.get("axis", 0))

    def step(inputs: Tensors, run: Run) -> Tensor:
        value, index = need(inputs[0]), need(inputs[1])
        sizes, place = list(value.shape), axis % value.dim()
        wanted = [number % sizes[place] for number in integers(index)]  # negative ones count from the end
        taken = value.index_select(place, torch.tensor(wanted, dtype=torch.int64, device=value.device))
        return taken.reshape(sizes[:place] + list(index.shape) + sizes[place + 1 :])

    return step


def _slice(node: Node) -> Step:
    def listed(inputs: Tensors, index: int, name: str) -> list[int] | None:
        given = at(inputs, index)
        return node.get(name) if given is None else integers(given)

    def step(inputs: Tensors, run: Run) -> Tensor:
        value = need(inputs[0])
        starts, ends = listed(inputs, 1, "starts") or [], listed(inputs, 2, "ends") or []
        axes = listed(inputs, 3, "axes") or list(range(len(starts)))
        steps = listed(inputs, 4, "steps") or [1] * len(starts)
        for start, end, axis, stride in zip(starts, ends, axes, steps, strict=True):
            taken = range(value.shape[axis])[slice(start, end, stride)]
            if stride == 1:
                value = value.narrow(axis, taken.start, len(taken))
            else:
                value = value.index_select(axis, torch.tensor(list(taken), dtype=torch.int64, device=value.device))
        return value

    return step


def _split(node: Node) -> Step:
    axis, parts = int(node.get("axis", 0)), len(node.proto.output)
    fixed: list[int] | None = node.get("split")

    def step(inputs: Tensors, run: Run) -> list[Tensor]:
        value, given = need(inputs[0]), at(inputs, 1)
        sizes: list[int] | None = fixed if given is None else integers(given)
        if sizes is None:
            share = -(-int(value.shape[axis]) // parts)
            sizes = [share] * (parts - 1) + [int(value.shape[axis]) - share * (parts - 1)]
        return list(torch.split_with_sizes(value, list(sizes), axis))

    return step


MOVEMENT: dict[str, Make] = {
    "Concat": _concat,
    "Flatten": _flatten,
    "Gather": _gather,
    "Identity": _identity,
    "Pad": _pad,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
