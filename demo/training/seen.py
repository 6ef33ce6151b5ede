"""What adapters read of pictures: of those they are trained on, and of those they are asked about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ...ip_adapter.host.encode import HostEncoder
from ...ip_adapter.prompts.encoder import encode
from ...ip_adapter.prompts.preprocess import Fit, fitted
from .. import world

BATCH = 64


@dataclass(frozen=True)
class Seen:
    """What an image encoder says of pictures and of a picture of zeros, for a projector to read."""

    pictures: Tensor  # (pictures, ...) float16
    nothing: Tensor  # (1, ...)

    def rows(self, index: Tensor | slice, without: Tensor | None = None) -> Tensor:
        """Of these pictures, and nothing in place of those marked."""
        chosen = self.pictures[index].float()
        if without is None:
            return chosen
        return torch.where(without.view(-1, *[1] * (chosen.ndim - 1)), self.nothing, chosen)

    def none(self, count: int) -> Tensor:
        return self.nothing.expand(count, *self.nothing.shape[1:])


@torch.no_grad()
def look_at(encoder: HostEncoder, scenes: world.Scenes) -> dict[str, Seen]:
    """The pooled embedding and the patches of the last layer but one, by those names."""
    pooled, patches = [], []
    for start in range(0, len(scenes), BATCH):
        pictures = world.render(scenes.rows(slice(start, start + BATCH)))
        features = encode(encoder, fitted(pictures, encoder.size, Fit.CROP), lambda done: None, BATCH)
        pooled.append(features.pooled.half())
        patches.append(features.penultimate.half())
    # Dropped pictures are what the reference scripts put there: a zero embedding, and the encoder's view of zeros.
    seen = {"pooled": Seen(torch.cat(pooled), torch.zeros_like(pooled[0][:1]).float())}
    return seen | {"patches": Seen(torch.cat(patches), encoder.encode_zeros().penultimate.float())}


def look_once(file: Path, encoder: HostEncoder, scenes: world.Scenes) -> dict[str, Seen]:
    """The same, kept in a file."""
    if not file.exists():
        seen = look_at(encoder, scenes)
        parts = {name: {"pictures": part.pictures, "nothing": part.nothing} for name, part in seen.items()}
        save_file({f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()}, file)
    tensors = load_file(file)
    return {name: Seen(tensors[f"{name}.pictures"], tensors[f"{name}.nothing"]) for name in ("pooled", "patches")}
