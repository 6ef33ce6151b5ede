"""A standard IP-Adapter for the demo model, trained as in the paper, on the frozen UNet and text encoder.

Source: Ye et al. 2023 (arXiv 2308.06721), sections 3.2 and 4.1.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...ip_adapter.training.drops import Drops
from ...ip_adapter.training.trainable import TrainableAdapter
from ...models.linear import LinearConfig
from .. import vocabulary, world
from ..clip_vision import CONFIG as VISION_CONFIG
from ..text_encoder import WIDTH
from .image_encoder import embeddings
from .latents import Pool
from .run import Recipe, Run
from .seen import Seen
from .text_to_image import Noising, TextToImage, caption_ids, stratified_timesteps

RECIPE = Recipe(
    samples=96_000,
    batch=32,
    learning_rate=1e-3,
    weight_decay=0.01,
    warmup_steps=100,
    decay_from=0.5,
    ema=0.998,
    seed=61,
)
TOKENS = 4
PICTURES = 20_480  # of the pool
DROPS = Drops()  # the paper's chances
KEEP_CAPTION = 0.5  # captions with more parts left out make the picture speak (reference: demo/RESULTS.md)


def build(unet: nn.Module) -> TrainableAdapter:
    return TrainableAdapter(unet, LinearConfig(VISION_CONFIG["projection_dim"], TOKENS, WIDTH))


def picture_embeddings(encoder: nn.Module, pool: Pool, batch: int = 64) -> Tensor:
    """The image encoder's embeddings of the pool's pictures, shrunk as the host's preprocessing shrinks them."""
    parts: list[Tensor] = []
    for start in range(0, len(pool.scenes), batch):
        pictures = world.render(pool.scenes.rows(slice(start, start + batch)))
        small = functional.interpolate(pictures, (64, 64), mode="bicubic", antialias=True).clamp(0, 1)
        with torch.no_grad():
            parts.append(embeddings(encoder, (small * 255).round() / 255))
    return torch.cat(parts)


def adapter_loss(
    model: nn.Module, base: TextToImage, pool: Pool, seen: Seen, batch: int, generator: torch.Generator
) -> Callable[[], Tensor]:
    """The loss of a model that makes attn2 replacements of what it reads, on batches drawn with the generator."""
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
        options = {"patches_replace": {"attn2": model(seen.rows(rows, DROPS.without_picture(chance)))}}
        return functional.mse_loss(base(noisy, timesteps, ids, transformer_options=options), target)

    return loss


def train_adapter(run: Run, base: TextToImage, pool: Pool, seen: Seen, every: int = 500) -> nn.Module:
    """The run's model, which makes attn2 replacements of what it reads, with the averages of its training."""
    run.train(adapter_loss(run.model, base, pool, seen, run.batch, run.generator), every=every)
    run.model.load_state_dict(run.average)
    return run.model.eval()


def train(folder: Path, base: TextToImage, encoder: nn.Module, pool: Pool) -> TrainableAdapter:
    torch.manual_seed(RECIPE.seed)
    pool = pool.first(PICTURES)
    model = build(base.unet)
    run = Run("adapter", RECIPE, model, folder)
    features = _cached_embeddings(folder, encoder, pool)
    train_adapter(run, base, pool, Seen(features, torch.zeros_like(features[:1])))
    return model


def _cached_embeddings(folder: Path, encoder: nn.Module, pool: Pool) -> Tensor:
    """The embeddings of the pool, computed on first use."""
    file = folder / "embeddings.pt"
    if not file.exists():
        torch.save(picture_embeddings(encoder, pool), file)
    return torch.load(file, weights_only=True)
