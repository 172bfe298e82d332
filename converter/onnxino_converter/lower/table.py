"""The table from fused specs to kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from onnxino.schema.model import Exactness
from onnxino_converter import quantized
from onnxino_converter.ir import Node
from onnxino_converter.lower.add import lower_add
from onnxino_converter.lower.average_pool2d import lower_average_pool2d
from onnxino_converter.lower.concat import lower_concat
from onnxino_converter.lower.conv2d import lower_conv2d
from onnxino_converter.lower.fully_connected import lower_fully_connected
from onnxino_converter.lower.lookup import lower_lookup
from onnxino_converter.lower.max_pool2d import lower_max_pool2d
from onnxino_converter.lower.mean2d import lower_mean2d
from onnxino_converter.lower.mul import lower_mul
from onnxino_converter.lower.softmax import lower_softmax
from onnxino_converter.lower.transpose import lower_transpose

LOWERINGS: dict[type, Callable[[Node, Any], Any]] = {
    quantized.ConvSpec: lower_conv2d,
    quantized.DenseSpec: lower_fully_connected,
    quantized.AddSpec: lower_add,
    quantized.MulSpec: lower_mul,
    quantized.MaxPoolSpec: lower_max_pool2d,
    quantized.AveragePoolSpec: lower_average_pool2d,
    quantized.MeanSpec: lower_mean2d,
    quantized.SoftmaxSpec: lower_softmax,
    quantized.LookupSpec: lower_lookup,
    quantized.ConcatSpec: lower_concat,
    quantized.TransposeSpec: lower_transpose,
}


@dataclass
class Lowered:
    """A kernel with what the writer needs to know beside it."""

    node: Node
    kernel: Any
    exactness: Exactness


def lower_node(node: Node) -> Lowered:
    """The kernel of a fused node. Raises KeyError for a Reshape: those are aliases, not operators."""
    return Lowered(node, LOWERINGS[type(node.spec)](node, node.spec), node.spec.exactness)
