"""Runs of the host's own sampler with random text."""

from typing import Any

import comfy.sample
import torch
from torch import Tensor

from .small_models import CHATGLM_WIDTH, LATENT_CHANNELS

TEXT_TOKENS = 16  # fewer than the 77 of CLIP: what counts is their width
POOLED_WIDTH = 1280
SIZE = 512  # what SDXL is told about the picture's size


def text(model: Any, seed: int) -> list[list[Any]]:
    """A CONDITIONING of one random text for the model's base."""
    generator = torch.Generator().manual_seed(seed)
    is_kolors = hasattr(model.model.diffusion_model, "encoder_hid_proj")
    width = CHATGLM_WIDTH if is_kolors else model.model.model_config.unet_config["context_dim"]
    context = torch.randn(1, TEXT_TOKENS, width, generator=generator)
    pooled = torch.randn(1, CHATGLM_WIDTH if is_kolors else POOLED_WIDTH, generator=generator)
    extra = {"pooled_output": pooled, "width": SIZE, "height": SIZE}
    return [[context, extra if model.model.adm_channels else {}]]


def noise_of(batch: int = 2, size: tuple[int, int] = (8, 8), seed: int = 1) -> Tensor:
    return torch.randn(batch, LATENT_CHANNELS, *size, generator=torch.Generator().manual_seed(seed))


def sample(
    model: Any,
    *,
    noise: Tensor | None = None,
    positive: list[list[Any]] | None = None,
    negative: list[list[Any]] | None = None,
    steps: int = 4,
    cfg: float = 5.0,
    callback: Any = None,
) -> Tensor:
    """Latents after `steps` Euler steps from noise, as the host's KSampler node gives them."""
    noise = noise_of() if noise is None else noise
    positive = text(model, 2) if positive is None else positive
    negative = text(model, 3) if negative is None else negative
    start = torch.zeros_like(noise)
    return comfy.sample.sample(
        model,
        noise,
        steps,
        cfg,
        "euler",
        "normal",
        positive,
        negative,
        start,
        callback=callback,
        disable_pbar=True,
        seed=1,
    )
