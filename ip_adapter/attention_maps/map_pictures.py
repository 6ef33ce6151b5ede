"""Attention maps as pictures: heat over the picture that was made, with a label."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import shorten

import torch
from torch import Tensor
from torch.nn import functional

from ...models.shapes import Float
from ..enums import NamedEnum
from ..errors import SettingError
from ..weights.plot import FAINT, Canvas
from .fit import fitted
from .maps import AttentionMap

LINE, MARGIN, BAR = 20, 6, 72
# Of matplotlib's "inferno", CC0, whose lightness rises evenly:
# https://github.com/matplotlib/matplotlib/blob/v3.9.0/lib/matplotlib/_cm_listed.py
_HEAT = torch.tensor([[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]]) / 255


class Scale(NamedEnum):
    """What the darkest and the brightest colour stand for."""

    ALL = "all maps alike"  # the lowest and the highest value of all maps together
    EACH = "each map"  # those of the map itself


@dataclass(frozen=True)
class HeatmapStyle:
    """How maps are drawn: how much the heat covers of the picture, and the longer side of each in pixels."""

    scale: Scale = Scale.ALL
    strength: float = 0.6
    size: int = 384

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise SettingError(f"Expected a strength from 0 to 1, got {self.strength}.")


def map_pictures(
    maps: Sequence[AttentionMap], pictures: Float[Tensor, "rows 3 height width"], style: HeatmapStyle
) -> tuple[Float[Tensor, "maps 3 label_and_h w"], Float[Tensor, "maps h w"]]:
    """Every map over the picture of its latent, and without picture and label as a mask from 0 to 1.

    Raises SettingError unless there is a picture for every latent.
    """
    rows = max(one.row for one in maps) + 1
    if len(pictures) != rows:
        raise SettingError(f"Expected the pictures of the {rows} recorded latents, decoded, got {len(pictures)}.")
    grounds = fitted(pictures.cpu(), style.size).mean(1, keepdim=True)
    ranges = [_range(maps if style.scale is Scale.ALL else [one]) for one in maps]
    levels = [_levels(one.values, lowest, highest) for one, (lowest, highest) in zip(maps, ranges, strict=True)]
    masks = functional.interpolate(torch.stack(levels)[:, None], grounds.shape[-2:], mode="bilinear")[:, 0].clamp(0, 1)
    shown = [
        torch.cat([_label(one, rows, masks.shape[-1], scale), _over(grounds[one.row], mask, style.strength)], dim=1)
        for one, mask, scale in zip(maps, masks, ranges, strict=True)
    ]
    return torch.stack(shown), masks


def heat(levels: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape 3"]:
    """The colour of levels from 0, dark, to 1, bright."""
    place = levels.clamp(0, 1) * (len(_HEAT) - 1)
    below = place.long().clamp(max=len(_HEAT) - 2)
    return torch.lerp(_HEAT[below], _HEAT[below + 1], (place - below)[..., None])


def _over(ground: Tensor, mask: Tensor, strength: float) -> Float[Tensor, "3 height width"]:
    return torch.lerp(ground.expand(3, -1, -1), heat(mask).movedim(-1, 0), strength)


def _range(maps: Sequence[AttentionMap]) -> tuple[float, float]:
    return min(float(one.values.min()) for one in maps), max(float(one.values.max()) for one in maps)


def _levels(values: Tensor, lowest: float, highest: float) -> Tensor:
    return (values - lowest) / (highest - lowest) if highest > lowest else torch.zeros_like(values)


def _label(one: AttentionMap, rows: int, width: int, scale: tuple[float, float]) -> Float[Tensor, "3 strip width"]:
    """Three lines above the map: what it is of, where and when, and its lowest and highest value on the scale."""
    canvas = Canvas(width, 3 * LINE + MARGIN)
    latent = f"latent {one.row + 1}, " if rows > 1 else ""
    start, end = (round(100 * share) for share in one.span)
    letters = max(12, width // 8)
    canvas.text((MARGIN, LINE * 0.7), shorten(latent + one.subject, letters, placeholder=".."), 15)
    canvas.text((MARGIN, LINE * 1.7), shorten(f"{one.layers}, steps {start}-{end} %", letters, placeholder=".."), 13)
    lowest, highest = scale
    canvas.text((MARGIN, LINE * 2.7), f"{float(one.values.min()):.3g} to {float(one.values.max()):.3g}", 13)
    _draw_bar(canvas, LINE * 2.7, (f"{lowest:.2g}", f"{highest:.2g}"))
    return canvas.picture()[0]


def _draw_bar(canvas: Canvas, middle: float, ends: tuple[str, str]) -> None:
    """The colours of the scale with their values at both ends, up to the right margin."""
    margin = canvas.width - MARGIN
    canvas.text((margin, middle), ends[1], 13, anchor="rm")
    right = margin - 8 * len(ends[1])
    colours = (heat(torch.linspace(0, 1, BAR)) * 255).round().long().tolist()
    for step, colour in enumerate(colours):
        x = right - BAR + step
        canvas.box((x, middle - 5, x + 1, middle + 5), tuple(colour))
    canvas.box((right - BAR - 1, middle + 5, right, middle + 6), FAINT)
    canvas.text((right - BAR - 4, middle), ends[0], 13, anchor="rm")
