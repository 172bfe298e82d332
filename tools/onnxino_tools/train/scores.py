"""What a module gets right, and how much each weight matters to it."""

# pyright: reportUnknownMemberType=false
# (PyTorch annotates only a part of what it has.)

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from onnxino_tools.train.data import Arrays, Samples, check_labels, class_count, device_of, logits_of, samples_of


@dataclass(frozen=True)
class Score:
    """loss: mean cross entropy in nats; accuracy: share of samples, 0 to 1; logits: float32 [N, classes]."""

    loss: float
    accuracy: float
    logits: NDArray[np.float32]


def evaluate(module: nn.Module, data: Arrays, batch: int = 256) -> Score:
    """In evaluation mode; the module stays as it is. Raises InputError for data that do not fit the module."""
    samples = samples_of(data, module, "evaluation")
    check_labels(samples, class_count(module, samples.images[:1], "the model"), "evaluation")
    return score(module, samples, batch)


def score(module: nn.Module, samples: Samples, batch: int = 256) -> Score:
    """evaluate() for samples that were checked."""
    device = device_of(module)
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            parts = [logits_of(module, images.to(device)).cpu() for images, _ in samples.batches(batch)]
    finally:
        module.train(was_training)
    logits = torch.cat(parts)
    loss = float(functional.cross_entropy(logits.double(), samples.labels))
    right = int((logits.argmax(1) == samples.labels).sum())
    return Score(loss, right / len(samples), np.ascontiguousarray(logits.numpy(), np.float32))


def taylor_scores(
    module: nn.Module, images: NDArray[Any], labels: NDArray[Any], batch: int = 64
) -> dict[str, NDArray[np.float32]]:
    """The importance of each weight by parameter name, in the parameter's shape: (gradient of the cross entropy *
    weight)^2, a mean over batches.

    That is the first-order estimate of how the loss changes without the weight, squared (Molchanov et al. 2019,
    Importance Estimation for Neural Network Pruning, equation 8); the importance of a channel is the sum over its
    weights. images float32 [N, ...] as the model takes them, labels int64 [N]; in evaluation mode, and the module stays
    as it is. Raises InputError for data that do not fit the module.
    """
    samples = samples_of((images, labels), module, "scoring")
    check_labels(samples, class_count(module, samples.images[:1], "the model"), "scoring")
    names = [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]
    parameters = [parameter for _, parameter in names]
    totals = [torch.zeros_like(parameter) for parameter in parameters]
    device, was_training, count = device_of(module), module.training, 0
    module.eval()
    try:
        for some, wanted in samples.batches(batch):
            loss = functional.cross_entropy(logits_of(module, some.to(device)), wanted.to(device))
            gradients: Any = torch.autograd.grad(loss, parameters, allow_unused=True)  # None where it is not used
            for total, gradient, parameter in zip(totals, gradients, parameters, strict=True):
                if gradient is not None:
                    total += (gradient * parameter.detach()).square()
            count += 1
    finally:
        module.train(was_training)
    return {
        name: (total / count).cpu().numpy().astype(np.float32) for (name, _), total in zip(names, totals, strict=True)
    }
