"""Which of the faces in a picture: an order, and a position in it."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ...models.shapes import Float
from ..enums import NamedEnum
from ..errors import PictureError
from .detection import Detections


class Which(NamedEnum):
    """The order in which faces are counted, and whether one of them is meant or all."""

    LARGEST = "largest"
    LEFT_TO_RIGHT = "left to right"
    TOP_TO_BOTTOM = "top to bottom"
    CONFIDENCE = "confidence"
    ALL = "all"  # from left to right


def _area(faces: Detections) -> Tensor:
    return (faces.boxes[:, 2:] - faces.boxes[:, :2]).prod(1)


def _middle(faces: Detections) -> Float[Tensor, "faces 2"]:
    return (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2


_SMALLEST_FIRST: dict[Which, Callable[[Detections], Tensor]] = {
    Which.LARGEST: lambda faces: -_area(faces),
    Which.LEFT_TO_RIGHT: lambda faces: _middle(faces)[:, 0],
    Which.TOP_TO_BOTTOM: lambda faces: _middle(faces)[:, 1],
    Which.CONFIDENCE: lambda faces: -faces.scores,
    Which.ALL: lambda faces: _middle(faces)[:, 0],
}


def ordered(faces: Detections, which: Which) -> Detections:
    """The faces in the order in which they are counted; equals stay as the detector gave them."""
    return faces.at(_SMALLEST_FIRST[which](faces).argsort(stable=True))


def chosen(faces: Detections, which: Which, index: int) -> range:
    """Positions of the chosen faces among ordered ones: one, all, or none when there are not that many."""
    if which is Which.ALL:
        return range(len(faces))
    return range(index, min(index + 1, len(faces)))


def inside(mask: Tensor | None, picture: Tensor) -> Callable[[Detections], Tensor]:
    """Tells which detections have their middle where the mask (height, width, any size) is above one half."""
    if mask is None:
        return lambda faces: torch.ones(len(faces), dtype=torch.bool)
    height, width = picture.shape[-2:]

    def test(faces: Detections) -> Tensor:
        grid = 2 * _middle(faces) / torch.tensor([width, height]) - 1
        # Faces at the edge may have their middle outside of the picture: they count as on the edge.
        value = functional.grid_sample(mask[None, None], grid[None, None], padding_mode="border", align_corners=False)
        return value[0, 0, 0] > 0.5

    return test


def mask_for_each(mask: Tensor | None, pictures: int) -> list[Tensor | None]:
    """A mask (height, width) or None for each picture; one mask serves all. Raises PictureError otherwise."""
    if mask is None:
        return [None] * pictures
    if mask.ndim < 2 or 0 in mask.shape or not bool(mask.isfinite().all()):
        raise PictureError(f"The mask for faces is empty or holds NaN (shape {tuple(mask.shape)}).")
    masks = mask.float().cpu().reshape(-1, *mask.shape[-2:])
    if len(masks) not in (1, pictures):
        raise PictureError(f"Expected one mask, or one for each of the {pictures} pictures, got {len(masks)}.")
    return list(masks.expand(pictures, -1, -1))


def masks_for_all(masks: Sequence[Tensor], batches: int) -> Sequence[Tensor | None]:
    """A mask or None for each batch of pictures; one mask serves all. Raises PictureError for another number."""
    if len(masks) not in (0, 1, batches):
        raise PictureError(f"Expected one mask, or one for each of the {batches} images, got {len(masks)}.")
    return masks if len(masks) == batches else [*masks, *[None] * (1 - len(masks))] * batches
