"""The paper's simple adapter: image tokens stand behind the text's, in the one cross-attention there is.

Source: Ye et al. 2023 (arXiv 2308.06721), section 4.4.1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ....ip_adapter.attention.image_attention import image_attention
from ....ip_adapter.bases.backbone import BlockKey, Site
from ....ip_adapter.bases.backbones import find_sites
from ....ip_adapter.training.trainable import SiteAttention
from ....models import build_projector
from ....models.facts import ProjectorConfig


class ConcatenatingAdapter(nn.Module):
    """A projector whose tokens pass through the base's own key and value matrices, which stay as they are."""

    def __init__(self, unet: nn.Module, projector: ProjectorConfig) -> None:
        super().__init__()
        self.image_proj = build_projector(projector)
        # Pairs in a list, so that the base's matrices are no parameters of this module.
        self._sites: list[tuple[Site, Any]] = [(site, unet.get_submodule(site.path).attn2) for site in find_sites(unet)]

    def forward(self, *image: Tensor) -> dict[BlockKey, SiteAttention]:
        """The attention of every site, for the projector's arguments of a batch."""
        tokens = self.image_proj(*image)
        return {site.block: _attention(site, text.to_k(tokens), text.to_v(tokens)) for site, text in self._sites}


def _attention(site: Site, image_key: Tensor, image_value: Tensor) -> SiteAttention:
    def heads(x: Tensor) -> Tensor:
        return x.unflatten(-1, (site.heads, -1)).transpose(1, 2)

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        keys, values = (torch.cat(pair, dim=1) for pair in ((key, image_key), (value, image_value)))
        return image_attention(query, heads(keys), heads(values))

    return attend
