"""Noise as a negative picture: something an image should not look like, with a generator of its own."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ...models.shapes import Float
from ..enums import NamedEnum
from ..errors import SettingError
from .preprocess import NEUTRAL, blurred

MAX_BLUR = 64.0
Pictures = Float[Tensor, "pictures 3 height width"]
_PIECES = 8  # to a side, for shuffling


class Noise(NamedEnum):
    """How noise takes the place of a picture; at strength 0 the picture is left."""

    FADE = "fade"  # mixed with uniform noise
    DISSOLVE = "dissolve"  # this share of the pixels becomes uniform noise
    GAUSSIAN = "gaussian"  # normal noise of this deviation is added
    SHUFFLE = "shuffle"  # this share of 64 pieces change places: colours and textures without a layout


@dataclass(frozen=True)
class NoiseOptions:
    """What the user chose on a noise node. Raises SettingError for numbers out of range."""

    kind: Noise = Noise.FADE
    strength: float = 1.0
    blur: float = 0.0  # pixels
    seed: int = 0
    size: int = 224  # pixels of a side, where there is no picture

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1 or not 0 <= self.blur <= MAX_BLUR or self.size < 1:
            raise SettingError(
                f"Expected a strength from 0 to 1, a blur from 0 to {MAX_BLUR} and a size from 1, got {self.strength}, "
                f"{self.blur} and {self.size}. Correct them."
            )


def negative_noise(pictures: Pictures | None, options: NoiseOptions) -> Pictures:
    """Noise made of pictures, or of the encoder's neutral colour."""
    ground = neutral(options.size) if pictures is None else pictures
    made = noisy(ground, options.kind, options.strength, options.seed)
    return blurred(made, options.blur) if options.blur else made


def neutral(size: int) -> Float[Tensor, "1 3 size size"]:
    """A picture that is nearly zero after normalisation."""
    return torch.tensor(NEUTRAL)[None, :, None, None].repeat(1, 1, size, size)


def noisy(pictures: Pictures, kind: Noise, strength: float, seed: int) -> Pictures:
    """The pictures with noise, in [0, 1]; equal seeds give equal noise."""
    return _KINDS[kind](pictures, strength, Generator().manual_seed(seed)).clamp(0, 1)


def _fade(pictures: Pictures, strength: float, generator: Generator) -> Tensor:
    return torch.lerp(pictures, torch.rand(pictures.shape, generator=generator), strength)


def _dissolve(pictures: Pictures, strength: float, generator: Generator) -> Tensor:
    gone = torch.rand(pictures[:, :1].shape, generator=generator) < strength
    return torch.where(gone, torch.rand(pictures.shape, generator=generator), pictures)


def _gaussian(pictures: Pictures, strength: float, generator: Generator) -> Tensor:
    return pictures + strength * torch.randn(pictures.shape, generator=generator)


def _shuffle(pictures: Pictures, strength: float, generator: Generator) -> Tensor:
    pieces = min(_PIECES, *pictures.shape[-2:])
    height, width = (side // pieces for side in pictures.shape[-2:])
    result = pictures.clone()
    # What is left over at the border by a side that does not divide stays where it is.
    area = (
        result[..., : pieces * height, : pieces * width].unflatten(-1, (pieces, width)).unflatten(-3, (pieces, height))
    )
    moved = torch.randperm(pieces**2, generator=generator)[: round(strength * pieces**2)]
    target = moved[torch.randperm(len(moved), generator=generator)]
    source = area.clone()
    area[..., moved // pieces, :, moved % pieces, :] = source[..., target // pieces, :, target % pieces, :]
    return result


_KINDS: dict[Noise, Callable[[Pictures, float, Generator], Tensor]] = {
    Noise.FADE: _fade,
    Noise.DISSOLVE: _dissolve,
    Noise.GAUSSIAN: _gaussian,
    Noise.SHUFFLE: _shuffle,
}
