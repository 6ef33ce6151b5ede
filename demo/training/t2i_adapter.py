"""A light T2I-Adapter for the demo model: features of the edges, the same at every step, on the UNet's way down.

Source: Mou et al. 2023 (arXiv 2302.08453), section 3.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from ..t2i_adapter import DemoT2IAdapter
from .edges import PICTURES, load_edges
from .frozen import Batch, Captions, frozen_loss
from .latents import Pool
from .run import Recipe, Run
from .text_to_image import TextToImage

RECIPE = Recipe(
    samples=24_000,
    batch=16,
    learning_rate=2e-3,
    weight_decay=0.01,
    warmup_steps=50,
    decay_from=0.4,
    ema=0.99,
    seed=81,
)
CAPTIONS = Captions(keep=0.5, empty=0.3)


def _build() -> DemoT2IAdapter:
    """Starts as no change, as every branch that is added to a stream, of features that are not small."""
    model = DemoT2IAdapter()
    for level in model.body:
        nn.init.normal_(level.in_conv.weight, std=4 / level.in_conv.in_channels**0.5)  # edges are few
        nn.init.zeros_(level.out_conv.weight)
        nn.init.zeros_(level.out_conv.bias)
    return model


def train(folder: Path, base: TextToImage, pool: Pool) -> DemoT2IAdapter:
    torch.manual_seed(RECIPE.seed)
    model = _build()
    run = Run("t2i_adapter", RECIPE, model, folder)
    edges = load_edges(folder, pool)

    def predict(batch: Batch) -> Tensor:
        control = model(edges[batch.rows].float())
        return base.unet(batch.noisy, batch.timesteps, context=batch.context, control=control)

    run.train(frozen_loss(base, pool.first(PICTURES), run, CAPTIONS, predict), every=50)
    model.load_state_dict(run.average)
    return model.eval()
