"""The demo world: scenes of one object on a background, and the pictures and captions of such scenes.

A scene has four attributes that words can name (shape, colour, texture, background), looks that no word names
(`looks.py`), and some that vary without being asked for (place, size, angle, shade, and a little where stripes and dots
lie). Pictures are drawn from signed distances, so edges are antialiased at every size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from . import looks

SHAPES = ("circle", "square", "triangle", "star", "heart", "cross")
COLOURS = ("red", "yellow", "green", "cyan", "blue", "pink", "white", "black")
TEXTURES = ("plain", "striped", "dotted")
ATTRIBUTES = {"shape": SHAPES, "colour": COLOURS, "texture": TEXTURES, "background": COLOURS}

# Stripes and dots are coarse enough to be told from outlines and patterns at 16x16 latents, and one of them lies near
# the object's centre: a small model that must guess where they lie draws their mean, which is none.
_PERIOD, _PHASE = (0.47, 0.55), (0.4, 0.6)

_RGB = torch.tensor(
    [
        [0.86, 0.12, 0.12],
        [0.95, 0.85, 0.10],
        [0.10, 0.62, 0.16],
        [0.10, 0.80, 0.85],
        [0.12, 0.20, 0.85],
        [0.95, 0.45, 0.75],
        [0.96, 0.96, 0.96],
        [0.05, 0.05, 0.05],
    ]
)


@dataclass(frozen=True)
class Scenes:
    """A batch of scenes: one row per scene in every tensor; lengths are in half frames, angles in radians."""

    labels: Tensor  # (n, 4) indices into ATTRIBUTES, in its order
    centre: Tensor  # (n, 2)
    radius: Tensor  # (n,)
    angle: Tensor  # (n,)
    period: Tensor  # (n,) of stripes and dots
    phase: Tensor  # (n, 2) in periods
    jitter: Tensor  # (n, 2, 3) added to the colour of object and background
    gradient: Tensor  # (n, 2) change of the background's brightness per half frame
    looks: looks.Looks

    def __len__(self) -> int:
        return self.labels.shape[0]

    def rows(self, index: Tensor | slice) -> Scenes:
        return Scenes(**{name: value[index] for name, value in self.__dict__.items()})

    def with_labels(self, labels: Tensor) -> Scenes:
        return replace(self, labels=labels)

    def look_labels(self) -> Tensor:
        """What is to be seen of the looks, (n, 5) in the order of `looks.LOOKS`; UNKNOWN where there is none."""
        labels = self.looks.labels()
        return torch.cat([labels[:, :1], looks.outlines(self.looks, self.taken())[:, None], labels[:, 2:]], dim=1)

    def taken(self) -> Tensor:
        """Whether object or background are black, and whether one of them is white, (n, 2)."""
        names = self.labels[:, [1, 3]]
        return torch.stack([(names == COLOURS.index(name)).any(dim=1) for name in ("black", "white")], dim=1)


def sample_scenes(n: int, generator: torch.Generator) -> Scenes:
    """n plain scenes with every attribute uniform, the background's colour never that of the object."""

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    def integers(high: int) -> Tensor:
        return torch.randint(high, (n,), generator=generator)

    colour = integers(len(COLOURS))
    background = (colour + 1 + integers(len(COLOURS) - 1)) % len(COLOURS)
    return Scenes(
        labels=torch.stack([integers(len(SHAPES)), colour, integers(len(TEXTURES)), background], dim=1),
        centre=uniform(-0.12, 0.12, 2),
        radius=uniform(0.60, 0.82),
        angle=uniform(-math.pi / 12, math.pi / 12),
        period=uniform(*_PERIOD),
        phase=uniform(*_PHASE, 2),
        jitter=uniform(-0.02, 0.02, 2, 3),
        gradient=uniform(-0.05, 0.05, 2),
        looks=looks.plain(n),
    )


def sample_styled_scenes(n: int, generator: torch.Generator, plain_share: float = looks.PLAIN_SHARE) -> Scenes:
    """The same scenes as `sample_scenes` draws, with looks, but for a share of plain ones."""
    scenes = sample_scenes(n, generator)
    return replace(scenes, looks=looks.sample_looks(n, generator, plain_share))


def _polygon(x: Tensor, y: Tensor, edges: Sequence[tuple[float, float]], offset: Tensor) -> Tensor:
    distances = [x * nx + y * ny - offset for nx, ny in edges]
    return torch.stack(distances).amax(dim=0)


def _circle(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    return torch.hypot(x, y) - r


def _box(x: Tensor, y: Tensor, half_width: Tensor, half_height: Tensor) -> Tensor:
    return torch.maximum(x.abs() - half_width, y.abs() - half_height)


def _square(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    return _box(x, y, 0.84 * r, 0.84 * r)


def _triangle(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    normals = [(math.sin(a), math.cos(a)) for a in (0.0, 2 * math.pi / 3, 4 * math.pi / 3)]
    return _polygon(x, y - 0.15 * r, normals, 0.60 * r)


def _star(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    wedge = math.pi / 5
    angle = torch.atan2(x, -y)
    folded = (torch.remainder(angle + wedge, 2 * wedge) - wedge).abs()
    radius = torch.hypot(x, y)
    px, py = radius * folded.cos(), radius * folded.sin()
    outer, inner = 1.08 * r, 0.48 * r  # from the tip (outer, 0) to the notch at the wedge's end
    ex, ey = inner * math.cos(wedge) - outer, inner * math.sin(wedge)
    length = torch.hypot(ex, ey)
    return ((px - outer) * ey - py * ex) / length


def _heart(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    """A square standing on its corner and a disc on each of its two upper sides."""
    half = 0.56 * r
    y = y - 0.14 * r
    u, v = (x - y) / math.sqrt(2), (-x - y) / math.sqrt(2)
    zero = torch.zeros_like(half)
    discs = torch.minimum(torch.hypot(u - half, v - zero) - half, torch.hypot(u - zero, v - half) - half)
    return torch.minimum(torch.maximum(u.abs(), v.abs()) - half, discs)


def _cross(x: Tensor, y: Tensor, r: Tensor) -> Tensor:
    return torch.minimum(_box(x, y, 0.95 * r, 0.32 * r), _box(x, y, 0.32 * r, 0.95 * r))


_DISTANCE = dict(zip(SHAPES, (_circle, _square, _triangle, _star, _heart, _cross), strict=True))


def _coverage(distance: Tensor, size: int) -> Tensor:
    """How much of each pixel lies inside, for a distance in half frames."""
    return (0.5 - distance * size / 2).clamp(0, 1)


def _frame(scenes: Scenes, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pixel centres in the frame's and in the object's coordinates, each (n, size, size); y points down."""
    axis = (torch.arange(size) + 0.5) * (2 / size) - 1
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    dx = x - scenes.centre[:, 0, None, None]
    dy = y - scenes.centre[:, 1, None, None]
    cos, sin = scenes.angle.cos()[:, None, None], scenes.angle.sin()[:, None, None]
    return x, y, dx * cos + dy * sin, dy * cos - dx * sin


def _distances(scenes: Scenes, u: Tensor, v: Tensor) -> Tensor:
    """From the object's edge, in half frames, negative inside; at points in its coordinates (n, size, size)."""
    radius = scenes.radius[:, None, None]
    distances = torch.zeros_like(u)
    for index, distance in enumerate(_DISTANCE.values()):
        rows = scenes.labels[:, 0] == index
        if rows.any():
            distances[rows] = distance(u[rows], v[rows], radius[rows])
    return distances


def silhouettes(scenes: Scenes, size: int) -> Tensor:
    """Coverage of the object, (n, size, size) in [0, 1]."""
    _, _, u, v = _frame(scenes, size)
    return _coverage(_distances(scenes, u, v), size)


def _pattern(scenes: Scenes, u: Tensor, v: Tensor, size: int) -> Tensor:
    """Coverage of the second tone, (n, size, size)."""
    period = scenes.period[:, None, None]
    phase = scenes.phase[:, :, None, None]

    def to_nearest(t: Tensor, shift: Tensor) -> Tensor:
        return (torch.remainder(t / period + shift, 1.0) - 0.5) * period

    du, dv = to_nearest(u, phase[:, 0]), to_nearest(v, phase[:, 1])
    stripes = _coverage(dv.abs() - 0.25 * period, size)
    dots = _coverage(torch.hypot(du, dv) - 0.32 * period, size)
    texture = scenes.labels[:, 2, None, None]
    return torch.where(texture == 1, stripes, torch.where(texture == 2, dots, torch.zeros_like(dots)))


def _second_tone(colour: Tensor) -> Tensor:
    """A clearly darker tone of a bright colour, a clearly lighter one of a dark colour."""
    return torch.where(looks.is_dark(colour), colour + 0.5 * (1 - colour), 0.5 * colour)


def _background(scenes: Scenes, x: Tensor, y: Tensor, distance: Tensor) -> Tensor:
    """All but the object, (n, 3, size, size), at the pixel centres x and y, `distance` from the object."""
    seen, size = scenes.looks, x.shape[-1]
    coverage = partial(_coverage, size=size)
    ground = (_RGB[scenes.labels[:, 3]] + scenes.jitter[:, 1]).clamp(0, 1)
    shade = scenes.gradient[:, 0, None, None] * x + scenes.gradient[:, 1, None, None] * y
    picture = looks.lit(seen, looks.background(seen, ground, x, y, coverage) + shade[:, None], x, y)
    fallen = replace(scenes, centre=scenes.centre + looks.shadow_offset(seen))
    picture = looks.shadowed(seen, picture, ground, _distances(fallen, *_frame(fallen, size)[2:]))
    return looks.outlined(seen, picture, scenes.taken(), distance, coverage)


def _surface(scenes: Scenes, x: Tensor, y: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """The object's colours (n, 3, size, size) at pixel centres in the frame's and in the object's coordinates."""
    colour = (_RGB[scenes.labels[:, 1]] + scenes.jitter[:, 0]).clamp(0, 1)
    pattern = _pattern(scenes, u, v, x.shape[-1])[:, None]
    surface = torch.lerp(colour[:, :, None, None], _second_tone(colour)[:, :, None, None], pattern)
    centre, radius = scenes.centre[:, :, None, None], scenes.radius[:, None, None]
    return looks.drawn(scenes.looks, surface, (x - centre[:, 0]) / radius, (y - centre[:, 1]) / radius)


def render(scenes: Scenes, size: int = 128) -> Tensor:
    """Pictures of the scenes, (n, 3, size, size) in [0, 1]."""
    x, y, u, v = _frame(scenes, size)
    distance = _distances(scenes, u, v)
    background, surface = _background(scenes, x, y, distance), _surface(scenes, x, y, u, v)
    picture = torch.lerp(background, surface, _coverage(distance, size)[:, None])
    return looks.tinted(scenes.looks, picture).clamp(0, 1)


def caption(labels: Sequence[int], keep: Sequence[bool] = (True, True, True, True)) -> str:
    """A caption that names the kept attributes, as "a striped red star on a blue background"."""
    shape, colour, texture, background = (
        values[label] if kept else "" for values, label, kept in zip(ATTRIBUTES.values(), labels, keep, strict=True)
    )
    thing = " ".join(word for word in ("a", texture, colour, shape) if word)
    if thing == "a":
        return f"a {background} background" if background else ""
    return f"{thing} on a {background} background" if background else thing
