"""Pictures of a size that can be laid side by side."""

from torch import Tensor
from torch.nn import functional

from ...models.shapes import Float
from ..errors import SettingError

MIN_SIZE, MAX_SIZE = 64, 2048


def fitted(pictures: Float[Tensor, "n channels height width"], size: int) -> Float[Tensor, "n channels h w"]:
    """The pictures with their longer side as long as this, in pixels. Raises SettingError for a size out of range."""
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise SettingError(f"Expected a size from {MIN_SIZE} to {MAX_SIZE} pixels, got {size}.")
    height, width = pictures.shape[-2:]
    factor = size / max(height, width)
    if factor == 1:
        return pictures
    shape = (max(1, round(height * factor)), max(1, round(width * factor)))
    return functional.interpolate(pictures.float(), shape, mode="bilinear", antialias=True)
