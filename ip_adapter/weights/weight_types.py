"""Weight types: tables of factors over the blocks of a UNet, under the names that people know.

Their formulas are those of ComfyUI_IPAdapter_plus, whose transformer index is the position of a block here:
https://github.com/cubiq/ComfyUI_IPAdapter_plus/blob/9d076a3df0d2763cef5510ec5ab807f6632c39f5/IPAdapterPlus.py#L303
https://github.com/cubiq/ComfyUI_IPAdapter_plus/blob/9d076a3df0d2763cef5510ec5ab807f6632c39f5/CrossAttentionPatch.py#L85
Unlike there, the middle block takes part. docs/layer_weights.md shows every table and where its blocks come from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from .blocks import Block

Blocks = tuple[Block, ...]


class Direction(Enum):
    """What the image prompt is to guidance at a block."""

    TOWARD = "toward"  # the positive rows see the positive pictures, the negative rows the negative ones
    AWAY = "away from"  # the negative rows see the positive pictures, the positive rows none


@dataclass(frozen=True)
class Strength:
    """How strongly an adapter acts at a block or site, and which way."""

    factor: float
    direction: Direction = Direction.TOWARD

    def __mul__(self, other: "Strength") -> "Strength":
        away = Direction.AWAY in (self.direction, other.direction)
        return Strength(self.factor * other.factor, Direction.AWAY if away else Direction.TOWARD)


Table = Mapping[Block, Strength]
NONE, FULL = Strength(0.0), Strength(1.0)


def _ease(shape: Callable[[float], float]) -> Callable[[Blocks], Table]:
    """From 0.05 to 1 along `shape` over the position of a block, from 0 to just below 1."""

    def table(blocks: Blocks) -> Table:
        return {block: Strength(0.05 + 0.95 * shape(position / len(blocks))) for position, block in enumerate(blocks)}

    return table


def _parts(**factors: float) -> Callable[[Blocks], Table]:
    """A factor for all blocks of a part; 1 for the parts that are not named."""
    return lambda blocks: {block: Strength(factors.get(block[0], 1.0)) for block in blocks}


def composition_blocks(blocks: Blocks) -> Mapping[Block, float]:
    """The blocks that carry the layout, with their share.

    SDXL and its kin: the last input block, as InstantStyle found (arXiv 2404.02733: down_blocks.2.attentions.1).
    Stable Diffusion 1 and 2: the last input block, and the one before by a quarter (ComfyUI_IPAdapter_plus).
    """
    inputs = [block for block in blocks if block[0] == "input"]
    shares = (1.0, 0.25) if _has_full_resolution(blocks) else (1.0,)
    return dict(zip(reversed(inputs), shares, strict=False))


def style_blocks(blocks: Blocks) -> Blocks:
    """The blocks that carry colours, material and atmosphere.

    SDXL and its kin: the second output block, as InstantStyle (up_blocks.0.attentions.1) and B-LoRA (arXiv 2403.14572)
    found. Stable Diffusion 1 and 2: all but the composition, the middle and the first two output blocks.
    """
    outputs = [block for block in blocks if block[0] == "output"]
    if not _has_full_resolution(blocks):
        return tuple(outputs[1:2])
    composition = composition_blocks(blocks)
    return tuple(block for block in blocks if block[0] == "input" and block not in composition) + tuple(outputs[2:])


def _has_full_resolution(blocks: Blocks) -> bool:
    """Whether even the first input block has cross-attention, as in Stable Diffusion 1 and 2 but not in SDXL."""
    return ("input", 1) in blocks


def _split(style: Strength = NONE, composition: Strength = NONE, others: Strength = NONE) -> Callable[[Blocks], Table]:
    def table(blocks: Blocks) -> Table:
        shares = composition_blocks(blocks)
        of_style = style_blocks(blocks)
        return {
            block: composition * Strength(shares[block]) if block in shares else style if block in of_style else others
            for block in blocks
        }

    return table


WEIGHT_TYPES: Mapping[str, Callable[[Blocks], Table]] = {
    "linear": _parts(),
    "ease in": _ease(lambda x: 1 - x),
    "ease out": _ease(lambda x: x),
    "ease in-out": _ease(lambda x: 1 - abs(2 * x - 1)),
    "reverse in-out": _ease(lambda x: abs(2 * x - 1)),
    "weak input": _parts(input=0.2),
    "weak output": _parts(output=0.2),
    "weak middle": _parts(middle=0.2),
    "strong middle": _parts(input=0.2, output=0.2),
    "style transfer": _split(style=FULL),
    "composition": _split(composition=FULL),
    "strong style transfer": _split(style=FULL, others=FULL),
    "style and composition": _split(style=FULL, composition=FULL),
    "strong style and composition": _parts(),  # differs from linear only where the composition has a picture of its own
    "style transfer precise": _split(style=FULL, composition=Strength(1.0, Direction.AWAY)),
    "composition precise": _split(
        style=Strength(1.0, Direction.AWAY), composition=FULL, others=Strength(0.1, Direction.AWAY)
    ),
    "prompt is more important": _ease(lambda x: x),  # another name for ease out, as in ComfyUI_IPAdapter_plus
}
