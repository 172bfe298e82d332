"""Where the windows of convolutions and pools lie: strides, dilations and paddings as ONNX writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from onnxino_tools.train.operators.node import Node


@dataclass(frozen=True)
class Windows:
    """kernel, strides, dilations: one number for each spatial axis. pads: those at the begin, then at the end; None
    where auto_pad tells them from the size."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...] | None
    lower: bool

    @classmethod
    def of(cls, node: Node, kernel: Sequence[int]) -> Windows:
        """kernel: the spatial sizes, from the attribute or the weights."""
        axes = len(kernel)
        auto = node.get("auto_pad", "NOTSET")
        pads = tuple(node.get("pads", (0,) * (2 * axes))) if auto == "NOTSET" else None
        return cls(
            tuple(kernel),
            tuple(node.get("strides", (1,) * axes)),
            tuple(node.get("dilations", (1,) * axes)),
            (0,) * (2 * axes) if auto == "VALID" else pads,
            auto == "SAME_LOWER",
        )

    def padding(self, sizes: Sequence[int]) -> tuple[list[int], list[int]]:
        """Paddings at the begin and at the end of each axis, for an input of these sizes."""
        axes = len(self.kernel)
        if self.pads is not None:
            return list(self.pads[:axes]), list(self.pads[axes:])
        begin: list[int] = []
        end: list[int] = []
        for size, stride, extent in zip(sizes, self.strides, self.extents, strict=True):
            total = max(0, (-(-size // stride) - 1) * stride + extent - size)
            half = total // 2
            begin.append(total - half if self.lower else half)
            end.append(half if self.lower else total - half)
        return begin, end

    @property
    def extents(self) -> list[int]:
        """How far a window reaches along each axis."""
        return [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]


def flat(begin: Sequence[int], end: Sequence[int]) -> list[int]:
    """Paddings as torch.nn.functional.pad takes them: the last axis first, (begin, end) each."""
    return [side for pair in reversed(list(zip(begin, end, strict=True))) for side in pair]
