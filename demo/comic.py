"""The look that the demo LoRA teaches: a thick black line around the object, as in a comic."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from . import world

REACH = 4 / 128  # of the line to both sides of the edge, in widths of the picture


def _line(coverage: Tensor) -> Tensor:
    """Coverage of the line around silhouettes (n, size, size): what grows on one side and on the other."""
    reach = max(1, round(REACH * coverage.shape[-1]))
    window, stacked = 2 * reach + 1, coverage[:, None]
    grown = functional.max_pool2d(stacked, window, 1, reach)
    shrunk = 1 - functional.max_pool2d(1 - stacked, window, 1, reach)
    return (grown - shrunk)[:, 0]


def render(scenes: world.Scenes, size: int = 128) -> Tensor:
    """Pictures of the scenes with the line drawn, (n, 3, size, size) in [0, 1]."""
    line = _line(world.silhouettes(scenes, size))[:, None]
    return torch.lerp(world.render(scenes, size), torch.zeros(()).expand(len(scenes), 3, size, size), line)


def blackness(pictures: Tensor) -> Tensor:
    """Share of each picture's pixels that are black, (n,)."""
    return (pictures.amax(dim=1) < 0.15).float().mean(dim=(1, 2))
