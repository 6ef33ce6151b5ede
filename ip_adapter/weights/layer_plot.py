"""A picture of layer weights over the blocks of a base model."""

from collections.abc import Sequence
from itertools import groupby
from textwrap import shorten

from torch import Tensor

from ...models.shapes import Float
from ..bases.backbone import Block, Column, Site
from ..bases.backbones import backbone_of, block_name, block_of, blocks_of
from ..bases.base_models import base_name
from .layer_weights import LayerWeights
from .plot import BLUE, FAINT, INK, ORANGE, PAPER, VERMILION, Canvas, Colour
from .weight_types import Direction, Strength

WIDTH, MARGIN, TITLE, LEGEND = 768, 24, 64, 40
BOX_WIDTH, BOX_HEIGHT, GAP, LEVEL = 116, 92, 8, 124
_LEGEND = {BLUE: "toward the picture", ORANGE: "minus the picture", VERMILION: "away: guidance avoids the picture"}


def layer_picture(weights: LayerWeights, sites: Sequence[Site]) -> Float[Tensor, "1 3 height 768"]:
    """A box for every block in the column of its part; in it a bar for every depth.

    Raises SettingError for weights of layers that are not among the sites.
    """
    strengths = weights.at(sites)
    places = _places(sites)
    bottom = max(top for _, top in places.values()) + BOX_HEIGHT
    canvas = Canvas(WIDTH, round(bottom + LEGEND + MARGIN))
    canvas.text((MARGIN, 24), shorten(", ".join(filter(None, [weights.weight_type, weights.text()])), 80), 19)
    canvas.text((MARGIN, 48), base_name(sites[0].context_width, len(sites)), 14)
    blocks = blocks_of(sites)
    _draw_way(canvas, [places[block] for block in blocks])
    full = max(1.0, *(abs(strength.factor) for strength in strengths))
    for block in blocks:
        depths = [strength for site, strength in zip(sites, strengths, strict=True) if block_of(site) == block]
        _draw_block(canvas, places[block], block, depths, full)
    _draw_legend(canvas, bottom + LEGEND, [_colour(strength) for strength in strengths if strength.factor])
    return canvas.picture()


def _levels(sites: Sequence[Site], column: Column) -> list[list[Block]]:
    """The blocks of a column, those of equal width together, from the top of the network downwards."""
    backbone = backbone_of(blocks_of(sites))
    widths = {block_of(site): site.width for site in sites if backbone.part(site.block[0]).column is column}
    blocks = sorted(widths, key=backbone.position, reverse=column is Column.RIGHT)
    levels = [list(level) for _, level in groupby(blocks, key=widths.__getitem__)]
    return [sorted(level) for level in levels]


def _places(sites: Sequence[Site]) -> dict[Block, tuple[float, float]]:
    """Left and top of every block's box."""
    places: dict[Block, tuple[float, float]] = {}
    inputs, outputs = _levels(sites, Column.LEFT), _levels(sites, Column.RIGHT)
    for row, level in enumerate(inputs):
        for column, block in enumerate(level):
            places[block] = (MARGIN + column * (BOX_WIDTH + GAP), TITLE + row * LEVEL)
    for row, level in enumerate(outputs):
        left = WIDTH - MARGIN + GAP - len(level) * (BOX_WIDTH + GAP)
        for column, block in enumerate(level):
            places[block] = (left + column * (BOX_WIDTH + GAP), TITLE + row * LEVEL)
    below = TITLE + max(len(inputs), len(outputs)) * LEVEL
    for level in _levels(sites, Column.BELOW):
        places[level[0]] = ((WIDTH - BOX_WIDTH) / 2, below)
    return places


def _draw_way(canvas: Canvas, places: Sequence[tuple[float, float]]) -> None:
    """The way of a picture through the blocks, behind their boxes."""
    canvas.line([(left + BOX_WIDTH / 2, top + BOX_HEIGHT / 2) for left, top in places], FAINT, 3)


def _draw_block(
    canvas: Canvas, place: tuple[float, float], block: Block, strengths: Sequence[Strength], full: float
) -> None:
    left, top = place
    canvas.box((left, top, left + BOX_WIDTH, top + BOX_HEIGHT), PAPER, FAINT)
    canvas.text((left + 8, top + 14), block_name(block), 16)
    canvas.text((left + BOX_WIDTH - 8, top + 14), _in_words(strengths), 14, anchor="rm")
    base, room, step = top + BOX_HEIGHT - 8, BOX_HEIGHT - 38, (BOX_WIDTH - 16) / len(strengths)
    for depth, strength in enumerate(strengths):
        start = left + 8 + depth * step
        height = room * abs(strength.factor) / full
        canvas.box((start, base - height, start + step - 2, base), _colour(strength))
    canvas.line([(left + 8, base), (left + BOX_WIDTH - 8, base)], INK)


def _in_words(strengths: Sequence[Strength]) -> str:
    low, high = (choose(strength.factor for strength in strengths) for choose in (min, max))
    return f"{high:.3g}" if low == high else f"{low:.3g} to {high:.3g}"


def _colour(strength: Strength) -> Colour:
    if strength.direction is Direction.AWAY:
        return VERMILION
    return BLUE if strength.factor >= 0 else ORANGE


def _draw_legend(canvas: Canvas, top: float, colours: Sequence[Colour]) -> None:
    left = MARGIN
    for colour in (colour for colour in _LEGEND if colour in colours):
        canvas.box((left, top - 7, left + 14, top + 7), colour)
        canvas.text((left + 22, top), _LEGEND[colour], 14)
        left += 250
