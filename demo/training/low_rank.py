"""Frozen layers that learn a difference of low rank: what a LoRA and a Control-LoRA are made of.

Source: Hu et al. 2021 (arXiv 2106.09685).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .host_classes import TrainableOps


class LowRank(nn.Module):
    """Adds `up @ down`, in the shape of the weight, to the weight of the layer it is mixed into."""

    weight: Tensor
    up: nn.Parameter | None
    down: nn.Parameter | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register_parameter("up", None)
        self.register_parameter("down", None)

    def add_difference(self, rank: int) -> None:
        """A difference that starts at zero."""
        width, reach = self.weight.shape[0], self.weight[0].numel()
        self.up = nn.Parameter(torch.zeros(width, rank))
        self.down = nn.Parameter(torch.randn(rank, reach) / math.sqrt(reach))

    def changed_weight(self) -> Tensor:
        if self.up is None or self.down is None:
            return self.weight
        return self.weight + (self.up @ self.down).view_as(self.weight)


class _Linear(LowRank, nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.linear(input, self.changed_weight(), self.bias)


class _Conv2d(LowRank, nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.changed_weight(), self.bias)


class LowRankOps(TrainableOps):
    """The operations for the host's classes."""

    Linear = _Linear
    Conv2d = _Conv2d

    @classmethod
    def conv_nd(cls, dims: int, *args: Any, **kwargs: Any) -> nn.Module:
        return _Conv2d(*args, **kwargs)


def add_differences(net: nn.Module, rank: int, chosen: Callable[[str], bool]) -> None:
    """Freezes the net and gives every chosen layer, by its name, a difference to learn."""
    net.requires_grad_(False)
    for name, module in list(net.named_modules()):
        if isinstance(module, LowRank) and chosen(name):
            module.add_difference(rank)


def learned(net: nn.Module) -> dict[str, Tensor]:
    """The parameters that are trained, by name."""
    return {name: parameter for name, parameter in net.named_parameters() if parameter.requires_grad}
