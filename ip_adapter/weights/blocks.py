"""Blocks of a UNet that have cross-attention: a block is one transformer of the host, of one or more layers deep."""

from collections.abc import Sequence

from ..patching.sites import Site

Block = tuple[str, int]  # ("input" | "middle" | "output", the host's number)
_EXECUTION = ("input", "middle", "output")
_SHORT = {"input": "in", "middle": "mid", "output": "out"}


def block_of(site: Site) -> Block:
    return site.block[:2]


def blocks_of(sites: Sequence[Site]) -> tuple[Block, ...]:
    """The blocks in the order in which the model runs them, which is what other packs call the transformer index."""
    return tuple(sorted({block_of(site) for site in sites}, key=lambda block: (_EXECUTION.index(block[0]), block[1])))


def block_name(block: Block) -> str:
    """The name by which texts and pictures call a block: "in4", "mid", "out11"."""
    part, number = block
    return _SHORT[part] if part == "middle" else f"{_SHORT[part]}{number}"
