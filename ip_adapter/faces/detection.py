"""Finding faces in a photograph: at several sizes, and at last with a margin around it, until there is one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from ...models.shapes import Float
from .face import FaceLandmarks, Recogniser

# Detectors know faces up to a part of their input. So a portrait is tried smaller, and when even that finds nothing,
# with black around it: factors of the chosen size, and margins as a part of the longer side.
LADDER = ((1.0, 0.0), (0.75, 0.0), (0.5, 0.0), (1.0, 0.5), (0.5, 0.5))
_STEP = 32  # sizes that detectors can take are multiples of it


@dataclass(frozen=True, eq=False)
class Detections:
    """Faces in pixels of the picture: boxes (left, top, right, bottom), five points (x, y) each, and scores 0 to 1."""

    boxes: Float[Tensor, "faces 4"]
    points: Float[Tensor, "faces 5 2"]
    scores: Float[Tensor, "faces"]

    def __len__(self) -> int:
        return len(self.scores)

    def at(self, chosen: Tensor) -> "Detections":
        """Those that a mask or a list of indices names, in its order."""
        return Detections(self.boxes[chosen], self.points[chosen], self.scores[chosen])

    def place(self, index: int) -> FaceLandmarks:
        return FaceLandmarks(self.boxes[index], self.points[index])

    def moved(self, scale: Tensor, shift: Tensor) -> "Detections":
        """The same faces after every x and y has been scaled, then shifted."""
        points = self.points * scale + shift
        return Detections(self.boxes * scale.repeat(2) + shift.repeat(2), points, self.scores)


class FaceAnalyser(Protocol):
    """A detector with five points, and a recogniser."""

    @property
    def recogniser(self) -> Recogniser: ...

    def detect(self, picture: Tensor, size: int, confidence: float) -> Detections:
        """Faces of at least this score in a picture (3, height, width) in [0, 1], looked at with its longer side
        scaled to `size` pixels; no face twice."""
        ...

    def embed(self, faces: Tensor) -> Float[Tensor, "faces 512"]:
        """Raw embeddings of aligned faces (n, 3, 112, 112) in [0, 1]."""
        ...


@dataclass(frozen=True, eq=False)
class Found:
    """Faces, and how the picture was looked at when they were found."""

    faces: Detections
    size: int
    margin: float

    def __str__(self) -> str:
        return f"at {self.size} px" + (" with a margin" if self.margin else "")


def find_faces(
    analyser: FaceAnalyser,
    picture: Tensor,
    size: int,
    confidence: float,
    counts: Callable[[Detections], Tensor],
) -> Found:
    """The faces at the first rung of the ladder where one counts, or none. `counts` gives a mask over detections."""
    for factor, margin in LADDER:
        side = max(_STEP, round(size * factor / _STEP) * _STEP)
        faces = _detect(analyser, picture, side, confidence, margin)
        faces = faces.at(counts(faces))
        if len(faces):
            return Found(faces, side, margin)
    return Found(Detections(torch.empty(0, 4), torch.empty(0, 5, 2), torch.empty(0)), size, 0.0)


def _detect(analyser: FaceAnalyser, picture: Tensor, side: int, confidence: float, margin: float) -> Detections:
    border = round(margin * max(picture.shape[-2:]))
    faces = analyser.detect(functional.pad(picture, (border,) * 4), side, confidence)
    faces = faces.moved(torch.ones(2), torch.full((2,), -float(border)))
    return faces.at(_plausible(faces, picture))


def _plausible(faces: Detections, picture: Tensor) -> Tensor:
    """Detections with an extent, that meet the picture and are not many times as large."""
    height, width = picture.shape[-2:]
    far = torch.tensor([width, height])
    low, high = faces.boxes[:, :2], faces.boxes[:, 2:]
    sound = (high - low > 0) & (high > 0) & (low < far) & (high - low < 4 * far.amax())
    spread = faces.points.amax(1) - faces.points.amin(1)
    # A comparison with NaN is false, so detections of NaN are dropped too.
    return sound.all(1) & (spread.sum(1) > 0)
