"""The UNets of Stable Diffusion 1, 2 and XL and their kin."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from .backbone import COMPILED, Backbone, BackbonePart, Block, BlockRole, BranchEntry, Column, Site

# The published order is that of diffusers' `unet.attn_processors`: down blocks, up blocks, then the middle.
_ORDER = {"input_blocks": 0, "output_blocks": 1, "middle_block": 2}
_PATH = re.compile(r"^(input_blocks|output_blocks|middle_block)\.(\d+)\.(?:(\d+)\.)?transformer_blocks\.(\d+)$")
INPUT, MIDDLE, OUTPUT = "input", "middle", "output"
SELF, CROSS = 1, 2  # the attentions of a block, by the host's numbers


class UNet(Backbone):
    """The host's UNetModel: cross-attentions called attn2 in transformer blocks.

    Published files count self-attentions too, even numbers, so that cross-attentions have the odd ones.
    """

    name = "UNet"
    entry = BranchEntry.CROSS_ATTENTION
    parts = (
        BackbonePart(INPUT, "in", Column.LEFT),
        BackbonePart(MIDDLE, "mid", Column.BELOW, is_numbered=False),
        BackbonePart(OUTPUT, "out", Column.RIGHT),
    )

    def sites(self, network: nn.Module) -> tuple[Site, ...]:
        found = [(order, site) for name, module in network.named_modules() for order, site in _site(name, module)]
        return tuple(site for _, site in sorted(found, key=lambda pair: pair[0]))

    def number(self, position: int) -> int:
        return self.numbered(position, CROSS)

    def numbered(self, position: int, attention: int) -> int:
        """The published number of the SELF or CROSS attention in the block of the site at a position."""
        return 2 * position + attention - SELF

    def attention(self, number: int) -> tuple[int, int]:
        """Position and attention, SELF or CROSS, of a published number."""
        position, which = divmod(number, 2)
        return position, which + SELF

    def vector_width(self, network: nn.Module) -> int | None:
        try:
            embedding = getattr(network, COMPILED, network).get_submodule("label_emb.0.0")
        except AttributeError:
            return None
        return getattr(embedding, "in_features", None)

    def roles(self, blocks: Sequence[Block]) -> Mapping[BlockRole, Mapping[Block, float]]:
        return {
            BlockRole.ENCODER: _of_part(blocks, INPUT),
            BlockRole.BOTTLENECK: _of_part(blocks, MIDDLE),
            BlockRole.DECODER: _of_part(blocks, OUTPUT),
            BlockRole.COMPOSITION: composition_blocks(blocks),
            BlockRole.STYLE: dict.fromkeys(style_blocks(blocks), 1.0),
        }


UNET = UNet()
Layers = Mapping[int, tuple[int, int]]  # number of the block: (width, transformers deep)


@dataclass(frozen=True)
class UNetLayout:
    """Where a published UNet has cross-attention, for pictures and tables without a model at hand.

    What is applied to a model always follows from the model itself.
    """

    inputs: Layers
    outputs: Layers
    middle: Layers
    context_width: int
    heads: int | None = None  # everywhere alike; else one per 64 channels

    def sites(self) -> tuple[Site, ...]:
        """In published order."""
        parts = {INPUT: self.inputs, OUTPUT: self.outputs, MIDDLE: self.middle}
        return tuple(
            Site((part, number, depth), width, self.context_width, self.heads or width // 64)
            for part, blocks in parts.items()
            for number, (width, depths) in blocks.items()
            for depth in range(depths)
        )


def composition_blocks(blocks: Sequence[Block]) -> Mapping[Block, float]:
    """The blocks that carry the layout, with their share.

    SDXL and its kin: the last input block, as InstantStyle found (arXiv 2404.02733: down_blocks.2.attentions.1).
    Stable Diffusion 1 and 2: the last input block, and the one before by a quarter (ComfyUI_IPAdapter_plus).
    """
    shares = (1.0, 0.25) if _has_full_resolution(blocks) else (1.0,)
    return dict(zip(reversed(list(_of_part(blocks, INPUT))), shares, strict=False))


def style_blocks(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """The blocks that carry colours, material and atmosphere.

    SDXL and its kin: the second output block, as InstantStyle (up_blocks.0.attentions.1) and B-LoRA (arXiv 2403.14572)
    found. Stable Diffusion 1 and 2: all but the composition, the middle and the first two output blocks.
    """
    outputs = list(_of_part(blocks, OUTPUT))
    if not _has_full_resolution(blocks):
        return tuple(outputs[1:2])
    composition = composition_blocks(blocks)
    return (*(block for block in _of_part(blocks, INPUT) if block not in composition), *outputs[2:])


def _of_part(blocks: Sequence[Block], part: str) -> dict[Block, float]:
    return {block: 1.0 for block in blocks if block[0] == part}


def _has_full_resolution(blocks: Sequence[Block]) -> bool:
    """Whether even the first input block has cross-attention, as in Stable Diffusion 1 and 2 but not in SDXL."""
    return (INPUT, 1) in blocks


def _site(name: str, module: Any) -> Iterator[tuple[tuple[int, int, int], Site]]:
    path = ".".join(part for part in name.split(".") if part != COMPILED)
    match = _PATH.match(path)
    attention = getattr(module, "attn2", None)
    if match is None or attention is None or hasattr(module, COMPILED):
        return
    part, first, _, depth = match[1], int(match[2]), match[3], int(match[4])
    # The host labels the middle block 0, whatever its place inside the block.
    number = 0 if part == "middle_block" else first
    width, context_width = attention.to_k.weight.shape
    block = (part.removesuffix("_blocks").removesuffix("_block"), number, depth)
    yield (_ORDER[part], number, depth), Site(block, width, context_width, module.n_heads, path)
