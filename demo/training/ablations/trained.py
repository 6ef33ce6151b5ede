"""Every variant trained alike: the same pictures, the same steps and, seed by seed, the same noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from ...measure import held_out
from ...world import Scenes
from ..adapter import train_adapter
from ..autoencoder import Autoencoder
from ..latents import Pool, load_pool
from ..run import Recipe, Run
from ..seen import Seen, look_at, look_once
from ..shipped import load_base, load_image_encoder
from ..text_to_image import TextToImage
from .variants import Variant

RECIPE = Recipe(
    samples=16_000, batch=32, learning_rate=1e-3, weight_decay=0.01, warmup_steps=50, decay_from=0.5, ema=0.99
)
PICTURES = 12_288  # of the pool
CASES = 128
SEEDS = (101, 102, 103)


@dataclass(frozen=True)
class World:
    """The shipped base, what adapters are trained on, and the held-out cases."""

    base: TextToImage
    autoencoder: Autoencoder
    pool: Pool
    seen: Mapping[str, Seen]  # of the pool, by what a projector reads
    cases: Scenes
    asked: Mapping[str, Seen]  # of the cases


def load_world(folder: Path) -> World:
    """From the shipped weights; what takes minutes is kept in the folder."""
    base, autoencoder = load_base()
    base.requires_grad_(False)
    encoder, pool = load_image_encoder(), load_pool(folder, autoencoder).first(PICTURES)
    seen, cases = look_once(folder / "seen.safetensors", encoder, pool.scenes), held_out(CASES)
    return World(base, autoencoder, pool, seen, cases, look_at(encoder, cases))


def trained(world: World, variant: Variant, seed: int, folder: Path) -> nn.Module:
    """The variant after the recipe with this seed, which decides its start and all that is drawn."""
    torch.manual_seed(seed)
    model = variant.build(world.base.unet)
    run = Run(f"{variant.slug}-{seed}", replace(RECIPE, seed=seed), model, folder)
    return train_adapter(run, world.base, world.pool, world.seen[variant.reads], every=150)
