"""From pictures to an image prompt, through any encoder."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ...models.shapes import Float
from ..errors import SettingError
from ..weights.weight import check_weight, read_weights
from .combine import Combine
from .features import Features, join
from .negative import Negative, negative_square
from .preprocess import Fit, Position, Preparation, apply_mask, check_sharpening, fitted
from .prompt import ImagePrompt, Origin

BATCH = 8  # pictures per call: bounds the memory of long batches
Tick = Callable[[int], None]  # is told how many pictures have been done, and may raise to cancel


class ImageEncoder(Protocol):
    """What the core needs of an image encoder."""

    @property
    def size(self) -> int:
        """Side of the square input, in pixels."""
        ...

    def encode(self, squares: Tensor) -> Features:
        """Features of pictures (n, 3, size, size) in [0, 1]."""
        ...

    def encode_zeros(self) -> Features:
        """Features of one picture that is zero after normalisation."""
        ...


@dataclass(frozen=True, eq=False)
class Reference:
    """Pictures in [0, 1] to encode, and masks (n, height, width) of the part of them that counts."""

    pictures: Float[Tensor, "n 3 height width"]
    mask: Tensor | None = None


@dataclass(frozen=True)
class EncodeOptions:
    """What the user chose on an encode node, by name. Raises SettingError for numbers out of range."""

    fit: str = Fit.CROP
    combine: str = Combine.CONCAT
    weight: float = 1.0
    position: str = Position.CENTER
    sharpening: float = 0.0
    weights: str = ""  # of the pictures, times `weight`
    negative: str = Negative.AUTO
    encode_batch_size: int = BATCH

    def __post_init__(self) -> None:
        check_weight(self.weight)
        check_sharpening(self.sharpening)
        if self.encode_batch_size < 1:
            raise SettingError(f"Expected to encode at least 1 picture at once, got {self.encode_batch_size}.")


def squares_of(reference: Reference, size: int, how: Preparation) -> Tensor:
    """The squares that the encoder will see, (n, 3, size, size)."""
    pictures = reference.pictures
    if reference.mask is not None:
        pictures = apply_mask(pictures, reference.mask)
    return fitted(pictures, size, how.fit, how.position, how.sharpening)


def encode(encoder: ImageEncoder, squares: Tensor, tick: Tick, batch: int = BATCH) -> Features:
    """Features of the squares, a few at a time; `tick` is told how many have been done and may raise to cancel."""
    parts: list[Features] = []
    for some in squares.split(batch):
        parts.append(encoder.encode(some))
        tick(len(some))
    return join(parts)


def image_prompt(
    encoder: ImageEncoder,
    positive: Reference,
    negative: Reference | None,
    choice: EncodeOptions,
    progress: Callable[[int], Tick] = lambda total: lambda done: None,
) -> tuple[ImagePrompt, Tensor]:
    """The image prompt of references, and the squares (n, 3, size, size) that stand for the positive ones.

    `progress` is told how many squares will be encoded, and gives what is told of each that has been. Raises
    PictureError for a picture or mask that cannot be used, SettingError for weights or negatives that make no sense.
    """
    how, kind = Preparation(Fit(choice.fit), Position(choice.position), choice.sharpening), Negative(choice.negative)
    if negative is not None and kind is not Negative.AUTO:
        raise SettingError(
            f"A negative picture is connected, and negative is set to {kind.value}, which stands in for one. "
            "Disconnect it, or set negative to auto."
        )
    seen = squares_of(positive, encoder.size, how)
    against = negative_square(kind, encoder.size) if negative is None else squares_of(negative, encoder.size, how)
    weights = read_weights(choice.weights, len(positive.pictures), "pictures")
    tick = progress(len(seen) + (0 if against is None else len(against)))
    with torch.inference_mode():
        prompt = ImagePrompt(
            positive=encode(encoder, seen, tick, choice.encode_batch_size),
            negative=None if against is None else encode(encoder, against, tick, choice.encode_batch_size),
            zero_picture=encoder.encode_zeros(),
            weights=tuple(choice.weight * one for one in weights for _ in range(len(seen) // len(weights))),
            combine=Combine(choice.combine),
            negative_kind=kind,
            origin=Origin(encoder.size, how),
        )
    return prompt, seen
