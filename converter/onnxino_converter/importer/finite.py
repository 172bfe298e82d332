"""Refuses weights that hold NaN or infinity, by name, before anything is computed with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxino_converter.refusal import refusal

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_WEIGHTED = {"BatchNormalization", "Conv", "Gemm", "InstanceNormalization", "LayerNormalization", "MatMul", "PRelu"}
_HINT = "the training diverged (learning rate?) or the export failed: train or export the model again"


def check_weights(model: ModelProto) -> None:
    """Raises ConvertError for the first node with such weights. Elsewhere infinity may be meant: a limit, a mask."""
    import numpy as np
    from onnx import TensorProto, numpy_helper

    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer if tensor.data_type in floats}
    finite: set[str] = set()
    for node in model.graph.node:
        if node.op_type not in _WEIGHTED or node.domain not in ("", "ai.onnx"):
            continue
        for name in node.input:
            if name not in tensors or name in finite:
                continue
            try:
                array = numpy_helper.to_array(tensors[name])
            except (ValueError, TypeError):  # damaged: the import says so
                continue
            bad = int(np.count_nonzero(~np.isfinite(array)))
            if bad:
                found = f"{bad:,} of {array.size:,} values of the initializer '{name}' are not finite (NaN or infinity)"
                raise refusal(_label(node), found, None, _HINT)
            finite.add(name)


def _label(node: NodeProto) -> str:
    return f"node '{node.name}' ({node.op_type})" if node.name else f"node {node.op_type} that makes '{node.output[0]}'"
