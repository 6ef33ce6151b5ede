"""The LoRA that lies inside FaceID files: which weight of the UNet each pair of its matrices belongs to."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from ..adapter import Adapter
from ..bases.backbone import Site
from ..bases.unet import UNET

_PART = re.compile(r"ip_adapter\.([0-9]{1,4})\.to_(q|k|v|out)_lora\.down\.weight")
LAYERS = {"q": "to_q", "k": "to_k", "v": "to_v", "out": "to_out.0"}  # of an attention, as files and the host name them


@dataclass(frozen=True, eq=False)
class LoraPair:
    """`weight + strength * up @ down` is what the LoRA makes of a module's weight. The files have no alpha: scale 1."""

    module: str  # whose weight it is, as in the UNet's state dictionary
    down: Tensor
    up: Tensor


def lora_pairs(adapter: Adapter, sites: tuple[Site, ...]) -> Iterator[LoraPair]:
    """The pairs of an adapter that fits these sites; none when its file holds no LoRA.

    Even numbers are the self-attention of a block, odd ones its cross-attention: `attn_processors` of diffusers.
    Source: https://github.com/tencent-ailab/IP-Adapter/blob/62e4af9/ip_adapter/ip_adapter_faceid.py
    """
    with adapter.source.open() as read:
        for name, module in _modules(adapter, sites).items():
            yield LoraPair(module, read(name), read(name.replace(".down.", ".up.")))


def _modules(adapter: Adapter, sites: tuple[Site, ...]) -> Mapping[str, str]:
    blocks = dict(zip(adapter.spec.site_indices, sites, strict=True))
    found = (match for match in map(_PART.fullmatch, adapter.source.shapes) if match)
    return {match[0]: _module(blocks, int(match[1]), match[2]) for match in found}


def _module(blocks: Mapping[int, Site], number: int, part: str) -> str:
    position, attention = UNET.attention(number)
    return f"{blocks[UNET.number(position)].path}.attn{attention}.{LAYERS[part]}"
