"""Boxes, points and numbers on a picture, so that everybody sees which face is which."""

from collections.abc import Container

import torch
from torch import Tensor

from ...models.shapes import Float
from .detection import Detections

CHOSEN, OTHER, PAPER = (0.1, 0.9, 0.2), (1.0, 0.55, 0.0), (0.0, 0.0, 0.0)
# Five rows of three dots each, from the top.
_GLYPHS = {
    "0": "111101101101111",
    "1": "010110010010111",
    "2": "111001111100111",
    "3": "111001111001111",
    "4": "101101111001001",
    "5": "111100111001111",
    "6": "111100111101111",
    "7": "111001001010010",
    "8": "111101111101111",
    "9": "111101111001111",
}


def drawn(picture: Tensor, faces: Detections, chosen: Container[int]) -> Float[Tensor, "3 height width"]:
    """A copy of the picture with every face numbered in the order given, the chosen ones in another colour."""
    result = picture.clone()
    pen = max(1, round(min(picture.shape[-2:]) / 300))
    for number, (box, points) in enumerate(zip(faces.boxes.tolist(), faces.points.tolist(), strict=True)):
        colour = CHOSEN if number in chosen else OTHER
        _frame(result, box, pen, colour)
        for x, y in points:
            _fill(result, (x - pen, y - pen, x + pen, y + pen), colour)
        _write(result, str(number), box[:2], 2 * pen, colour)
    return result


def _frame(picture: Tensor, box: list[float], pen: int, colour: tuple[float, ...]) -> None:
    left, top, right, bottom = box
    for edge in (
        (left, top, right, top + pen),
        (left, bottom - pen, right, bottom),
        (left, top, left + pen, bottom),
        (right - pen, top, right, bottom),
    ):
        _fill(picture, edge, colour)


def _fill(picture: Tensor, box: tuple[float, ...], colour: tuple[float, ...]) -> None:
    height, width = picture.shape[-2:]
    left, right = (min(max(round(x), 0), width) for x in box[::2])
    top, bottom = (min(max(round(y), 0), height) for y in box[1::2])
    picture[:, top:bottom, left:right] = torch.tensor(colour)[:, None, None]


def _write(picture: Tensor, text: str, corner: list[float], dot: int, colour: tuple[float, ...]) -> None:
    # Above the box, where it hides no face, but always inside of the picture.
    left, top = max(0, round(corner[0])), max(0, round(corner[1]) - 7 * dot)
    _fill(picture, (left, top, left + dot * (4 * len(text) + 1), top + 7 * dot), PAPER)
    for place, glyph in enumerate(text):
        for index, bit in enumerate(_GLYPHS[glyph]):
            x, y = left + dot * (1 + 4 * place + index % 3), top + dot * (1 + index // 3)
            if bit == "1":
                _fill(picture, (x, y, x + dot, y + dot), colour)
