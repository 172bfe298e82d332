"""Fold Transposes and Reshapes before a dense layer into the order of its weights.

Dense(w, chain(x)) -> Dense(w', Reshape(x)) where the chain permutes elements within each row alike.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from onnxino_converter.floats import FloatDenseSpec
from onnxino_converter.ir import Graph, Node
from onnxino_converter.passes.merge_movement import Order, element_order, movement_chain
from onnxino_converter.quantized import DenseSpec, ReshapeSpec, TransposeSpec


def fold_into_dense(graph: Graph) -> bool:
    producers = graph.producers()

    def rule(node: Node) -> list[Node] | None:
        source = producers.get(node.input(0)) if isinstance(node.spec, DenseSpec | FloatDenseSpec) else None
        if source is None or not isinstance(source.spec, TransposeSpec | ReshapeSpec):
            return None
        chain = movement_chain(source, producers)
        if not any(isinstance(link.spec, TransposeSpec) for link in chain):
            return None
        spec: DenseSpec | FloatDenseSpec = node.spec
        k: int = spec.weights.shape[1]
        rows = element_order(chain).reshape(-1, k)
        order: Order = rows[0]
        if not np.array_equal(np.sort(order), np.arange(k)) or np.any(
            rows != order + k * np.arange(len(rows))[:, None]
        ):
            return None
        weights = np.empty_like(spec.weights)
        weights[:, order] = spec.weights
        x = chain[0].input(0)
        viewed = graph.new_value(f"{x.name}_rows", node.input(0).shape, x.dtype, x.quantization)
        return [
            Node("Reshape", node.name, [x], [viewed], spec=ReshapeSpec()),
            Node("Dense", node.name, [viewed], node.outputs, spec=replace(spec, weights=weights)),
        ]

    changed = graph.rewrite(rule)
    return changed and (graph.remove_dead() or True)
