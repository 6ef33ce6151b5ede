"""Pictures that the adapter draws of held-out samples while it learns."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...models.shapes import Float
from .atomic import replaced
from .batch import Batch, Text, UncondBatch
from .loss import Denoiser
from .noise import generator_for
from .noising import Noising
from .pictures import save_picture
from .samples import Samples
from .trainable import TrainableAdapter

FOLDER = "pictures"
MOST = 6  # samples in a picture
_STEPS, _GUIDANCE = 20, 5.0
Decode = Callable[[Tensor], Tensor]  # of latents (n, channels, h, w) to pictures (n, 3, height, width) in [0, 1]


@dataclass(frozen=True, eq=False)
class Validation:
    """Draws up to MOST of the samples, always from the same noise."""

    base: Denoiser
    samples: Samples
    nothing: UncondBatch
    decode: Decode

    @torch.no_grad()
    def draw(self, adapter: TrainableAdapter) -> Float[Tensor, "3 height width"]:
        """A picture in [0, 1] of three rows: the samples themselves, drawn with an empty text, and with captions."""
        device = next(adapter.parameters()).device
        batch = self.samples.batch(range(min(MOST, len(self.samples)))).to(device)
        nothing = self.nothing.to(device)
        silent = batch.text.where(torch.zeros(len(batch.latents), dtype=torch.bool, device=device), nothing.text)
        rows = [batch.latents, *(self._drawn(adapter, batch, text, nothing) for text in (silent, batch.text))]
        strips = [torch.cat(list(self.decode(row)), dim=2) for row in rows]
        return torch.cat(strips, dim=1)

    def save(self, adapter: TrainableAdapter, folder: Path, step: int) -> Tensor:
        """What `draw` gives, after writing it as a PNG. Raises TrainingError when it cannot be written."""
        picture = self.draw(adapter)
        with replaced(folder / FOLDER / f"{step:06}.png") as part:
            save_picture(picture, part)
        return picture

    def _drawn(self, adapter: TrainableAdapter, batch: Batch, text: Text, nothing: UncondBatch) -> Tensor:
        count = len(batch.latents)
        shape = batch.latents.shape[1:]
        noise = torch.stack([torch.randn(*shape, generator=generator_for("drawn", n)) for n in range(count)])
        with_picture = adapter(*batch.image)
        without = adapter(*(part.expand(count, *part.shape[1:]) for part in nothing.image))
        nobody = text.where(torch.zeros(count, dtype=torch.bool, device=batch.latents.device), nothing.text)

        def predict(noisy: Tensor, timesteps: Tensor) -> Tensor:
            negative = self.base.predict(noisy, timesteps, nobody, without)
            return negative + _GUIDANCE * (self.base.predict(noisy, timesteps, text, with_picture) - negative)

        return ddim(self.base.noising, noise.to(batch.latents.device), predict)


def ddim(
    noising: Noising, noise: Float[Tensor, "n channels h w"], predict: Callable[[Tensor, Tensor], Tensor]
) -> Float[Tensor, "n channels h w"]:
    """Latents from noise in a few steps. Song et al. 2021 (arXiv 2010.02502), equation 12 with sigma 0."""
    latents, timesteps = noise, torch.linspace(len(noising) - 1, 0, _STEPS).round().long()
    for here, there in zip(timesteps.tolist(), [*timesteps[1:].tolist(), None], strict=True):
        clean, rest = noising.parts(
            latents, predict(latents, torch.full((len(noise),), here, device=noise.device)), here
        )
        signal, sigma = (1.0, 0.0) if there is None else (float(noising.signal[there]), float(noising.noise[there]))
        latents = signal * clean + sigma * rest
    return latents
