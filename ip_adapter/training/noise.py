"""All that is random in training, as a function of the seed and of a sample's place in the run.

So a run that was stopped goes on as if it had not been, and several processes draw what one would have drawn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import torch
from torch import Generator, Tensor

from ...models.shapes import Float
from ..errors import TrainingError


def generator_for(*names: int | str) -> Generator:
    """A generator of its own for every sequence of names."""
    digest = blake2b("/".join(map(str, names)).encode(), digest_size=7).digest()
    return Generator().manual_seed(int.from_bytes(digest, "big"))


@dataclass(frozen=True, eq=False)
class Draw:
    """What chance decides for every sample of a batch."""

    noise: Float[Tensor, "batch channels height width"]
    timesteps: Tensor  # (batch,) whole numbers
    chances: Float[Tensor, " batch"]  # in [0, 1), of what is dropped

    def to(self, device: torch.device) -> "Draw":
        return Draw(self.noise.to(device), self.timesteps.to(device), self.chances.to(device))


def draw(seed: int | str, places: Sequence[int], shape: Sequence[int], timesteps: int) -> Draw:
    """For samples at these places of the run, whose latents have this shape (channels, height, width)."""
    generators = [generator_for(seed, "sample", place) for place in places]
    return Draw(
        torch.stack([torch.randn(*shape, generator=generator) for generator in generators]),
        torch.cat([torch.randint(timesteps, (1,), generator=generator) for generator in generators]),
        torch.cat([torch.rand(1, generator=generator) for generator in generators]),
    )


class Order:
    """Which of `count` samples comes at which place of the run: every one once, then all again in another order."""

    def __init__(self, count: int, seed: int) -> None:
        if not count:
            raise TrainingError("Expected at least one picture to train on, found none. Check the data folder.")
        self._count, self._seed = count, seed
        self._epoch, self._numbers = -1, list[int]()

    def __call__(self, places: Sequence[int]) -> list[int]:
        return list(self._at(places))

    def _at(self, places: Sequence[int]) -> Iterator[int]:
        for place in places:
            epoch, position = divmod(place, self._count)
            if epoch != self._epoch:
                shuffled = torch.randperm(self._count, generator=generator_for(self._seed, "epoch", epoch))
                self._epoch, self._numbers = epoch, shuffled.tolist()
            yield self._numbers[position]
