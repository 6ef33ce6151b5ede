"""A pool of scenes and their latents, encoded once."""

from __future__ import annotations

import logging
from collections.abc import Callable
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

    def plain(self) -> Pool:
        """Of the plain scenes only."""
        rows = (self.scenes.looks.lit == 0).nonzero()[:, 0]
        return Pool(self.scenes.rows(rows), self.latents[rows])

    def batch(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Rows and their latents in float32."""
        rows = torch.randint(len(self.scenes), (size,), generator=generator)
        return rows, self.latents[rows].float()


@torch.no_grad()
def encoded(autoencoder: Autoencoder, scenes: world.Scenes, render: Callable[[world.Scenes], Tensor]) -> Tensor:
    """Latents (n, 4, 16, 16) in float16 of the scenes' pictures."""
    parts: list[Tensor] = []
    for start in range(0, len(scenes), BATCH):
        parts.append(autoencoder.encode(render(scenes.rows(slice(start, start + BATCH)))).half().contiguous())
        if start % 4096 == 0:
            log.info("latents %d/%d", start, len(scenes))
    return torch.cat(parts)


def pool_scenes() -> world.Scenes:
    return world.sample_styled_scenes(COUNT, torch.Generator().manual_seed(SEED))


def load_pool(folder: Path, autoencoder: Autoencoder) -> Pool:
    """The pool, made on first use."""
    scenes, file = pool_scenes(), folder / "latents.safetensors"
    if not file.exists():
        save_file({"latents": encoded(autoencoder, scenes, world.render)}, file)
    return Pool(scenes, load_file(file)["latents"])
