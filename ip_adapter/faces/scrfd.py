"""SCRFD, the face detector of insightface's packs: from a picture to its input, and from its outputs to faces.

https://github.com/deepinsight/insightface/blob/e896172/python-package/insightface/model_zoo/scrfd.py
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from ...models.shapes import Float
from .alignment import as_bytes
from .detection import Detections

FINEST_STRIDE = 8  # pixels between anchors of the first level; each level doubles it
_MEAN, _SCALE = 127.5, 128.0
_OVERLAP = 0.4  # of two boxes that share more of their union, the less certain one goes


def letterboxed(picture: Tensor, size: int, canvas: tuple[int, int]) -> tuple[Float[Tensor, "1 3 h w"], Tensor]:
    """The detector's input, and the scale (x, y) from its pixels to the picture's.

    The longer side becomes `size` pixels, in the top left corner of a black canvas of (height, width).
    """
    height, width = picture.shape[-2:]
    longer = max(height, width)
    size = min(size, canvas[0] * longer // height, canvas[1] * longer // width)
    inner = max(1, height * size // longer), max(1, width * size // longer)
    small = as_bytes(functional.interpolate(picture[None], inner, mode="bilinear", align_corners=False))
    filled = functional.pad(small, (0, canvas[1] - inner[1], 0, canvas[0] - inner[0]))
    return (filled * 255 - _MEAN) / _SCALE, torch.tensor([width / inner[1], height / inner[0]])


def decoded(outputs: Sequence[Tensor], canvas: tuple[int, int], confidence: float) -> Detections:
    """Faces in pixels of the canvas, best first.

    Each level has three outputs, told by their width: 1 score, 4 distances to the edges, 10 offsets to the points, the
    latter two in units of the stride; one row per anchor, anchors of one place side by side.
    """
    scores, distances, offsets = (_levels(outputs, width) for width in (1, 4, 10))
    parts = [
        _level(*level, _places(canvas, FINEST_STRIDE << index, len(level[0])), confidence)
        for index, level in enumerate(zip(scores, distances, offsets, strict=True))
    ]
    boxes, points, scores = (torch.cat(column) for column in zip(*parts, strict=True))
    faces = Detections(boxes, points, scores)
    return faces.at(_strongest(faces))


def _levels(outputs: Sequence[Tensor], width: int) -> list[Tensor]:
    """The outputs of this width, the finest level first."""
    return sorted((output.reshape(-1, width) for output in outputs if output.shape[-1] == width), key=len, reverse=True)


def _places(canvas: tuple[int, int], stride: int, anchors: int) -> tuple[Tensor, int]:
    rows, columns = (torch.arange(side // stride) * stride for side in canvas)
    places = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1).reshape(-1, 2)
    return places.repeat_interleave(anchors // len(places), dim=0), stride


def _level(
    scores: Tensor, distances: Tensor, offsets: Tensor, grid: tuple[Tensor, int], confidence: float
) -> tuple[Tensor, Tensor, Tensor]:
    places, stride = grid
    sure = scores[:, 0] >= confidence
    places, near = places[sure], distances[sure] * stride
    boxes = torch.cat([places - near[:, :2], places + near[:, 2:]], dim=1)
    return boxes, places[:, None] + offsets[sure].reshape(-1, 5, 2) * stride, scores[sure, 0]


def _strongest(faces: Detections) -> Tensor:
    """Indices of the faces, best first, without those that overlap a better one (non-maximum suppression)."""
    order = faces.scores.argsort(descending=True, stable=True)
    kept: list[Tensor] = []
    while len(order):
        best, order = order[:1], order[1:]
        kept.append(best)
        order = order[_overlap(faces.boxes[best], faces.boxes[order]) <= _OVERLAP]
    return torch.cat(kept) if kept else order


def _overlap(box: Tensor, others: Tensor) -> Tensor:
    """Intersection over union, with edges counted as pixels as the reference does."""
    low, high = torch.maximum(box[:, :2], others[:, :2]), torch.minimum(box[:, 2:], others[:, 2:])
    shared = (high - low + 1).clamp(min=0).prod(1)
    areas = [(boxes[:, 2:] - boxes[:, :2] + 1).prod(1) for boxes in (box, others)]
    return shared / (areas[0] + areas[1] - shared)
