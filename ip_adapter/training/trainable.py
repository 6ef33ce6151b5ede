"""The part of the model that learns: a projector, key and value matrices for every cross-attention, perhaps a LoRA."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...models import build_projector
from ...models.facts import ProjectorConfig
from ..attention.image_attention import image_attention
from ..bases.backbone import BlockKey, Site
from ..bases.backbones import find_sites
from ..bases.unet import SELF, UNET
from ..errors import WrongBaseError
from .low_rank import AttentionLora

SiteAttention = Callable[[Tensor, Tensor, Tensor], Tensor]  # of query, key and value, in place of the text's alone


class _KeyValue(AttentionLora):
    """K' and V' of one site, which start as copies of the text's, beside its LoRA."""

    def __init__(self, attention: Any, lora_rank: int) -> None:
        super().__init__(attention, lora_rank)
        self.to_k_ip, self.to_v_ip = (_copied(matrix) for matrix in (attention.to_k, attention.to_v))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return self.to_k_ip(tokens), self.to_v_ip(tokens)


def _copied(matrix: nn.Linear) -> nn.Linear:
    width, context_width = matrix.weight.shape
    copy = nn.Linear(context_width, width, bias=False, device=matrix.weight.device)
    with torch.no_grad():
        copy.weight.copy_(matrix.weight)
    return copy


class TrainableAdapter(nn.Module):
    """Float32 parameters under the names of the published files, for every cross-attention of a host UNet.

    With a LoRA, of a rank above 0 and for self-attentions too, the UNet computes with it from now on, and its weights
    stay as they are. Raises WrongBaseError for a model without cross-attentions, or whose text is not as wide as the
    projector's tokens.
    """

    def __init__(self, unet: nn.Module, projector: ProjectorConfig, lora_rank: int = 0) -> None:
        super().__init__()
        self.sites = find_sites(unet)
        widths = {site.context_width for site in self.sites}
        if widths != {projector.width}:
            raise WrongBaseError(
                f"Expected a UNet whose cross-attentions read tokens of width {projector.width}, got widths "
                f"{sorted(widths) or 'of none'}. Choose a base of Stable Diffusion 1.5, 2 or XL."
            )
        self.image_proj = build_projector(projector)
        blocks: list[Any] = [unet.get_submodule(site.path) for site in self.sites]
        self.key_values = [_KeyValue(block.attn2, lora_rank) for block in blocks]
        # The published order counts self-attentions too, so cross-attentions have the odd numbers.
        attentions: dict[str, nn.Module] = {str(UNET.number(n)): pair for n, pair in enumerate(self.key_values)}
        if lora_rank:
            attentions |= {
                str(UNET.numbered(n, SELF)): AttentionLora(block.attn1, lora_rank) for n, block in enumerate(blocks)
            }
        self.ip_adapter = nn.ModuleDict(attentions)

    def forward(self, *image: Tensor) -> dict[BlockKey, SiteAttention]:
        """The attention of every site with the image branch, for the projector's arguments of a batch."""
        tokens = self.image_proj(*image)
        pairs = zip(self.sites, self.key_values, strict=True)
        return {site.block: _attention(site, *matrices(tokens)) for site, matrices in pairs}

    def go_on_from(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes the values of another adapter. Raises WrongBaseError unless it has the same tensors."""
        own = {name: tuple(tensor.shape) for name, tensor in self.state_dict().items()}
        for name in sorted(own.keys() | tensors.keys()):
            given = tuple(tensors[name].shape) if name in tensors else None
            if own.get(name) != given:
                raise WrongBaseError(
                    f"Expected an adapter to start from that was trained on such a base, as wide and with as many "
                    f"tokens: {name} should have the shape {own.get(name)} and has {given}. Choose another one."
                )
        self.load_state_dict(dict(tensors))

    def published(self) -> dict[str, Tensor]:
        """The parameters under the names of the published files, detached."""
        return {name: tensor.detach() for name, tensor in self.state_dict().items()}


def _attention(site: Site, image_key: Tensor, image_value: Tensor) -> SiteAttention:
    def heads(x: Tensor) -> Tensor:
        return x.unflatten(-1, (site.heads, -1)).transpose(1, 2)

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        text = image_attention(query, heads(key), heads(value))
        image = image_attention(query, heads(image_key).to(query.dtype), heads(image_value).to(query.dtype))
        return text + image

    return attend
