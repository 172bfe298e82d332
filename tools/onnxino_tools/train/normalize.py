"""Batch normalization while it trains, for convolutions whose normalization an exporter folded into their weights."""

# pyright: reportUnknownMemberType=false
# (PyTorch annotates only a part of what it has.)

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from onnxino_tools.train.graph import Graph, free_name

if TYPE_CHECKING:
    from onnx import NodeProto

EPSILON = 1e-5  # a channel that hardly varies is divided by its root at least
_MOMENTUM = 0.1  # share of the new batch in a running mean, as in the operator's default
_PARTS = ("scale", "shift", "mean", "variance")


@dataclass(frozen=True)
class Normalization:
    """A normalization behind a convolution: names of the convolution's constants, and of its own (all float32
    [channels], but for the weight [channels, ...])."""

    weight: str
    bias: str
    scale: str
    shift: str
    mean: str
    variance: str

    def initial(self, mean: NDArray[np.float64], variance: NDArray[np.float64]) -> dict[str, Tensor]:
        """Its constants, by which it changes nothing: the scale undoes the division, the shift the subtraction."""
        moments = [torch.from_numpy(values.astype(np.float32)) for values in (mean, variance)]
        scale = (moments[1] + EPSILON).sqrt()
        return {self.scale: scale, self.shift: moments[0].clone(), self.mean: moments[0], self.variance: moments[1]}

    def step(self, value: Tensor, constants: Mapping[str, Tensor], training: bool) -> Tensor:
        """Normalizes [N, channels, ...]; in training by the batch, which moves mean and variance too."""
        mean, variance, scale, shift = (constants[n] for n in (self.mean, self.variance, self.scale, self.shift))
        return functional.batch_norm(value, mean, variance, scale, shift, training, _MOMENTUM, EPSILON)

    def fold(self, values: MutableMapping[str, NDArray[np.float32]]) -> None:
        """Puts it into weight and bias (Jacob et al. 2018, section 3.2). Weights of zero stay zero."""
        # The root in float32, as initial() takes it: a scale that was not trained gives a factor of exactly 1.
        factor = (values[self.scale] / np.sqrt(values[self.variance] + np.float32(EPSILON))).astype(np.float64)
        weight, bias, mean, shift = (
            values[n].astype(np.float64) for n in (self.weight, self.bias, self.mean, self.shift)
        )
        scaled = weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
        values[self.weight] = scaled.astype(np.float32)
        values[self.bias] = ((bias - mean) * factor + shift).astype(np.float32)


def normalizable(graph: Graph) -> dict[str, Normalization]:
    """Name of a convolution's output -> the normalization that may stand behind it.

    Left out: convolutions whose output is the network's, or whose weight or bias is missing, computed or used twice.
    """
    reads: dict[str, int] = {}
    for node in graph.nodes:
        for name in node.input:
            reads[name] = reads.get(name, 0) + 1
    own = {name for name in graph.trained if reads.get(name) == 1}
    found: dict[str, Normalization] = {}
    for node in graph.nodes:
        if _fits(node, graph, own):
            output = node.output[0]
            names = [free_name(graph, f"{output}.normalization.{part}") for part in _PARTS]
            found[output] = Normalization(node.input[1], node.input[2], *names)
    return found


def _fits(node: NodeProto, graph: Graph, own: set[str]) -> bool:
    return (
        node.op_type == "Conv"
        and len(node.input) == 3
        and {node.input[1], node.input[2]} <= own
        and node.output[0] != graph.output
    )


def moments(
    compute: Callable[[Tensor], Mapping[str, Tensor]], batches: Iterable[Tensor]
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Tensor -> mean and variance of each channel over all batches and places. compute: the tensors [N, channels, ...]
    of a batch."""
    sums: dict[str, list[Tensor]] = {}
    counts: dict[str, int] = {}
    for images in batches:
        for name, value in compute(images).items():
            rows = value.transpose(0, 1).flatten(1).double()
            one = [rows.sum(1), rows.square().sum(1)]
            sums[name] = one if name not in sums else [a + b for a, b in zip(sums[name], one, strict=True)]
            counts[name] = counts.get(name, 0) + rows.shape[1]
    result: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    for name, (total, squares) in sums.items():
        mean = (total / counts[name]).cpu().numpy()
        variance = (squares / counts[name]).cpu().numpy() - mean**2
        result[name] = mean, np.maximum(variance, 0.0)
    return result
