"""Unstructured pruning: single weights by magnitude or score, and N of each M along the input dimension."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onnxino.errors import InputError
from onnxino_converter.prune.importance import Scores, weight_importance
from onnxino_converter.prune.options import check_names, check_ratio
from onnxino_converter.prune.result import LayerChange, Pruned, Skipped
from onnxino_converter.prune.trace import layer_name
from onnxino_converter.quantize.graph import Array, FloatGraph, attribute

if TYPE_CHECKING:
    from onnx import NodeProto

Bools = NDArray[np.bool_]
Masks = dict[str, Bools]
_WEIGHTED = {"Conv": 1, "ConvTranspose": 0, "Gemm": 0, "MatMul": 0}  # -> the axis of inputs; Gemm's depends on transB


def prune_weights(
    graph: FloatGraph,
    ratio: float | Mapping[str, float],
    criterion: str,
    scope: str,
    scores: Scores,
    exclude: Collection[str],
) -> Pruned:
    """Weights that matter least become zero; biases and normalizations are left alone."""
    layers, skipped = _layers(graph, exclude, ratio)
    importance = {w: weight_importance(w, graph.constants, criterion, scores) for w in layers}
    if scope == "global":
        masks = _globally(importance, check_ratio(ratio))
    else:
        ratios = _ratios(layers, ratio)
        masks = {w: _largest(values, ratios[w]) for w, values in importance.items()}
    return _apply(graph, layers, masks, skipped)


def prune_n_of_m(
    graph: FloatGraph, nm: tuple[int, int], criterion: str, scores: Scores, exclude: Collection[str]
) -> Pruned:
    """Of each M neighbours along the input dimension the N that matter most stay."""
    n, m = nm
    layers, skipped = _layers(graph, exclude, 0.0)
    masks: Masks = {}
    for name, nodes in layers.items():
        importance = weight_importance(name, graph.constants, criterion, scores)
        axis = _input_axis(nodes[0])
        if importance.shape[axis] % m:
            reason = f"it reads {importance.shape[axis]} inputs, which are no multiple of {m}"
            skipped += [Skipped(layer_name(node), reason) for node in nodes]
        else:
            masks[name] = _n_of_m(importance, axis, n, m)
    return _apply(graph, {name: layers[name] for name in masks}, masks, skipped)


def _layers(
    graph: FloatGraph, exclude: Collection[str], ratio: float | Mapping[str, float]
) -> tuple[dict[str, list[NodeProto]], list[Skipped]]:
    """Weights -> the nodes that read them; and what is left out, with the reason."""
    layers: dict[str, list[NodeProto]] = {}
    skipped: list[Skipped] = []
    nodes = [node for node in graph.nodes if node.op_type in _WEIGHTED and node.domain in ("", "ai.onnx")]
    known = {layer_name(node): node.input[1] for node in nodes} | {node.input[1]: node.input[1] for node in nodes}
    check_names(exclude, known, "exclude")
    if isinstance(ratio, Mapping):
        check_names(ratio, known, "ratio")
    excluded = {known[name] for name in exclude}
    for node in nodes:
        weights = graph.constant(node, 1)
        if weights is None or weights.ndim < 2:
            skipped.append(Skipped(layer_name(node), "its weights are computed while it runs"))
        elif node.input[1] in excluded:
            skipped.append(Skipped(layer_name(node), f"the layer '{layer_name(node)}' is excluded"))
        else:
            layers.setdefault(node.input[1], []).append(node)
    for name in [name for name in layers if _read_elsewhere(graph, name, layers[name])]:
        reason = f"another kind of node reads its weights '{name}' as well"
        skipped += [Skipped(layer_name(node), reason) for node in layers.pop(name)]
    return layers, skipped


def _read_elsewhere(graph: FloatGraph, name: str, nodes: list[NodeProto]) -> bool:
    return len(graph.users()[name]) > len(nodes) or name in graph.outputs


def _ratios(layers: dict[str, list[NodeProto]], ratio: float | Mapping[str, float]) -> dict[str, float]:
    """Weights -> ratio; 0 for layers that are not named."""
    if not isinstance(ratio, Mapping):
        return dict.fromkeys(layers, check_ratio(ratio))
    given = {name: check_ratio(value, f"ratio of '{name}'") for name, value in ratio.items()}
    result: dict[str, float] = {}
    for weights, nodes in layers.items():
        found = {given[name] for name in (weights, *map(layer_name, nodes)) if name in given}
        if len(found) > 1:
            raise InputError(f"ratio: several are given for the weights '{weights}': {sorted(found)}")
        result[weights] = found.pop() if found else 0.0
    return result


def _largest(importance: Array, ratio: float) -> Bools:
    """True for all but the given share of the elements; of equals the last ones go."""
    flat = importance.reshape(-1)
    kept = np.zeros(flat.size, np.bool_)
    kept[np.argsort(-flat, kind="stable")[: flat.size - round(ratio * flat.size)]] = True
    return kept.reshape(importance.shape)


def _globally(importance: dict[str, Array], ratio: float) -> Masks:
    if not importance:
        return {}
    kept = _largest(np.concatenate([values.reshape(-1) for values in importance.values()]), ratio)
    ends = np.cumsum([values.size for values in importance.values()])[:-1]
    parts = np.split(kept, ends)
    return {name: part.reshape(v.shape) for (name, v), part in zip(importance.items(), parts, strict=True)}


def _input_axis(node: NodeProto) -> int:
    return 1 if node.op_type == "Gemm" and attribute(node, "transB", 0) else _WEIGHTED[node.op_type]


def _n_of_m(importance: Array, axis: int, n: int, m: int) -> Bools:
    moved = np.moveaxis(importance, axis, -1)
    blocks = moved.reshape(-1, m)
    kept = np.zeros(blocks.shape, np.bool_)
    np.put_along_axis(kept, np.argsort(-blocks, axis=1, kind="stable")[:, :n], True, axis=1)
    return np.moveaxis(kept.reshape(moved.shape), -1, axis)


def _apply(graph: FloatGraph, layers: dict[str, list[NodeProto]], masks: Masks, skipped: list[Skipped]) -> Pruned:
    changes: list[LayerChange] = []
    for name, mask in masks.items():
        weights = graph.constants[name]
        graph.constants[name] = np.where(mask, weights, weights.dtype.type(0))
        kept = int(np.count_nonzero(mask))
        changes += [LayerChange(layer_name(node), mask.size, kept, "weights") for node in layers[name]]
    return Pruned(graph.write(), masks, changes, skipped)
