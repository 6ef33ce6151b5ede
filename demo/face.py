"""What stands for a face in the demo world, whose model draws none: the object, with five points fixed to it.

Who somebody is, is then the object's shape, colour and texture; background, place, size and angle are what
differs between photographs of one person.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..ip_adapter.faces.alignment import RECOGNISED, TEMPLATE
from . import world

IDENTITY = ("shape", "colour", "texture")  # the first of `world.ATTRIBUTES`
COUNT = len(world.SHAPES) * len(world.COLOURS) * len(world.TEXTURES)
# Half the side of the aligned crop in radii of the object, so that it shows it as large as most pictures do.
MARGIN = 1.35


def identities(labels: Tensor) -> Tensor:
    """Numbers (n,) from 0 to COUNT - 1 of who is seen in scenes with these labels (n, 4)."""
    shape, colour, texture, _ = labels.unbind(1)
    return (shape * len(world.COLOURS) + colour) * len(world.TEXTURES) + texture


def of_identities(scenes: world.Scenes, wanted: Tensor) -> world.Scenes:
    """The scenes showing others: identities (n,); a background of the object's own colour becomes the next colour."""
    texture = wanted % len(world.TEXTURES)
    shape_and_colour = wanted // len(world.TEXTURES)
    shape, colour = shape_and_colour // len(world.COLOURS), shape_and_colour % len(world.COLOURS)
    background = scenes.labels[:, 3]
    background = torch.where(background == colour, (background + 1) % len(world.COLOURS), background)
    return replace(scenes, labels=torch.stack([shape, colour, texture, background], dim=1))


def points(scenes: world.Scenes, size: int) -> Tensor:
    """The five points (n, 5, 2) in pixels, whole numbers at pixel centres; they turn with the object."""
    half = RECOGNISED / 2
    offsets = (torch.tensor(TEMPLATE) + 0.5 - half) / half * MARGIN * scenes.radius[:, None, None]
    cos, sin = scenes.angle.cos(), scenes.angle.sin()
    turn = torch.stack([cos, -sin, sin, cos], dim=1).reshape(-1, 2, 2)
    return (offsets @ turn.mT + scenes.centre[:, None] + 1) * (size / 2) - 0.5


def boxes(scenes: world.Scenes, size: int) -> Tensor:
    """Left, top, right and bottom (n, 4) in pixels of what can be seen of the object."""
    seen = world.silhouettes(scenes, size) > 0.5
    edges: list[Tensor] = []
    for line in (seen.any(1), seen.any(2)):  # columns, rows
        edges += [line.float().argmax(1), size - line.flip(1).float().argmax(1)]
    left, right, top, bottom = edges
    return torch.stack([left, top, right, bottom], dim=1).float()
