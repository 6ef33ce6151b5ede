"""How well a drawn object fits the ideal outline of a shape: the eye's question, which a classifier does not ask."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from . import world

SIZE = 64
_RADII = torch.linspace(0.45, 0.95, 21)
_ANGLES = torch.linspace(-math.pi / 9, math.pi / 9, 9)


def intersection_over_union(masks: Tensor, others: Tensor) -> Tensor:
    """Intersection over union of masks (n, h, w) in {0, 1} where they are, (n,) in [0, 1]."""
    both, either = torch.minimum(masks, others), torch.maximum(masks, others)
    return both.sum(dim=(1, 2)) / either.sum(dim=(1, 2)).clamp(min=1)


def _ideal_outlines(shape: int) -> Tensor:
    """Silhouettes of one shape at every radius and angle, centred, (candidates, SIZE, SIZE)."""
    radii, angles = (x.flatten() for x in torch.meshgrid(_RADII, _ANGLES, indexing="ij"))
    scenes = world.sample_scenes(len(radii), torch.Generator().manual_seed(0))
    labels = scenes.labels.clone()
    labels[:, 0] = shape
    centre = torch.zeros_like(scenes.centre)
    return world.silhouettes(replace(scenes, labels=labels, radius=radii, angle=angles, centre=centre), SIZE)


def overlap(masks: Tensor, shape: int) -> Tensor:
    """Intersection over union of each mask with the best place, size and angle of the shape, (n,) in [0, 1].

    All places are tried at once by correlation in the frequency domain.
    """
    outlines = _ideal_outlines(shape)
    spectrum = torch.fft.rfft2(outlines, s=(2 * SIZE, 2 * SIZE)).conj()
    best: list[Tensor] = []
    for mask in masks:
        shared = torch.fft.irfft2(torch.fft.rfft2(mask, s=(2 * SIZE, 2 * SIZE)) * spectrum).flatten(1).amax(dim=1)
        union = mask.sum() + outlines.sum(dim=(1, 2)) - shared
        best.append((shared / union.clamp(min=1)).max())
    return torch.stack(best)
