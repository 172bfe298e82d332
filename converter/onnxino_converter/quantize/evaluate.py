"""Runs a float graph over calibration data, and hands out every tensor.

Calibration needs speed but no exact order of sums: convolution and pooling are done here with BLAS and whole-array
operations, everything else by onnx.reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from onnxino_converter.quantize.graph import Array, Feeds
from onnxino_converter.quantize.windows import average_pool, convolve, max_pool

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


class Evaluator:
    """One model, ready to run."""

    def __init__(self, model: ModelProto) -> None:
        from onnx.reference import ReferenceEvaluator

        evaluator: Any = ReferenceEvaluator(model, new_ops=_fast_operators())
        self.nodes: list[NodeProto] = list(model.graph.node)
        self._steps: list[Any] = evaluator.rt_nodes_
        self.constants: Feeds = dict(evaluator.rt_inits_)
        self.output_names: list[str] = [o.name for o in model.graph.output]

    def step(self, index: int, inputs: list[Array | None]) -> list[Array]:
        """The outputs of one node."""
        with np.errstate(all="ignore"):  # what is not finite is found afterwards, with the tensor's name
            return list(self._steps[index].run(*inputs))

    def run(self, feeds: Feeds) -> Feeds:
        """Every tensor of the graph by name."""
        values: dict[str, Array | None] = {"": None, **self.constants, **feeds}
        for index, node in enumerate(self.nodes):
            outputs = self.step(index, [values[name] for name in node.input])
            values.update(zip(node.output, outputs, strict=False))
        return {name: array for name, array in values.items() if array is not None and name not in self.constants}


def _fast_operators() -> list[Any]:
    """Replacements for operators of onnx.reference; a class's name says which one it replaces."""
    from onnx.reference.op_run import OpRun

    class Conv(OpRun):
        def _run(self, x: Array, w: Array, b: Array | None = None, **attributes: Any) -> tuple[Array]:
            return (convolve(x, w, b, **attributes),)

    class MaxPool(OpRun):
        def _run(self, x: Array, **attributes: Any) -> tuple[Array]:
            return (max_pool(x, **attributes),)

    class AveragePool(OpRun):
        def _run(self, x: Array, **attributes: Any) -> tuple[Array]:
            return (average_pool(x, **attributes),)

    return [Conv, MaxPool, AveragePool]
