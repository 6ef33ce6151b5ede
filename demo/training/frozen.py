"""What is trained on the frozen text-to-image model: noisy latents of the pool, captions, and the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .latents import Pool
from .run import Run
from .text_to_image import Noising, TextToImage, caption_ids, stratified_timesteps


@dataclass(frozen=True)
class Batch:
    rows: Tensor  # of the pool
    noisy: Tensor
    timesteps: Tensor
    context: Tensor


@dataclass(frozen=True)
class Captions:
    """How much of the captions is left out."""

    keep: float | Tensor  # chance that a part stays, or that of each part
    empty: float  # chance that there is no caption


def frozen_loss(
    base: TextToImage, pool: Pool, run: Run, captions: Captions, predict: Callable[[Batch], Tensor]
) -> Callable[[], Tensor]:
    """The squared error of `predict` on batches drawn with the run's generator; the text encoder stays as it is."""
    base.requires_grad_(False)
    noising = Noising()

    def loss() -> Tensor:
        rows, latents = pool.batch(run.batch, run.generator)
        timesteps = stratified_timesteps(run.batch, run.generator)
        noise = torch.randn(latents.shape, generator=run.generator)
        noisy, target = noising(latents, noise, timesteps)
        ids = caption_ids(pool.scenes.labels[rows], run.generator, captions.keep, captions.empty)
        context = base.text(input_tokens=ids)[0]
        return functional.mse_loss(predict(Batch(rows, noisy, timesteps.float(), context)), target)

    return loss
