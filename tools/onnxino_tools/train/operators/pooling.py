"""Pools and reductions."""

# pyright: reportUnknownMemberType=false
# (PyTorch annotates only a part of what it has.)

from __future__ import annotations

from collections.abc import Callable
from math import inf, prod

import torch
from torch import Tensor
from torch.nn import functional

from onnxino_tools.train.operators.node import Make, Node, Run, Step, Tensors, at, integers, need
from onnxino_tools.train.operators.windows import Windows, flat

_MAX = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_AVERAGE = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


def _windows(node: Node) -> Windows:
    kernel = node.get("kernel_shape")
    if kernel is None:
        raise node.refusal("it has no kernel_shape", "pools with a kernel_shape")
    return Windows.of(node, kernel)


def _to_reach(windows: Windows, sizes: list[int], begin: list[int], end: list[int], ceil: bool) -> list[int]:
    """Paddings at the end with which windows of the last, incomplete step fit too (ceil_mode); those that would begin
    in the padding at the end are none."""
    if not ceil:
        return end
    reached: list[int] = []
    for k, size in enumerate(sizes):
        stride, extent = windows.strides[k], windows.extents[k]
        steps = -(-(size + begin[k] + end[k] - extent) // stride)
        if steps * stride >= size + begin[k]:
            steps -= 1
        reached.append(max(end[k], steps * stride + extent - size - begin[k]))
    return reached


def _max_pool(node: Node) -> Step:
    windows, ceil = _windows(node), bool(node.get("ceil_mode", 0))
    if len([name for name in node.proto.output if name]) > 1:
        raise node.refusal("its indices are used", "MaxPool without its second output")

    def step(inputs: Tensors, run: Run) -> Tensor:
        value = need(inputs[0])
        sizes = list(value.shape[2:])
        begin, end = windows.padding(sizes)
        end = _to_reach(windows, sizes, begin, end, ceil)
        if any(begin) or any(end):
            value = functional.pad(value, flat(begin, end), value=-inf)
        return _MAX[len(sizes)](value, windows.kernel, windows.strides, 0, windows.dilations)

    return step


def _average_pool(node: Node) -> Step:
    windows, ceil = _windows(node), bool(node.get("ceil_mode", 0))
    padding_counts = bool(node.get("count_include_pad", 0))
    if any(d != 1 for d in windows.dilations):
        raise node.refusal(f"its dilations are {list(windows.dilations)}", "dilations of 1")

    def step(inputs: Tensors, run: Run) -> Tensor:
        value = need(inputs[0])
        sizes = list(value.shape[2:])
        begin, end = windows.padding(sizes)
        reached = _to_reach(windows, sizes, begin, end, ceil)
        pool = _AVERAGE[len(sizes)]
        if not any(begin) and not any(reached):
            return pool(value, windows.kernel, windows.strides)
        mean = pool(functional.pad(value, flat(begin, reached)), windows.kernel, windows.strides)
        # How much of each window counts: what ceil_mode adds at the end never does.
        ones = value.new_ones(1, 1, *sizes)
        if padding_counts:
            ones = functional.pad(ones, flat(begin, end), value=1.0)
            extra = flat([0] * len(begin), [a - b for a, b in zip(reached, end, strict=True)])
        else:
            extra = flat(begin, reached)
        return mean / pool(functional.pad(ones, extra), windows.kernel, windows.strides)

    return step


def _global(function: Callable[[Tensor, list[int]], Tensor]) -> Make:
    def make(_: Node) -> Step:
        def step(inputs: Tensors, run: Run) -> Tensor:
            value = need(inputs[0])
            return function(value, list(range(2, value.dim())))

        return step

    return make


def _mean(value: Tensor, axes: list[int], keep: bool = True) -> Tensor:
    return value.mean(axes, keepdim=keep)


def _greatest(value: Tensor, axes: list[int], keep: bool = True) -> Tensor:
    return torch.amax(value, axes, keepdim=keep)


def _least(value: Tensor, axes: list[int], keep: bool = True) -> Tensor:
    return torch.amin(value, axes, keepdim=keep)


def _sum(value: Tensor, axes: list[int], keep: bool = True) -> Tensor:
    # Of integers too: of shapes.
    return value.sum(axes, keepdim=keep)


def _product(value: Tensor, axes: list[int], keep: bool = True) -> Tensor:
    if value.dim() != 1:
        raise RuntimeError("ReduceProd is only known for shapes")
    return value.new_tensor(prod(integers(value))).reshape((1,) if keep else ())


def _reduce(function: Callable[[Tensor, list[int], bool], Tensor]) -> Make:
    def make(node: Node) -> Step:
        fixed, keep = node.get("axes"), bool(node.get("keepdims", 1))
        idle = bool(node.get("noop_with_empty_axes", 0))

        def step(inputs: Tensors, run: Run) -> Tensor:
            value, given = need(inputs[0]), at(inputs, 1)
            axes = list(fixed or []) if given is None else integers(given)
            if not axes and idle:
                return value
            return function(value, axes or list(range(value.dim())), keep)

        return step

    return make


POOLING: dict[str, Make] = {
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global(_mean),
    "GlobalMaxPool": _global(_greatest),
    "MaxPool": _max_pool,
    "ReduceMax": _reduce(_greatest),
    "ReduceMean": _reduce(_mean),
    "ReduceMin": _reduce(_least),
    "ReduceProd": _reduce(_product),
    "ReduceSum": _reduce(_sum),
}
