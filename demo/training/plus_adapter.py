"""A Plus adapter for the demo model: sixteen tokens that a resampler reads out of the image encoder's patches.

Source: Ye et al. 2023 (arXiv 2308.06721), section 4.4.2.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ...ip_adapter.training.kinds import projector_for
from ...ip_adapter.training.trainable import TrainableAdapter
from ...models.facts import Kind, Widths
from ..clip_vision import CONFIG as VISION_CONFIG
from ..text_encoder import WIDTH
from .adapter import PICTURES, train_adapter
from .latents import Pool
from .run import Recipe, Run
from .seen import look_once
from .shipped import load_image_encoder
from .text_to_image import TextToImage

RECIPE = Recipe(
    samples=24_000,
    batch=32,
    learning_rate=1e-3,
    weight_decay=0.01,
    warmup_steps=100,
    decay_from=0.3,
    ema=0.995,
    seed=62,
)


def build(unet: nn.Module) -> TrainableAdapter:
    return TrainableAdapter(unet, projector_for(Kind.PLUS, Widths(WIDTH, VISION_CONFIG["hidden_size"])))


def train(folder: Path, base: TextToImage, pool: Pool) -> TrainableAdapter:
    torch.manual_seed(RECIPE.seed)
    model, pool = build(base.unet), pool.first(PICTURES)
    run = Run("plus_adapter", RECIPE, model, folder)
    seen = look_once(folder / "seen.safetensors", load_image_encoder(), pool.scenes)["patches"]
    train_adapter(run, base, pool, seen, every=100)
    return model
