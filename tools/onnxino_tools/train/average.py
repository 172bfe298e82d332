"""The exponential moving average of a module's weights."""

# pyright: reportUnknownMemberType=false
# (PyTorch annotates only a part of what it has.)

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class Average:
    """decay: share of the past, 0..1; smaller in the first steps, so that the initial weights are soon forgotten."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self._steps = 0
        self._state = {name: value.detach().clone() for name, value in module.state_dict().items()}

    def update(self, module: nn.Module) -> None:
        """After a step."""
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        with torch.no_grad():
            for name, value in module.state_dict().items():
                if value.is_floating_point():
                    self._state[name].lerp_(value, 1 - decay)
                else:
                    self._state[name].copy_(value)

    def state(self) -> dict[str, Tensor]:
        """A copy, as state_dict() gives it."""
        return {name: value.clone() for name, value in self._state.items()}

    def saved(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"steps": self._steps, "state": self._state}

    def load(self, saved: Mapping[str, Any]) -> None:
        """From a checkpoint."""
        self._steps = int(saved["steps"])
        for name, value in saved["state"].items():
            self._state[name].copy_(value)
