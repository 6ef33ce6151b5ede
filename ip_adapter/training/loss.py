"""The loss: how far the base model with the adapter is from what it should predict."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from ...models.shapes import Float
from ..bases.backbone import BlockKey
from .batch import Batch, Text, UncondBatch
from .drops import Drops
from .noise import Draw
from .noising import Noising
from .trainable import SiteAttention, TrainableAdapter


class Denoiser(Protocol):
    """A frozen base model: its network and its noise schedule."""

    @property
    def unet(self) -> nn.Module: ...

    @property
    def noising(self) -> Noising: ...

    def predict(
        self, noisy: Tensor, timesteps: Tensor, text: Text, attentions: Mapping[BlockKey, SiteAttention]
    ) -> Tensor:
        """What the network makes of noisy latents (batch, channels, height, width), with these attentions of sites in
        place of its own."""
        ...

    def recompute_blocks(self) -> None:
        """Less memory for more time: blocks with a cross-attention keep their inputs only. Idempotent."""
        ...


@dataclass(frozen=True)
class Weighting:
    """What is dropped, and how timesteps are weighted: all alike, or by min-SNR with this gamma."""

    drops: Drops
    min_snr: float | None = None


class Objective(nn.Module):
    """The adapter and its loss in one module, which several processes can share. The base is no part of it."""

    def __init__(self, adapter: TrainableAdapter, base: Denoiser, nothing: UncondBatch, weighting: Weighting) -> None:
        super().__init__()
        self.adapter = adapter
        self._base, self._nothing, self._weighting = base, nothing, weighting

    def forward(self, batch: Batch, draw: Draw) -> Float[Tensor, ""]:
        """The mean over a batch of the (weighted) mean squared error. Equation 6 of the paper."""
        return self.per_sample(batch, draw, self._weighting).mean()

    def per_sample(self, batch: Batch, draw: Draw, weighting: Weighting) -> Float[Tensor, " batch"]:
        base = self._base
        noisy, target = base.noising.noisy(batch.latents, draw.noise, draw.timesteps)
        seen = dropped(batch, self._nothing, draw.chances, weighting.drops)
        predicted = base.predict(noisy, draw.timesteps, seen.text, self.adapter(*seen.image))
        losses = (predicted - target).square().flatten(1).mean(dim=1)
        if weighting.min_snr is None:
            return losses
        return losses * base.noising.min_snr_weights(draw.timesteps, weighting.min_snr)


def dropped(batch: Batch, nothing: UncondBatch, chances: Tensor, drops: Drops) -> Batch:
    """The batch with nothing in place of what these chances drop."""
    with_text, with_picture = ~drops.without_text(chances), ~drops.without_picture(chances)
    image = tuple(
        torch.where(with_picture.view(-1, *[1] * (part.ndim - 1)), part, none)
        for part, none in zip(batch.image, nothing.image, strict=True)
    )
    return Batch(batch.latents, batch.text.where(with_text, nothing.text), image)
