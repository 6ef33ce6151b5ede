"""Faces cut out of a photograph the way recognisers and face encoders were trained to see them."""

import torch
from torch import Tensor
from torch.nn import functional

from ...models.shapes import Float
from ..errors import FaceError
from .face import CROP, SQUARE, Crops, FaceLandmarks

RECOGNISED = 112  # side of the crop a recogniser reads, in pixels
# Eyes, nose and corners of the mouth in ArcFace's training pictures.
# https://github.com/deepinsight/insightface/blob/e896172/python-package/insightface/utils/face_align.py
TEMPLATE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))


def similarity(points: Tensor, onto: Tensor) -> Float[Tensor, "2 3"]:
    """The turn, scale and shift that bring points nearest to others: least squares without mirroring (Umeyama 1991).

    Raises FaceError when all points coincide, which no transform can spread.
    """
    source, target = points - points.mean(0), onto - onto.mean(0)
    spread = source.square().sum()
    if not float(spread) > 0:
        raise FaceError("The five points of a face coincide, so it cannot be aligned. Use a larger or another picture.")
    along = (source * target).sum() / spread
    across = (source[:, 0] * target[:, 1] - source[:, 1] * target[:, 0]).sum() / spread
    linear = torch.stack([along, -across, across, along]).reshape(2, 2)
    return torch.cat([linear, (onto.mean(0) - linear @ points.mean(0))[:, None]], dim=1)


def aligned(picture: Tensor, points: Tensor, size: int) -> Float[Tensor, "3 size size"]:
    """The face turned and scaled to the template, as insightface's `norm_crop`: bilinear, black outside, 8 bits."""
    to_template = similarity(points, torch.tensor(TEMPLATE) * size / RECOGNISED)
    return as_bytes(warped(picture, to_template, size))


def template_box(points: Tensor) -> Float[Tensor, "4"]:
    """About where the face is that has these points: the box around the square that `aligned` shows."""
    to_template = similarity(points, torch.tensor(TEMPLATE))
    corners = RECOGNISED * torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    corners = (corners - to_template[:, 2]) @ torch.linalg.inv(to_template[:, :2]).T
    return torch.cat([corners.amin(0), corners.amax(0)])


def warped(picture: Tensor, matrix: Tensor, size: int) -> Float[Tensor, "3 size size"]:
    """The picture after a transform of its pixel coordinates, whole numbers at the centres as in OpenCV."""
    axis = torch.arange(size, dtype=torch.float32)
    places = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)
    source = (places - matrix[:, 2]) @ torch.linalg.inv(matrix[:, :2]).T
    height, width = picture.shape[-2:]
    grid = (2 * source + 1) / torch.tensor([width, height]) - 1
    return functional.grid_sample(picture[None], grid[None], padding_mode="zeros", align_corners=False)[0]


def square(picture: Tensor, box: Tensor, size: int) -> Float[Tensor, "3 size size"]:
    """The square around the middle of a box, as wide as its longer side; black outside of the picture, 8 bits.

    As Kolors cuts faces for its image encoder:
    https://github.com/Kwai-Kolors/Kolors/blob/89afca1/ipadapter_FaceID/sample_ipadapter_faceid_plus.py
    """
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).amax() / 2
    left, top, right, bottom = (round(edge) for edge in torch.cat([middle - half, middle + half]).tolist())
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    height, width = picture.shape[-2:]
    inside = picture[:, max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    margins = (max(-left, 0), max(right - max(width, left), 0), max(-top, 0), max(bottom - max(height, top), 0))
    cut = functional.pad(inside, margins)
    return as_bytes(functional.interpolate(cut[None], (size, size), mode="bicubic", antialias=True)[0])


def crops_of(picture: Tensor, place: FaceLandmarks) -> Crops:
    """The two cuts of a face that image encoders read."""
    cuts = aligned(picture, place.points, CROP), square(picture, place.box, SQUARE)
    return Crops(*((cut * 255).round().to(torch.uint8) for cut in cuts))


def as_bytes(picture: Tensor) -> Tensor:
    """The picture in steps of 1/255, so that keeping it in 8 bits loses nothing."""
    return (picture.clamp(0, 1) * 255).round() / 255
