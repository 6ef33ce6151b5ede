"""A copy of the demo model with every weight of its UNet fine-tuned to another look (demo/comic.py).

What is shipped is the difference, cut to a low rank, as fine-tuned models are passed on where a copy would be too
large: the host's LoRA loader makes the base into the copy. The cut is the nearest of its rank (Eckart and Young 1936).
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ..files import WEIGHTS
from .autoencoder import Autoencoder
from .frozen import Batch, Captions, frozen_loss
from .latents import Pool
from .lora import comic_pool
from .run import Recipe, Run
from .text_to_image import TextToImage

RECIPE = Recipe(samples=9_600, batch=16, learning_rate=2e-4, warmup_steps=50, decay_from=0.4, ema=0.99, seed=111)
CAPTIONS = Captions(keep=0.88, empty=0.1)
RANK = 6
SIBLING = "demo_sibling.safetensors"


def train(folder: Path, base: TextToImage, pool: Pool, autoencoder: Autoencoder) -> TextToImage:
    """Every weight of the UNet learns; the text encoder stays."""
    torch.manual_seed(RECIPE.seed)
    sibling = copy.deepcopy(base)
    run = Run("sibling", RECIPE, sibling.unet.requires_grad_(True), folder)
    pool = comic_pool(folder, pool, autoencoder)

    def predict(batch: Batch) -> Tensor:
        return sibling.unet(batch.noisy, batch.timesteps, context=batch.context)

    run.train(frozen_loss(base, pool, run, CAPTIONS, predict), every=50)
    sibling.unet.load_state_dict(run.average)
    return sibling.requires_grad_(False).eval()


def _host_name(parameter: str) -> str:
    """A parameter's layer under the name that kohya's trainer gives it, and its part."""
    layer, part = parameter.rsplit(".", 1)
    return f"lora_unet_{layer.replace('.', '_')}.{part}"


@torch.no_grad()
def difference(base: nn.Module, changed: nn.Module, rank: int = RANK) -> dict[str, Tensor]:
    """What makes one UNet into another, as the host's LoRA loader reads it: matrices at a rank, vectors whole."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in base.named_parameters():
        delta = changed.get_parameter(name) - parameter
        layer, part = _host_name(name).rsplit(".", 1)
        if delta.ndim == 1:
            tensors[f"{layer}.{'diff' if part == 'weight' else 'diff_b'}"] = delta
            continue
        u, s, v = torch.linalg.svd(delta.flatten(1), full_matrices=False)
        share = s[:rank].sqrt()  # in both factors alike, which keeps either in float16's range
        tensors[f"{layer}.lora_up.weight"] = (u[:, :rank] * share).reshape(*u[:, :rank].shape, *[1] * (delta.ndim - 2))
        tensors[f"{layer}.lora_down.weight"] = (share[:, None] * v[:rank]).reshape(-1, *delta.shape[1:])
    return tensors


@torch.no_grad()
def with_difference(base: TextToImage, tensors: dict[str, Tensor]) -> TextToImage:
    """A copy of the base made into the model whose difference is given."""
    sibling = copy.deepcopy(base)
    for name, parameter in sibling.unet.named_parameters():
        layer, part = _host_name(name).rsplit(".", 1)
        if parameter.ndim == 1:
            parameter += tensors[f"{layer}.{'diff' if part == 'weight' else 'diff_b'}"].float()
            continue
        up, down = (tensors[f"{layer}.lora_{side}.weight"].float().flatten(1) for side in ("up", "down"))
        parameter += (up @ down).view_as(parameter)
    return sibling


def load_sibling(base: TextToImage, weights: Path = WEIGHTS) -> TextToImage:
    """The shipped one."""
    return with_difference(base, load_file(weights / SIBLING))
