"""From pictures to an image prompt, through any encoder."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .preprocess import Fit, apply_mask, as_pictures, fitted
from .prompt import Combine, Features, ImagePrompt, join

BATCH = 8  # pictures per call: bounds the memory of long batches


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
    """Host pictures to encode, and the part of them that counts."""

    image: Tensor
    mask: Tensor | None = None


def squares_of(reference: Reference, size: int, fit: Fit) -> Tensor:
    """The squares that the encoder will see, (n, 3, size, size)."""
    pictures = as_pictures(reference.image)
    if reference.mask is not None:
        pictures = apply_mask(pictures, reference.mask)
    return fitted(pictures, size, fit)


def encode(encoder: ImageEncoder, squares: Tensor, tick: Callable[[int], None]) -> Features:
    """Features of the squares, a few at a time; `tick` is told how many have been done and may raise to cancel."""
    parts: list[Features] = []
    for start in range(0, len(squares), BATCH):
        parts.append(encoder.encode(squares[start : start + BATCH]))
        tick(min(BATCH, len(squares) - start))
    return join(parts)


def image_prompt(
    encoder: ImageEncoder,
    positive: Tensor,
    negative: Tensor | None,
    combine: Combine,
    weight: float,
    tick: Callable[[int], None] = lambda done: None,
) -> ImagePrompt:
    """The image prompt of squares that are ready, every picture with the same weight."""
    with torch.inference_mode():
        return ImagePrompt(
            positive=encode(encoder, positive, tick),
            negative=None if negative is None else encode(encoder, negative, tick),
            zero_picture=encoder.encode_zeros(),
            weights=(weight,) * len(positive),
            combine=combine,
        )
