"""The last part of the base's training: half of the pictures come with an image prompt, so that looks can be drawn.

No caption names the looks, and a small model that has to guess them learns their mean: flat and without light. Told by
a picture what is to be seen, it learns to draw it. The adapter that tells it was trained on the frozen base before, is
trained along here, and goes on afterwards on the base as it is then, frozen again. An earlier family goes on here.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...ip_adapter.host.denoiser import replacements
from ...ip_adapter.training.trainable import TrainableAdapter
from .adapter import PICTURES
from .latents import Pool
from .run import Recipe, Run
from .seen import look_once
from .shipped import load_image_encoder
from .text_to_image import EMPTY as NO_CAPTION
from .text_to_image import KEEP, Noising, TextToImage, caption_ids, stratified_timesteps

RECIPE = Recipe(
    samples=64_000,
    batch=32,
    learning_rate=8e-4,
    weight_decay=0.01,
    warmup_steps=100,
    decay_from=0.5,
    ema=0.998,
    seed=53,
)
CONTINUED = replace(RECIPE, samples=176_000, seed=54)
WITHOUT_PICTURE = 0.5
KEEP_CAPTION, EMPTY = 0.6, 0.3  # beside a picture, which then has something to say; without one as in text_to_image


class Together(nn.Module):
    """The base and the adapter that is trained with it."""

    def __init__(self, base: TextToImage, adapter: TrainableAdapter) -> None:
        super().__init__()
        self.base, self.adapter = base, adapter


def train(folder: Path, base: TextToImage, adapter: TrainableAdapter, pool: Pool, recipe: Recipe = RECIPE) -> Together:
    torch.manual_seed(recipe.seed)
    pool, noising = pool.first(PICTURES), Noising()
    base.requires_grad_(True).text.text_projection.requires_grad_(False)
    model = Together(base, adapter.requires_grad_(True))
    run = Run("with_pictures", recipe, model, folder)
    seen = look_once(folder / "seen.safetensors", load_image_encoder(), pool.scenes)["pooled"]

    def loss() -> Tensor:
        rows, latents = pool.batch(run.batch, run.generator)
        timesteps = stratified_timesteps(run.batch, run.generator)
        noise = torch.randn(latents.shape, generator=run.generator)
        noisy, target = noising(latents, noise, timesteps)
        without = torch.rand(run.batch, generator=run.generator) < WITHOUT_PICTURE
        keep, empty = (torch.where(without[:, None], *pair) for pair in ((KEEP, KEEP_CAPTION), (NO_CAPTION, EMPTY)))
        ids = caption_ids(pool.scenes.labels[rows], run.generator, keep, empty)
        options = {"patches_replace": {"attn2": replacements(model.adapter(seen.rows(rows, without)))}}
        return functional.mse_loss(model.base(noisy, timesteps, ids, transformer_options=options), target)

    run.train(loss, every=100)
    model.load_state_dict(run.average)
    return model.requires_grad_(False).eval()
