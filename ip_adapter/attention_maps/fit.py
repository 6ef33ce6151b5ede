"""Pictures of a size that can be laid side by side."""

from torch import Tensor
from torch.nn import functional

from ...models.shapes import Float
from ..errors import SettingError

MIN_SIZE, MAX_SIZE = 64, 2048


def fitted(pictures: Float[Tensor, "n height width channels"], size: int) -> Float[Tensor, "n h w channels"]:
    """The pictures with their longer side as long as this, in pixels. Raises SettingError for a size out of range."""
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise SettingError(f"Expected a size from {MIN_SIZE} to {MAX_SIZE} pixels, got {size}.")
    height, width = pictures.shape[1:3]
    factor = size / max(height, width)
    if factor == 1:
        return pictures
    shape = (max(1, round(height * factor)), max(1, round(width * factor)))
    moved = pictures.movedim(-1, 1).float()
    smooth = functional.interpolate(moved, shape, mode="bilinear", antialias=True)
    return smooth.movedim(1, -1)
