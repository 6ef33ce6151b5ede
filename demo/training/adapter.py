"""A standard IP-Adapter for the demo model, trained as in the paper, on the frozen UNet and text encoder.

Source: Ye et al. 2023 (arXiv 2308.06721), sections 3.2 and 4.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from ...ip_adapter.host.denoiser import replacements
from ...ip_adapter.training.drops import Drops
from ...ip_adapter.training.trainable import TrainableAdapter
from ...models.linear import LinearConfig
from .. import vocabulary
from ..clip_vision import CONFIG as VISION_CONFIG
from ..text_encoder import WIDTH
from .latents import Pool
from .run import Recipe, Run
from .seen import Seen, look_once
from .shipped import ADAPTER, load_image_encoder
from .text_to_image import Noising, TextToImage, caption_ids, stratified_timesteps

RECIPE = Recipe(
    samples=72_000,
    batch=32,
    learning_rate=1e-3,
    weight_decay=0.01,
    warmup_steps=100,
    decay_from=0.5,
    ema=0.998,
    seed=61,
)
CONTINUED = replace(RECIPE, samples=24_000, learning_rate=7e-4, decay_from=0.2, seed=63)
TOKENS = 4
PICTURES = 20_480  # of the pool
DROPS = Drops()  # the paper's chances
KEEP_CAPTION = 0.5  # captions with more parts left out make the picture speak (reference: demo/RESULTS.md)


def build(unet: nn.Module) -> TrainableAdapter:
    return TrainableAdapter(unet, LinearConfig(VISION_CONFIG["projection_dim"], TOKENS, WIDTH))


def load(weights: Path, base: TextToImage) -> TrainableAdapter:
    """That of a folder of weights, whose base is given."""
    model = build(base.unet)
    model.go_on_from({name: tensor.float() for name, tensor in load_file(weights / ADAPTER).items()})
    return model


def adapter_loss(
    model: nn.Module, base: TextToImage, pool: Pool, seen: Seen, batch: int, generator: torch.Generator
) -> Callable[[], Tensor]:
    """The loss of a model that makes attentions of what it reads, on batches drawn with the generator."""
    base.requires_grad_(False)
    noising, labels = Noising(), pool.scenes.labels

    def loss() -> Tensor:
        rows, latents = pool.batch(batch, generator)
        timesteps = stratified_timesteps(batch, generator)
        noise = torch.randn(latents.shape, generator=generator)
        noisy, target = noising(latents, noise, timesteps)
        chance = torch.rand(batch, generator=generator)
        ids = caption_ids(labels[rows], generator, KEEP_CAPTION, 0.0)
        ids[DROPS.without_text(chance)] = torch.tensor(vocabulary.padded_ids(""))
        options = {"patches_replace": {"attn2": replacements(model(seen.rows(rows, DROPS.without_picture(chance))))}}
        return functional.mse_loss(base(noisy, timesteps, ids, transformer_options=options), target)

    return loss


def train_adapter(run: Run, base: TextToImage, pool: Pool, seen: Seen, every: int = 500) -> nn.Module:
    """The run's model, which makes attentions of what it reads, with the averages of its training."""
    run.train(adapter_loss(run.model, base, pool, seen, run.batch, run.generator), every=every)
    run.model.load_state_dict(run.average)
    return run.model.eval()


def train(folder: Path, base: TextToImage, pool: Pool) -> TrainableAdapter:
    """On what the shipped image encoder says of the pool."""
    torch.manual_seed(RECIPE.seed)
    return _train(Run("adapter", RECIPE, build(base.unet), folder), folder, base, pool)


def go_on(folder: Path, base: TextToImage, adapter: TrainableAdapter, pool: Pool) -> TrainableAdapter:
    """With an adapter that knows a like base."""
    model = build(base.unet)
    model.load_state_dict(adapter.state_dict())
    return _train(Run("adapter_again", CONTINUED, model, folder), folder, base, pool)


def _train(run: Run, folder: Path, base: TextToImage, pool: Pool) -> Any:
    pool = pool.first(PICTURES)
    seen = look_once(folder / "seen.safetensors", load_image_encoder(), pool.scenes)["pooled"]
    return train_adapter(run, base, pool, seen, every=100)
