"""A small canvas for pictures of tables and curves."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ...models.shapes import Float

Colour = tuple[int, int, int]
PAPER, INK, FAINT = (255, 255, 255), (32, 36, 42), (208, 212, 218)
# Told apart by people with any common kind of colour vision: Okabe and Ito's palette.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
)
_FINER = 2  # drawn larger and reduced, which smooths slanted lines


class Canvas:
    """Draws boxes, lines and text, in pixels from the top left. Needs Pillow, which every host has."""

    def __init__(self, width: int, height: int) -> None:
        from PIL import Image, ImageDraw

        self.width, self.height = width, height
        self._image = Image.new("RGB", (width * _FINER, height * _FINER), PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def box(self, box: tuple[float, float, float, float], fill: Colour, edge: Colour | None = None) -> None:
        """A box of left, top, right and bottom."""
        left, top, right, bottom = (round(x * _FINER) for x in box)
        self._draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), fill, edge, _FINER)

    def line(self, points: Sequence[tuple[float, float]], colour: Colour, width: float = 1) -> None:
        scaled = [(x * _FINER, y * _FINER) for x, y in points]
        self._draw.line(scaled, colour, round(width * _FINER), joint="curve")

    def text(
        self, place: tuple[float, float], text: str, size: int = 15, colour: Colour = INK, anchor: str = "lm"
    ) -> None:
        """Text whose `anchor`, as Pillow names it, lies at the place: "lm" is the middle of its left side."""
        from PIL import ImageFont

        font = ImageFont.load_default(size * _FINER)
        x, y = place
        self._draw.text((x * _FINER, y * _FINER), text, colour, font, anchor)

    def picture(self) -> Float[Tensor, "1 3 height width"]:
        from PIL import Image

        reduced = self._image.resize((self.width, self.height), Image.Resampling.BOX)
        values = torch.frombuffer(bytearray(reduced.tobytes()), dtype=torch.uint8)
        return values.reshape(1, self.height, self.width, 3).movedim(-1, 1).float() / 255
