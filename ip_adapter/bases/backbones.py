"""The table of backbones, and which of them a network or its sites belong to."""

from collections.abc import Iterator, Sequence

from torch import nn

from .backbone import Backbone, BackbonePart, Block, Site
from .unet import UNET

BACKBONES: tuple[Backbone, ...] = (UNET,)  # no two have a part of one name


def find_sites(network: nn.Module) -> tuple[Site, ...]:
    """All cross-attentions of a network in published order; empty for one that is none of the backbones."""
    return next((sites for backbone in BACKBONES if (sites := backbone.sites(network))), ())


def vector_width(network: nn.Module) -> int | None:
    """What `Backbone.vector_width` says, None for a network of no backbone."""
    return next((width for backbone in BACKBONES if (width := backbone.vector_width(network)) is not None), None)


def backbone_of(blocks: Sequence[Block]) -> Backbone:
    """The backbone of these blocks, which are not none."""
    return next(backbone for backbone in BACKBONES if blocks[0][0] in [part.name for part in backbone.parts])


def block_of(site: Site) -> Block:
    return site.block[:2]


def blocks_of(sites: Sequence[Site]) -> tuple[Block, ...]:
    """The blocks in the order in which the model runs them, which is what other packs call the transformer index."""
    blocks = {block_of(site) for site in sites}
    return tuple(sorted(blocks, key=backbone_of([*blocks]).position)) if blocks else ()


def block_name(block: Block) -> str:
    """The name by which texts and pictures call a block: "in4", "mid", "out11"."""
    return backbone_of([block]).block_name(block)


def parts_by_word() -> Iterator[tuple[str, BackbonePart]]:
    """Every part of every backbone under each of the words that people write for it."""
    for backbone in BACKBONES:
        for part in backbone.parts:
            yield from ((word, part) for word in (part.short, part.name))
