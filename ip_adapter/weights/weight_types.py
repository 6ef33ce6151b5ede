"""Weight types: tables of factors over the blocks of a base model, under the names that people know.

Their formulas are those of ComfyUI_IPAdapter_plus, whose transformer index is the position of a block here:
https://github.com/cubiq/ComfyUI_IPAdapter_plus/blob/9d076a3df0d2763cef5510ec5ab807f6632c39f5/IPAdapterPlus.py#L303
https://github.com/cubiq/ComfyUI_IPAdapter_plus/blob/9d076a3df0d2763cef5510ec5ab807f6632c39f5/CrossAttentionPatch.py#L85
Unlike there, the middle block takes part. docs/layer_weights.md shows every table and where its blocks come from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from ..bases.backbone import Block, BlockRole
from ..bases.backbones import backbone_of
from ..errors import SettingError

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
_WEAK = 0.2


def _ease(shape: Callable[[float], float]) -> Callable[[Blocks], Table]:
    """From 0.05 to 1 along `shape` over the position of a block, from 0 to just below 1."""

    def table(blocks: Blocks) -> Table:
        return {block: Strength(0.05 + 0.95 * shape(position / len(blocks))) for position, block in enumerate(blocks)}

    return table


def _except(*roles: BlockRole) -> Callable[[Blocks], Table]:
    """A fifth for the blocks of these roles, 1 for all others."""

    def table(blocks: Blocks) -> Table:
        weak = {block for role in roles for block in _shares(blocks, role)}
        return {block: Strength(_WEAK if block in weak else 1.0) for block in blocks}

    return table


def _even(blocks: Blocks) -> Table:
    return dict.fromkeys(blocks, FULL)


def _shares(blocks: Blocks, role: BlockRole) -> Mapping[Block, float]:
    """Raises SettingError for a role that no block of the model is known to have."""
    backbone = backbone_of(blocks)
    shares = backbone.roles(blocks).get(role)
    if shares is None:
        raise SettingError(
            f"This weight type distinguishes blocks by their {role.value}, which is not known of a {backbone.name}. "
            "Choose another weight type."
        )
    return shares


def _split(style: Strength = NONE, composition: Strength = NONE, others: Strength = NONE) -> Callable[[Blocks], Table]:
    def table(blocks: Blocks) -> Table:
        shares = _shares(blocks, BlockRole.COMPOSITION)
        of_style = _shares(blocks, BlockRole.STYLE)
        return {
            block: composition * Strength(shares[block]) if block in shares else style if block in of_style else others
            for block in blocks
        }

    return table


WEIGHT_TYPES: Mapping[str, Callable[[Blocks], Table]] = {
    "linear": _even,
    "ease in": _ease(lambda x: 1 - x),
    "ease out": _ease(lambda x: x),
    "ease in-out": _ease(lambda x: 1 - abs(2 * x - 1)),
    "reverse in-out": _ease(lambda x: abs(2 * x - 1)),
    "weak input": _except(BlockRole.ENCODER),
    "weak output": _except(BlockRole.DECODER),
    "weak middle": _except(BlockRole.BOTTLENECK),
    "strong middle": _except(BlockRole.ENCODER, BlockRole.DECODER),
    "style transfer": _split(style=FULL),
    "composition": _split(composition=FULL),
    "strong style transfer": _split(style=FULL, others=FULL),
    "style and composition": _split(style=FULL, composition=FULL),
    "strong style and composition": _even,  # differs from linear only where the composition has a picture of its own
    "style transfer precise": _split(style=FULL, composition=Strength(1.0, Direction.AWAY)),
    "composition precise": _split(
        style=Strength(1.0, Direction.AWAY), composition=FULL, others=Strength(0.1, Direction.AWAY)
    ),
    "prompt is more important": _ease(lambda x: x),  # another name for ease out, as in ComfyUI_IPAdapter_plus
}
