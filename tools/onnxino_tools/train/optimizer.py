"""SGD and AdamW with a schedule of the learning rate, and with masks under which weights stay zero."""

# pyright: reportUnknownMemberType=false
# (PyTorch annotates only a part of what it has.)

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from onnxino_tools.train.settings import Training


class Optimizer:
    """The parameters of a module (and of learned projections), and how they move."""

    def __init__(
        self, module: nn.Module, features: nn.Module | None, settings: Training, masks: Mapping[str, Tensor]
    ) -> None:
        self._settings = settings
        self.rate = settings.learning_rate
        named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        parameters = [p for _, p in named] + ([] if features is None else list(features.parameters()))
        groups: list[dict[str, Any]] = [
            {"params": [p for p in parameters if p.dim() > 1], "weight_decay": settings.weight_decay},
            {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        self._inner: torch.optim.Optimizer
        if settings.optimizer == "sgd":
            nesterov = settings.momentum > 0
            self._inner = torch.optim.SGD(groups, self.rate, momentum=settings.momentum, nesterov=nesterov)
        else:
            self._inner = torch.optim.AdamW(groups, self.rate)
        self._masked = [(p, masks[name]) for name, p in named if name in masks]
        for name, parameter in module.named_parameters():  # frozen ones too
            if name in masks and not parameter.requires_grad:
                self._masked.append((parameter, masks[name]))

    def set_rate(self, epochs: float, step: float) -> None:
        """The learning rate when `epochs` (a fraction too) are over; step: of one batch, in epochs."""
        settings = self._settings
        rate = settings.learning_rate
        if epochs < settings.warmup:
            rate *= min(1.0, (epochs + step) / settings.warmup)
        elif settings.schedule == "cosine":
            share = (epochs - settings.warmup) / max(settings.epochs - settings.warmup, 1e-9)
            rate *= 0.5 * (1 + math.cos(math.pi * share))
        self.rate = rate
        for group in self._inner.param_groups:
            group["lr"] = rate

    def step(self, loss: Tensor) -> None:
        """One step down; masked weights, their gradients and momenta stay zero."""
        self._inner.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        for parameter, mask in self._masked:
            if parameter.grad is not None:
                parameter.grad.mul_(mask)
        self._inner.step()
        self.apply_masks()

    def apply_masks(self) -> None:
        """Zeroes what is masked: in weights, and in momenta (which have their weight's shape)."""
        with torch.no_grad():
            for parameter, mask in self._masked:
                parameter.mul_(mask)
                for value in self._inner.state.get(parameter, {}).values():
                    if isinstance(value, Tensor) and value.shape == parameter.shape:
                        value.mul_(mask)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return self._inner.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self._inner.load_state_dict(state)
