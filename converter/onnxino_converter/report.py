"""The report of a conversion: work, sizes and memory, as plain integers and strings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxino.model import shape_of, tensor_bytes
from onnxino.ops import OPERATORS
from onnxino.schema.model import ElementType, Model, Operator, Tensor, Weights

ALIGNMENT = 16


def make_report(model: Model, model_bytes: int) -> dict[str, Any]:
    """Keys: macs; parameters (weights, without biases) and how many are nonzero; weight_bytes (packed, with padding);
    constant_bytes (biases, scales, tables, constant tensors); arena_bytes; model_bytes; operators."""
    operators = [_operator(model, operator) for operator in model.operators]
    weights = [array for operator in model.operators for array in _weights(operator)]
    constants = sum(len(tensor.data) for tensor in model.tensors if tensor.data is not None)
    return {
        "name": model.name,
        "macs": sum(entry["macs"] for entry in operators),
        "parameters": sum(_elements(array).size for array in weights),
        "nonzero": sum(int(np.count_nonzero(_elements(array))) for array in weights),
        "weight_bytes": sum(entry["weight_bytes"] for entry in operators),
        "constant_bytes": constants + sum(entry["constant_bytes"] for entry in operators),
        "arena_bytes": int(model.arena_size),
        "model_bytes": model_bytes,
        "operators": operators,
    }


def _operator(model: Model, operator: Operator) -> dict[str, Any]:
    inputs = [model.tensors[int(i)] for i in operator.inputs]
    outputs = [model.tensors[int(i)] for i in operator.outputs]
    spec = OPERATORS[type(operator.kernel)]
    return {
        "name": operator.name,
        "kernel": type(operator.kernel).__name__,
        "input_shapes": [list(shape_of(tensor)) for tensor in inputs],
        "output_shapes": [list(shape_of(tensor)) for tensor in outputs],
        "macs": int(spec.macs(operator.kernel, inputs, outputs)),
        "weight_bytes": sum(_padded(len(array.data)) for array in _weights(operator)),
        "constant_bytes": _constant_bytes(operator.kernel),
        "scratch_bytes": int(operator.scratch_size),
        "exactness": operator.exactness.name.lower(),
    }


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _weights(operator: Operator) -> list[Weights]:
    weights = getattr(operator.kernel, "weights", None)
    return [weights] if isinstance(weights, Weights) else []


def _elements(weights: Weights) -> NDArray[Any]:
    data = np.ascontiguousarray(weights.data)
    return data.view(np.float32) if weights.type == ElementType.Float32 else data


def _constant_bytes(kernel: Any) -> int:
    """Bytes of a kernel's arrays that are not weights: biases, requantization scales, tables."""
    total = 0
    for name in ("bias", "table", "weight_scale", "indices"):
        array = getattr(kernel, name, None)
        total += 0 if array is None else int(np.asarray(array).nbytes)
    requantization = getattr(kernel, "requantization", None)
    return total + (0 if requantization is None else int(np.asarray(requantization.scale).nbytes))


def largest_tensors(model: Model, count: int = 3) -> list[Tensor]:
    """The largest activations."""
    activations = [tensor for tensor in model.tensors if tensor.data is None and tensor.alias_of < 0]
    return sorted(activations, key=lambda t: (-tensor_bytes(t), t.name))[:count]
