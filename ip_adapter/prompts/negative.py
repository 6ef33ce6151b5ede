"""What the negative side sees when no negative picture is given."""

import torch
from torch import Tensor

from ...models.shapes import Float
from ..enums import NamedEnum
from .noise import Noise, neutral, noisy


class Negative(NamedEnum):
    """What stands on the negative side of guidance in place of a picture."""

    AUTO = "auto"  # what the adapter was trained with: zero embedding, or zero picture for Plus and full-face
    ZERO_EMBEDDING = "zero embedding"  # zeros in place of the encoder's output
    ZERO_PICTURE = "zero picture"  # the encoder's output for zeros after normalisation, a grey picture
    BLACK_PICTURE = "black picture"  # as ComfyUI_IPAdapter_plus gives to Plus adapters, and XLabs to theirs
    NOISE = "noise"  # uniform noise, the same for every prompt
    NONE = "none"  # nothing: the negative side follows the text alone


PICTURES = (Negative.BLACK_PICTURE, Negative.NOISE)
_SEED = 0


def negative_square(kind: Negative, size: int) -> Float[Tensor, "1 3 size size"] | None:
    """The picture that the encoder sees for a kind that is one, else None."""
    pictures = {
        Negative.BLACK_PICTURE: lambda: torch.zeros(1, 3, size, size),
        Negative.NOISE: lambda: noisy(neutral(size), Noise.FADE, 1.0, _SEED),
    }
    return pictures[kind]() if kind in pictures else None
