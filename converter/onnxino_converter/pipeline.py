"""The passes in their order, from the imported graph to fused nodes in the device's layout."""

from __future__ import annotations

from collections.abc import Callable

from onnxino_converter.ir import Graph
from onnxino_converter.passes.absorb_into_ports import absorb_into_ports
from onnxino_converter.passes.alias_transposes import alias_transposes
from onnxino_converter.passes.drop_identities import drop_identities
from onnxino_converter.passes.even_channels import even_channels
from onnxino_converter.passes.float_islands import float_islands
from onnxino_converter.passes.fold_batch_norm import fold_batch_norm
from onnxino_converter.passes.fold_constants import fold_constants
from onnxino_converter.passes.fold_into_dense import fold_into_dense
from onnxino_converter.passes.fold_pads import fold_pads
from onnxino_converter.passes.fuse_float import fuse_float
from onnxino_converter.passes.fuse_qdq import fuse_qdq
from onnxino_converter.passes.fuse_qoperator import fuse_qoperator
from onnxino_converter.passes.integer_movement import integer_movement
from onnxino_converter.passes.join_transposes import join_transposes
from onnxino_converter.passes.keep_quantization import keep_quantization
from onnxino_converter.passes.mark_pairs import mark_pairs
from onnxino_converter.passes.merge_duplicates import merge_duplicates
from onnxino_converter.passes.merge_movement import merge_movement
from onnxino_converter.passes.merge_pairs import merge_pairs
from onnxino_converter.passes.move_quantization import move_quantization
from onnxino_converter.passes.narrow_weights import narrow_weights
from onnxino_converter.passes.pass_reshapes import pass_reshapes
from onnxino_converter.passes.push_transposes import push_transposes
from onnxino_converter.passes.resolve_ports import resolve_ports
from onnxino_converter.passes.to_nhwc import to_nhwc

Pass = Callable[[Graph], bool]

CLEAN: tuple[Pass, ...] = (fold_constants, merge_duplicates, join_transposes, merge_pairs)
IMPORT: tuple[Pass, ...] = (
    fold_batch_norm,
    merge_duplicates,
    even_channels,
    merge_duplicates,
    mark_pairs,
    move_quantization,
    fold_constants,
    fold_pads,
    merge_duplicates,
)
FUSE: tuple[Pass, ...] = (
    fuse_qoperator,
    fuse_qdq,
    integer_movement,
    resolve_ports,
    float_islands,
    fuse_float,
    narrow_weights,
)
LAYOUT: tuple[Pass, ...] = (
    drop_identities,
    fold_constants,
    push_transposes,
    merge_movement,
    pass_reshapes,
    absorb_into_ports,
    alias_transposes,
    fold_into_dense,
)
ROUNDS = 50  # the layout passes end long before; a defect must not hang


def is_quantized(graph: Graph) -> bool:
    """Whether anything in an imported graph is quantized: without, it runs in float32 from end to end."""
    operators = ("QuantizeLinear", "DequantizeLinear", "QGemm")
    return any(node.op in operators or node.op.startswith("QLinear") for node in graph.nodes) or any(
        port.dtype.itemsize == 1 for port in graph.inputs
    )


def run_passes(graph: Graph) -> None:
    """Fuse and lay out a graph in place. Raises ConvertError for what cannot run on the device."""
    for one in CLEAN:
        one(graph)
    graph.remove_dead(remember=True)
    for one in (*IMPORT, *FUSE):
        one(graph)
    to_nhwc(graph)
    for _ in range(ROUNDS):
        changed = [one(graph) for one in LAYOUT]
        if not any(changed):
            break
    graph.remove_dead()
    keep_quantization(graph)
