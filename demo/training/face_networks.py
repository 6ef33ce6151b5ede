"""The demo family's face detector and recogniser, in the form of insightface's: SCRFD and a small ArcFace.

Batch normalisation is folded into the convolutions on export, so the files hold convolutions and little else.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...ip_adapter.faces.face import WIDTH as EMBEDDING

CANVAS = 96  # side of the detector's input, in pixels
STRIDES = (8, 16, 32)
OUTPUTS = (1, 4, 10)  # score, distances to the edges, offsets to the points


def _step(before: int, after: int, stride: int = 2) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, 1, bias=False), _norm(after), nn.ReLU())


def _norm(width: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(width)
    norm.num_batches_tracked = torch.zeros(())  # a run averages all it keeps, so that must be numbers with fractions
    return norm


class Detector(nn.Module):
    """Three levels of a feature pyramid with one head; per level scores, boxes and points in units of its stride."""

    WIDTHS = (3, 8, 16, 24, 32, 32)
    INNER = 24

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.ModuleList(_step(*pair) for pair in pairwise(self.WIDTHS))
        self.whole = _step(self.WIDTHS[-1], self.WIDTHS[-1], stride=1)  # sees objects as large as the canvas
        self.sides = nn.ModuleList(nn.Conv2d(width, self.INNER, 1) for width in self.WIDTHS[3:])
        self.head = nn.Conv2d(self.INNER, self.INNER, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(_norm(self.INNER) for _ in STRIDES)  # levels differ too much for one
        self.last = nn.Conv2d(self.INNER, sum(OUTPUTS), 1)
        assert self.last.bias is not None
        nn.init.constant_(self.last.bias[:1], -4.0)  # objects are rare among places

    def levels(self, pictures: Tensor) -> list[Tensor]:
        """Logits and numbers (n, 15, rows, columns) per level, the finest first."""
        x, features = pictures, list[Tensor]()
        for step in self.steps:
            x = step(x)
            features.append(x)
        features[-1] = self.whole(features[-1])
        results: list[Tensor] = []
        above: Tensor | None = None
        for side, norm, level in reversed(list(zip(self.sides, self.norms, features[2:], strict=True))):
            here = side(level)
            above = here if above is None else here + functional.interpolate(above, scale_factor=2.0)
            results.append(self.last(norm(self.head(above)).relu()))
        return results[::-1]

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Scores of all levels, then boxes, then points, each (places, width), as SCRFD's files give them."""
        rows = [level.permute(0, 2, 3, 1).reshape(-1, sum(OUTPUTS)) for level in self.levels(pictures)]
        scores, boxes, places = zip(*(row.split(OUTPUTS, dim=1) for row in rows), strict=True)
        return [*(score.sigmoid() for score in scores), *boxes, *places]


class Recogniser(nn.Module):
    """Raw embeddings (n, 512) of aligned crops (n, 3, 112, 112) in [-1, 1]."""

    WIDTHS = (3, 16, 32, 40, 48)

    def __init__(self) -> None:
        super().__init__()
        last = self.WIDTHS[-1]
        steps = [_step(*pair) for pair in pairwise(self.WIDTHS)]
        # One filter as large as what is left, for each channel: where something was matters in an aligned picture.
        whole = nn.Sequential(nn.Conv2d(last, last, 7, groups=last, bias=False), _norm(last))
        self.layers = nn.Sequential(*steps, whole, nn.Flatten(), nn.Linear(last, EMBEDDING))

    def forward(self, crops: Tensor) -> Tensor:
        return self.layers(crops)


def with_mean_zero(pictures: Tensor) -> Tensor:
    """Pictures in [0, 1] as the detector reads them."""
    return (pictures * 255 - 127.5) / 128


def example(model: nn.Module) -> Tensor:
    """An input of the one size that the model takes."""
    return torch.zeros(1, 3, CANVAS, CANVAS) if isinstance(model, Detector) else torch.zeros(1, 3, 112, 112)
