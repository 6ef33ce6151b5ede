"""The host's UNet as the frozen base model of a training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..bases.backbone import BlockKey
from ..bases.backbones import find_sites
from ..training.batch import Text
from ..training.noising import Noising
from ..training.trainable import SiteAttention


@dataclass(frozen=True, eq=False)
class HostDenoiser:
    """The host's UNet, its noise schedule, and further `transformer_options` of its calls."""

    unet: nn.Module
    noising: Noising
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        self.unet.requires_grad_(False)

    def predict(
        self, noisy: Tensor, timesteps: Tensor, text: Text, attentions: Mapping[BlockKey, SiteAttention]
    ) -> Tensor:
        """What the UNet makes of noisy latents, in float32, with these attentions in place of its own."""
        dtype = next(self.unet.parameters()).dtype
        options = {**self.options, "patches_replace": {"attn2": replacements(attentions)}}
        given = {"context": text.context.to(dtype), "y": None if text.vector is None else text.vector.to(dtype)}
        return self.unet(noisy.to(dtype), timesteps.float(), **given, transformer_options=options).float()

    def recompute_blocks(self) -> None:
        """Makes every block with a cross-attention keep its inputs only. Idempotent."""
        for site in find_sites(self.unet):
            block = self.unet.get_submodule(site.path)
            if not isinstance(block.forward, _Recomputed):
                block.forward = _Recomputed(block.forward)


def replacements(attentions: Mapping[BlockKey, SiteAttention]) -> dict[BlockKey, Callable[..., Tensor]]:
    """The host's attn2 replacements for these attentions."""
    return {block: _replacement(attention) for block, attention in attentions.items()}


def _replacement(attention: SiteAttention) -> Callable[..., Tensor]:
    return lambda query, key, value, _: attention(query, key, value)


class _Recomputed:
    def __init__(self, forward: Callable[..., Tensor]) -> None:
        self._forward = forward

    def __call__(self, x: Tensor, *arguments: Any, transformer_options: dict[str, Any], **named: Any) -> Tensor:
        # The host tells a block in this dictionary which one it is, and goes on to the next before the way back.
        run = partial(self._forward, transformer_options=dict(transformer_options), **named)
        result: Any = checkpoint(run, x, *arguments, use_reentrant=False)
        return result
