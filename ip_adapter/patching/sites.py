"""The cross-attentions of a live UNet, in the order in which published files number them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ..errors import WrongBaseError
from ..names import base_name, fitting_bases
from ..spec import AdapterSpec, Base

# The published order is that of diffusers' `unet.attn_processors`: down blocks, up blocks, then the middle.
_ORDER = {"input_blocks": 0, "output_blocks": 1, "middle_block": 2}
_PATH = re.compile(r"^(input_blocks|output_blocks|middle_block)\.(\d+)\.(?:(\d+)\.)?transformer_blocks\.(\d+)$")
_COMPILED = "_orig_mod"  # under which torch.compile keeps the module it wraps, the whole UNet or a part of it
# Width of the vector of pooled text and sizes -> the one of two bases whose cross-attentions are alike.
_FAMILIES = {2816: Base.SDXL, 5632: Base.KOLORS}

BlockKey = tuple[str, int, int]


@dataclass(frozen=True)
class Site:
    """One cross-attention: where the host calls it, and the sizes of its matrices."""

    block: BlockKey  # ("input" | "output" | "middle", number, depth)
    width: int
    context_width: int
    heads: int
    path: str = field(default="", compare=False)  # of the block among the UNet's modules

    @property
    def name(self) -> str:
        return " ".join(map(str, self.block))


def find_sites(unet: nn.Module) -> tuple[Site, ...]:
    """All cross-attentions of the host's UNet class, in published order; empty for a model of another kind."""
    found = [(order, site) for name, module in unet.named_modules() for order, site in _site(name, module)]
    return tuple(site for _, site in sorted(found, key=lambda pair: pair[0]))


def _site(name: str, module: Any) -> Iterator[tuple[tuple[int, int, int], Site]]:
    path = ".".join(part for part in name.split(".") if part != _COMPILED)
    match = _PATH.match(path)
    attention = getattr(module, "attn2", None)
    if match is None or attention is None or hasattr(module, _COMPILED):
        return
    part, first, _, depth = match[1], int(match[2]), match[3], int(match[4])
    # The host labels the middle block 0, whatever its place inside the block.
    number = 0 if part == "middle_block" else first
    width, context_width = attention.to_k.weight.shape
    block = (part.removesuffix("_blocks").removesuffix("_block"), number, depth)
    yield (_ORDER[part], number, depth), Site(block, width, context_width, module.n_heads, path)


def family_of(unet: nn.Module) -> Base | None:
    """Whether a UNet is SDXL's or Kolors', which no width of a site tells; None where the UNet does not show it."""
    try:
        embedding = getattr(unet, _COMPILED, unet).get_submodule("label_emb.0.0")
    except AttributeError:
        return None
    return _FAMILIES.get(getattr(embedding, "in_features", 0))


def check_base(spec: AdapterSpec, sites: tuple[Site, ...], file: str, family: Base | None = None) -> None:
    """Raises WrongBaseError unless every matrix of the adapter fits the cross-attention it goes to.

    `family` is what `family_of` knows of the model beside its sites.
    """
    obstacle = _obstacle(spec, sites, family)
    if obstacle is not None:
        trained = (spec.context_width, len(spec.site_indices), spec.base)
        raise WrongBaseError(
            f"{file} was trained for {base_name(*trained)}, but {obstacle}. It fits {fitting_bases(*trained)}. "
            "Connect one of these, or choose an adapter for the connected model."
        )


def _obstacle(spec: AdapterSpec, sites: tuple[Site, ...], family: Base | None) -> str | None:
    if not sites:
        return "the connected model has no UNet cross-attention (it may be Flux, SD3 or another transformer)"
    given = f"the connected model is {base_name(sites[0].context_width, len(sites), family)}"
    if any(site.context_width != spec.context_width for site in sites):
        return given
    # Distilled models lack sites of SDXL. Their makers have not published which of the teacher's the others are, and
    # compared whole blocks in training, not single cross-attentions:
    # https://github.com/segmind/SSD-1B/blob/3bf633b5fa339630e50f75f521d66b8a0b0a22eb/distill_sdxl.py#L662
    if len(sites) != len(spec.site_indices):
        return (
            f"{given}, and no rule is published by which the file's matrices could be assigned to its cross-attentions"
        )
    for site, width in zip(sites, spec.site_widths, strict=True):
        if site.width != width:
            return f"at {site.name} it expects width {width} and the connected model, otherwise alike, has {site.width}"
    if {spec.base, family} == {Base.SDXL, Base.KOLORS}:
        return f"{given}, which has the same sizes but was trained with another text encoder"
    return None
