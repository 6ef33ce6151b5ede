"""The cross-attentions of a live UNet, in the order in which published files number them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from .errors import WrongBaseError
from .names import base_name
from .spec import AdapterSpec

# The published order is that of diffusers' `unet.attn_processors`: down blocks, up blocks, then the middle.
_ORDER = {"input_blocks": 0, "output_blocks": 1, "middle_block": 2}
_PATH = re.compile(r"^(input_blocks|output_blocks|middle_block)\.(\d+)\.(?:(\d+)\.)?transformer_blocks\.(\d+)$")

BlockKey = tuple[str, int, int]


@dataclass(frozen=True)
class Site:
    """One cross-attention: where the host calls it, and the sizes of its matrices."""

    block: BlockKey  # ("input" | "output" | "middle", number, depth)
    width: int
    context_width: int
    heads: int

    @property
    def name(self) -> str:
        return " ".join(map(str, self.block))


def find_sites(unet: nn.Module) -> tuple[Site, ...]:
    """All cross-attentions of the host's UNet class, in published order; empty for a model of another kind."""
    found = [(order, site) for name, module in unet.named_modules() for order, site in _site(name, module)]
    return tuple(site for _, site in sorted(found, key=lambda pair: pair[0]))


def _site(name: str, module: Any) -> Iterator[tuple[tuple[int, int, int], Site]]:
    match = _PATH.match(name)
    attention = getattr(module, "attn2", None)
    if match is None or attention is None:
        return
    part, first, _, depth = match[1], int(match[2]), match[3], int(match[4])
    # The host labels the middle block 0, whatever its place inside the block.
    number = 0 if part == "middle_block" else first
    width, context_width = attention.to_k.weight.shape
    block = (part.removesuffix("_blocks").removesuffix("_block"), number, depth)
    yield (_ORDER[part], number, depth), Site(block, width, context_width, module.n_heads)


def check_base(spec: AdapterSpec, sites: tuple[Site, ...], file: str) -> None:
    """Raises WrongBaseError unless every matrix of the adapter fits the cross-attention it goes to."""
    expected = base_name(spec.context_width, len(spec.site_indices))
    if not sites:
        raise WrongBaseError(
            f"{file} was trained for {expected}, but the connected model has no UNet cross-attention "
            "(it may be Flux, SD3 or another transformer). Connect a model of the adapter's base."
        )
    given = base_name(sites[0].context_width, len(sites))
    if len(sites) != len(spec.site_indices) or any(site.context_width != spec.context_width for site in sites):
        raise WrongBaseError(
            f"{file} was trained for {expected}, but the connected model is {given}. "
            "Connect a model of the adapter's base, or choose an adapter for this one."
        )
    for site, width in zip(sites, spec.site_widths, strict=True):
        if site.width != width:
            raise WrongBaseError(
                f"{file} was trained for {expected}, but at {site.name} it expects width {width} and the "
                f"connected model, {given}, has {site.width}. Connect a model of the adapter's base."
            )
