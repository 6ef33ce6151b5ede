"""Edge pictures of the pool's scenes, found once by the host's own Canny node, which the workflows use as well."""

from __future__ import annotations

from pathlib import Path

import torch
from comfy_extras.nodes_canny import Canny
from safetensors.torch import load_file, save_file
from torch import Tensor

from .. import world
from .latents import Pool

PICTURES, BATCH = 8_192, 16
LOW, HIGH = 0.1, 0.2  # below the node's defaults, which miss the edge between colours of like brightness


def find_edges(pictures: Tensor) -> Tensor:
    """The node's edges of pictures (n, 3, h, w) in [0, 1]: (n, 1, h, w) in {0, 1}."""
    return Canny.execute(pictures.movedim(1, -1), LOW, HIGH).result[0][..., :1].movedim(-1, 1)


def load_edges(folder: Path, pool: Pool) -> Tensor:
    """Edges of the pool's first PICTURES scenes, (PICTURES, 1, 128, 128) of booleans, found on first use."""
    file = folder / "edges.safetensors"
    if not file.exists():
        parts = [
            find_edges(world.render(pool.scenes.rows(slice(start, start + BATCH)))).bool()
            for start in range(0, PICTURES, BATCH)
        ]
        save_file({"edges": torch.cat(parts)}, file)
    return load_file(file)["edges"]
