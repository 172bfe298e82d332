"""The table of operators that pruning knows, and what it does about others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxino_converter.prune.elementwise import BROADCAST, ELEMENTWISE
from onnxino_converter.prune.movement import MOVEMENT
from onnxino_converter.prune.reductions import REDUCTIONS
from onnxino_converter.prune.trace import Handler, Trace, refuse
from onnxino_converter.prune.weighted import WEIGHTED

if TYPE_CHECKING:
    from onnx import NodeProto

HANDLERS: dict[str, Handler] = {**WEIGHTED, **ELEMENTWISE, **MOVEMENT, **REDUCTIONS}
JOINING = frozenset({*BROADCAST, "Concat"})  # whose operands all may have channels
_ACROSS = {"LayerNormalization", "GroupNormalization", "RMSNormalization", "LRN", "MeanVarianceNormalization"}


def unknown(state: Trace, node: NodeProto) -> None:
    """All that it reads must stay; where it has weights, they are named as not pruned."""
    found = "computes across channels" if node.op_type in _ACROSS else "is an operator that pruning does not know"
    refuse(state, node, found)
    if node.op_type in _ACROSS:
        return
    for index in range(1, len(node.input)):
        weights = state.constant(node, index)
        if weights is not None and weights.ndim >= 2 and weights.dtype.kind == "f":
            state.add_fixed(node, 0, f"pruning does not know the operator {node.op_type}")
            return
