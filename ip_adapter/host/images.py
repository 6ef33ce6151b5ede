"""The host's IMAGEs as the core's pictures, and back: layouts are turned here and nowhere else.

An IMAGE is (batch, height, width, channels); pictures are (n, 3, height, width), RGB in [0, 1].
"""

from collections.abc import Iterator

from torch import Tensor

from ...models.shapes import Float
from ..errors import PictureError
from ..prompts.preprocess import blend_with_neutral


def as_pictures(image: Tensor) -> Float[Tensor, "pictures 3 height width"]:
    """RGB pictures in [0, 1] from a host IMAGE; grey and alpha are resolved.

    Raises PictureError for an empty batch, NaN or infinite values, and channel counts other than 1 to 4.
    """
    if image.ndim != 4 or 0 in image.shape:
        raise PictureError(f"Expected at least one picture (batch, height, width, channels), got {tuple(image.shape)}.")
    if not bool(image.isfinite().all()):
        raise PictureError("The reference picture holds NaN or infinite values. Check the node that made it.")
    pictures = image.float().movedim(-1, 1).clamp(0, 1)
    channels = pictures.shape[1]
    if channels > 4:
        raise PictureError(f"Expected a grey, RGB or RGBA picture, got {channels} channels.")
    colour = pictures[:, :3] if channels >= 3 else pictures[:, :1].expand(-1, 3, -1, -1)
    return blend_with_neutral(colour, pictures[:, -1:]) if channels in (2, 4) else colour


def as_image(pictures: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n height width 3"]:
    """Pictures as a host IMAGE."""
    return pictures.movedim(1, -1)


class ImageRows:
    """The pictures (3, height, width) of a host IMAGE one at a time: a long batch is in memory often enough."""

    def __init__(self, image: Tensor) -> None:
        self._image = image

    def __len__(self) -> int:
        return len(self._image)

    def __iter__(self) -> Iterator[Tensor]:
        """Raises what `as_pictures` raises."""
        return (as_pictures(row)[0].cpu() for row in self._image.split(1))
