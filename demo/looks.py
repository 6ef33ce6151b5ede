"""How a scene of the demo world is drawn: what a picture of it shows and no word of a caption says.

Two of these looks are continuous, the warmth of the light and the side it comes from; the others are of a few kinds:
the pattern of the background, the outline, and the style in which the object is drawn. A plain scene has none of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

PATTERNS = ("even", "horizon", "spotlight", "columns", "diagonal")
OUTLINES = ("none", "thin black", "thin white", "thick black", "thick white")
STYLES = ("flat", "shaded", "glossy", "shadow")
KINDS = {"pattern": PATTERNS, "outline": OUTLINES, "style": STYLES}
DIRECTIONS, WARMTHS = 8, 8  # steps in which the continuous looks are read
LOOKS = {name: len(values) for name, values in KINDS.items()} | {"light": DIRECTIONS, "warmth": WARMTHS}
UNKNOWN = -1  # for light and warmth of a scene that has none

PLAIN_SHARE = 0.2  # of scenes with looks drawn at random
SECOND_GROUND, LIGHT, TINT = 0.50, 0.28, 0.32  # how far colours go to another tone
THIN, THICK = 0.06, 0.12  # widths of outlines, in half frames
GLOSS, GLOSS_SIZE = 0.9, 0.4  # how white a highlight is, and its size in radii of the object
SHADE = 0.75
SHADOW, SHADOW_REACH, SHADOW_EDGE = 0.75, 0.24, 0.06
_WARM, _COLD = torch.tensor([1.0, 0.55, 0.1]), torch.tensor([0.1, 0.4, 1.0])
_LUMA = torch.tensor([0.299, 0.587, 0.114])
_DARK = 0.30


@dataclass(frozen=True)
class Looks:
    """The looks of a batch of scenes, one row per scene."""

    kinds: Tensor  # (n, 3) indices into the values of `KINDS`
    shift: Tensor  # (n, 2) in [-1, 1], where the pattern's edges lie
    light: Tensor  # (n,) angle of the side that the light comes from, in radians
    warmth: Tensor  # (n,) from cold, -1, to warm, 1
    lit: Tensor  # (n,) 1 where there is light with a side and a warmth, else 0

    def __len__(self) -> int:
        return self.kinds.shape[0]

    def __getitem__(self, index: Tensor | slice) -> Looks:
        return Looks(**{name: value[index] for name, value in self.__dict__.items()})

    def labels(self) -> Tensor:
        """(n, 5) in the order of `LOOKS`, continuous ones in steps; UNKNOWN where there is none to read."""
        sector = (self.light / (2 * math.pi) * DIRECTIONS).round().long() % DIRECTIONS
        step = ((self.warmth + 1) / 2 * WARMTHS).floor().long().clamp(0, WARMTHS - 1)
        continuous = torch.stack([sector, step], dim=1)
        return torch.cat([self.kinds, continuous.where(self.lit[:, None] > 0, UNKNOWN)], dim=1)


def plain(n: int) -> Looks:
    """The looks of n plain scenes."""
    return Looks(torch.zeros(n, 3, dtype=torch.long), torch.zeros(n, 2), *(torch.zeros(n) for _ in range(3)))


def sample_looks(n: int, generator: torch.Generator, plain_share: float = PLAIN_SHARE) -> Looks:
    """Every look uniform and independent of the others, but for a share of plain scenes."""
    kinds = [torch.randint(len(values), (n,), generator=generator) for values in KINDS.values()]
    shift = 2 * torch.rand(n, 2, generator=generator) - 1
    light = 2 * math.pi * torch.rand(n, generator=generator)
    warmth = 2 * torch.rand(n, generator=generator) - 1
    lit = (torch.rand(n, generator=generator) >= plain_share).float()
    styled = lit.long()
    return Looks(torch.stack(kinds, dim=1) * styled[:, None], shift, light, warmth * lit, lit)


def _towards(colours: Tensor, target: Tensor | float, share: Tensor | float) -> Tensor:
    return colours + (target - colours) * share


def is_dark(colour: Tensor) -> Tensor:
    """Of colours (n, 3), (n, 1)."""
    return (colour @ _LUMA)[:, None] < _DARK


def _opposite(colour: Tensor) -> Tensor:
    """White for a dark colour (n, 3), else black, (n, 1)."""
    return is_dark(colour).float()


def _direction(looks: Looks) -> tuple[Tensor, Tensor]:
    return looks.light.cos()[:, None, None], looks.light.sin()[:, None, None]


def background(looks: Looks, ground: Tensor, x: Tensor, y: Tensor, coverage: Callable[[Tensor], Tensor]) -> Tensor:
    """The background (n, 3, size, size) of a colour (n, 3), at the pixel centres x and y (size, size).

    `coverage` turns distances in half frames, negative inside, into how much of each pixel lies inside.
    """
    first, second = (0.12 * looks.shift[:, axis, None, None] for axis in (0, 1))
    inside = torch.stack(
        [
            torch.zeros(len(looks), *x.shape),
            coverage(first - y),
            coverage(0.92 - torch.hypot(x - first, y - second)),
            coverage(0.5 - (x - first).abs()),
            coverage(first - (x + y) / math.sqrt(2)),
        ]
    )
    chosen = inside[looks.kinds[:, 0], torch.arange(len(looks))]
    tone = _towards(ground, _opposite(ground), SECOND_GROUND)
    return torch.lerp(ground[:, :, None, None], tone[:, :, None, None], chosen[:, None])


def lit(looks: Looks, colours: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The background lighter on the side of the light and darker on the other."""
    cos, sin = _direction(looks)
    share = LIGHT * looks.lit[:, None, None, None] * (x * cos + y * sin)[:, None]
    return _towards(_towards(colours, 1.0, share.clamp(min=0)), 0.0, (-share).clamp(min=0))


def shadow_offset(looks: Looks) -> Tensor:
    """Where the object's shadow falls, (n, 2) in half frames from the object."""
    return -SHADOW_REACH * torch.stack([looks.light.cos(), looks.light.sin()], dim=1)


def shadowed(looks: Looks, colours: Tensor, ground: Tensor, distance: Tensor) -> Tensor:
    """The background under the shadow, whose distances (n, size, size) are given; light on a dark background."""
    soft = (0.5 - distance / SHADOW_EDGE).clamp(0, 1) * (looks.kinds[:, 2] == 3)[:, None, None]
    return _towards(colours, _opposite(ground)[:, :, None, None], SHADOW * soft[:, None])


def outlined(
    looks: Looks, colours: Tensor, names: Tensor, distance: Tensor, coverage: Callable[[Tensor], Tensor]
) -> Tensor:
    """With the outline drawn around the object, whose distances are given.

    `names` (n, 2) says which of black and white the outline can't have, since object or background have it.
    """
    kind = outlines(looks, names)
    width = torch.tensor([0.0, THIN, THIN, THICK, THICK])[kind][:, None, None]
    white = torch.tensor([0.0, 0.0, 1.0, 0.0, 1.0])[kind][:, None, None, None]
    band = coverage(distance - width) * (kind > 0)[:, None, None]
    return _towards(colours, white, band[:, None])


def outlines(looks: Looks, taken: Tensor) -> Tensor:
    """The outline (n,) that is drawn: of the other colour where its own is taken, and none where both are."""
    kind = looks.kinds[:, 1]
    is_white = (kind == 2) | (kind == 4)
    own = torch.where(is_white, taken[:, 1], taken[:, 0])
    other = torch.where(is_white, taken[:, 0], taken[:, 1])
    swapped = torch.where(is_white, kind - 1, kind + 1)
    return torch.where((kind == 0) | (own & other), 0, torch.where(own, swapped, kind))


def drawn(looks: Looks, surface: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The object's surface in its style; x and y are in the frame's directions, from its centre, in its radii."""
    cos, sin = _direction(looks)
    style = looks.kinds[:, 2, None, None]
    along = (x * cos + y * sin).clamp(-1, 1)
    shade = SHADE * along * (style == 1)
    spot = torch.hypot(x - 0.35 * cos, y - 0.35 * sin) / GLOSS_SIZE
    gloss = GLOSS * torch.exp(-spot.square()) * (style == 2)
    lighter = torch.maximum(shade.clamp(min=0), gloss)[:, None]
    return _towards(_towards(surface, 1.0, lighter), 0.0, (-shade).clamp(min=0)[:, None])


def tinted(looks: Looks, pictures: Tensor) -> Tensor:
    """Everything in the light's colour."""
    colour = torch.where(looks.warmth[:, None] > 0, _WARM, _COLD)
    return _towards(pictures, colour[:, :, None, None], TINT * looks.warmth.abs()[:, None, None, None])
