"""A pool of scenes and their latents, encoded once."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from .. import world
from .autoencoder import Autoencoder

COUNT, BATCH, SEED = 40_960, 16, 41
log = logging.getLogger("demo.training")


@dataclass(frozen=True)
class Pool:
    scenes: world.Scenes
    latents: Tensor  # (COUNT, 4, 16, 16) float16

    def first(self, count: int) -> Pool:
        return Pool(self.scenes.rows(slice(0, count)), self.latents[:count])

    def batch(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Rows and their latents in float32."""
        rows = torch.randint(len(self.scenes), (size,), generator=generator)
        return rows, self.latents[rows].float()


def load_pool(folder: Path, autoencoder: Autoencoder) -> Pool:
    """The pool, made on first use."""
    scenes = world.sample_scenes(COUNT, torch.Generator().manual_seed(SEED))
    file = folder / "latents.safetensors"
    if not file.exists():
        parts: list[Tensor] = []
        for start in range(0, COUNT, BATCH):
            pictures = world.render(scenes.rows(slice(start, start + BATCH)))
            with torch.no_grad():
                parts.append(autoencoder.encode(pictures).half().contiguous())
            if start % 4096 == 0:
                log.info("latents %d/%d", start, COUNT)
        save_file({"latents": torch.cat(parts)}, file)
    return Pool(scenes, load_file(file)["latents"])
