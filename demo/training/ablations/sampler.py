"""DDIM with classifier-free guidance for a whole batch, every picture with a text and an image prompt of its own.

Source: Song et al. 2020 (arXiv 2010.02502), equation 12 without noise; Ho and Salimans 2022 (arXiv 2207.12598), for
v-prediction (Salimans and Ho 2022, arXiv 2202.00512). Timesteps are those of the host's scheduler "ddim_uniform".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ....ip_adapter.host.denoiser import replacements
from ... import vocabulary
from ..autoencoder import Autoencoder
from ..text_to_image import Noising, TextToImage

STEPS, CFG, BATCH = 20, 2.0, 32
Adapter = Callable[[Tensor], Any]  # features of a batch -> the attention of every site


@dataclass(frozen=True)
class Following:
    """An adapter, what it reads of every picture's reference, and what it reads where there is none."""

    adapter: Adapter
    seen: Tensor
    nothing: Tensor

    def rows(self, index: Tensor) -> Following:
        return replace(self, seen=self.seen[index], nothing=self.nothing[index])


@torch.no_grad()
def draw(
    base: TextToImage,
    autoencoder: Autoencoder,
    prompts: list[str],
    noise: Tensor,
    following: Following | None = None,
) -> Tensor:
    """Pictures (n, 3, h, w) in [0, 1] of the prompts, a batch at a time."""
    parts: list[Tensor] = []
    for rows in torch.arange(len(prompts)).split(BATCH):
        part = None if following is None else following.rows(rows)
        latents = sample(base, [prompts[row] for row in rows.tolist()], noise[rows], part)
        parts.append(autoencoder.decode(latents).clamp(0, 1))
    return torch.cat(parts)


@torch.no_grad()
def sample(base: TextToImage, prompts: list[str], noise: Tensor, following: Following | None = None) -> Tensor:
    """Latents (n, 4, height, width) of the prompts, from noise of the same shape."""
    ids = torch.tensor([vocabulary.padded_ids(text) for text in [*prompts, *[""] * len(prompts)]])
    context = base.text(input_tokens=ids)[0]
    options: dict[str, Any] = {}
    if following is not None:
        seen = torch.cat([following.seen, following.nothing])
        options["patches_replace"] = {"attn2": replacements(following.adapter(seen))}
    noising, x = Noising(), noise
    signal, sigma = noising.signal, noising.noise
    timesteps = list(range(1, len(signal), len(signal) // STEPS))[::-1]
    for now, following_step in zip(timesteps, [*timesteps[1:], None], strict=True):
        time = torch.full((2 * len(noise),), float(now))
        v = base.unet(torch.cat([x, x]), time, context=context, transformer_options=options)
        wanted, unwanted = v.chunk(2)
        v = unwanted + CFG * (wanted - unwanted)
        picture, rest = signal[now] * x - sigma[now] * v, sigma[now] * x + signal[now] * v
        last = following_step is None
        x = picture if last else signal[following_step] * picture + sigma[following_step] * rest
    return x
