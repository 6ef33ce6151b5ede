"""The text-to-image UNet and its text encoder, trained together on latents with v-prediction."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from comfy.model_sampling import ModelSamplingDiscrete
from torch import Tensor, nn
from torch.nn import functional

from .. import vocabulary, world
from ..model import SCHEDULE
from .host_classes import build_text_encoder, build_unet
from .latents import Pool
from .run import Recipe, Run

RECIPE = Recipe(
    samples=528_000,
    batch=32,
    learning_rate=1.5e-3,
    weight_decay=0.01,
    warmup_steps=150,
    decay_from=0.65,
    ema=0.999,
    seed=51,
)
TIMESTEPS, TIMESTEP_SHARES = (0, 200, 750, 1000), (0.15, 0.70, 0.15)
KEEP, EMPTY = 0.88, 0.10  # chance that a part of a caption stays; chance that there is no caption


class _Settings:
    sampling_settings = SCHEDULE


class Noising(nn.Module):
    """The host's noise schedule: noisy input and v target for a timestep (Salimans and Ho 2022, arXiv 2202.00512)."""

    def __init__(self) -> None:
        super().__init__()
        sigmas = ModelSamplingDiscrete(_Settings()).sigmas
        self.signal = 1 / (sigmas.square() + 1).sqrt()
        self.noise = sigmas * self.signal

    def forward(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> tuple[Tensor, Tensor]:
        signal, sigma = self.signal[timesteps, None, None, None], self.noise[timesteps, None, None, None]
        return signal * latents + sigma * noise, signal * noise - sigma * latents


def stratified_timesteps(count: int, generator: torch.Generator) -> Tensor:
    """Timesteps whose noise leaves shapes and patterns to be decided are drawn more often than the others.

    One from each of `count` equal parts of their distribution, which lowers the variance of the loss.
    """
    share = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    parts = zip(TIMESTEP_SHARES, pairwise(TIMESTEPS), strict=True)
    timesteps, before = torch.zeros(count), 0.0
    for part, (low, high) in parts:
        timesteps += (high - low) * ((share - before) / part).clamp(0, 1)
        before += part
    return timesteps.long().clamp(max=999)


def caption_ids(
    labels: Tensor, generator: torch.Generator, keep: float | Tensor = KEEP, empty: float | Tensor = EMPTY
) -> Tensor:
    """Token ids (n, 16) of captions with parts left out at random."""
    kept = (torch.rand(labels.shape, generator=generator) < keep) & (
        torch.rand(len(labels), 1, generator=generator) >= empty
    )
    texts = [world.caption(row, parts) for row, parts in zip(labels.tolist(), kept.tolist(), strict=True)]
    return torch.tensor([vocabulary.padded_ids(text) for text in texts])


class TextToImage(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.unet, self.text = build_unet(), build_text_encoder()
        self.text.text_projection.requires_grad_(False)  # the pooled output is not used

    def forward(self, noisy: Tensor, timesteps: Tensor, ids: Tensor, **options: object) -> Tensor:
        context = self.text(input_tokens=ids)[0]
        return self.unet(noisy, timesteps.float(), context=context, **options)


def train(folder: Path, pool: Pool) -> TextToImage:
    torch.manual_seed(RECIPE.seed)
    model, noising = TextToImage(), Noising()
    run = Run("text_to_image", RECIPE, model, folder)

    def loss() -> Tensor:
        rows, latents = pool.batch(run.batch, run.generator)
        timesteps = stratified_timesteps(run.batch, run.generator)
        noise = torch.randn(latents.shape, generator=run.generator)
        noisy, target = noising(latents, noise, timesteps)
        ids = caption_ids(pool.scenes.labels[rows], run.generator)
        return functional.mse_loss(model(noisy, timesteps, ids), target)

    run.train(loss)
    model.load_state_dict(run.average)
    return model.eval()
