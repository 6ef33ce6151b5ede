"""From photographs to faces: find them, choose, cut them out, recognise them, and say what was done."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ...models.shapes import Float
from ..enums import NamedEnum
from ..errors import FaceError, SettingError
from .alignment import RECOGNISED, aligned, crops_of
from .detection import Detections, FaceAnalyser, Found, find_faces
from .drawing import drawn
from .face import Face, Faces, neutral_face
from .selection import Which, chosen, inside, mask_for_each, masks_for_all, ordered


class Missing(NamedEnum):
    """What to do about a picture without the face that was asked for."""

    ERROR = "error"
    SKIP = "skip"  # leave it out; the others keep their order
    NEUTRAL = "neutral"  # a face that says nothing, so that there is still one for each picture


@dataclass(frozen=True)
class FaceAnalysisOptions:
    """Which faces, and how hard to look. `index` counts from 0 in the order of `which`; `size` is in pixels."""

    which: Which = Which.LARGEST
    index: int = 0
    size: int = 640
    confidence: float = 0.5
    missing: Missing = Missing.ERROR

    def __post_init__(self) -> None:
        if self.index < 0 or self.size <= 0 or not 0 < self.confidence < 1:
            raise SettingError(
                "Expected a face index from 0, a detector size above 0 and a confidence between 0 and 1, got "
                f"{self.index}, {self.size} and {self.confidence}."
            )


class PictureRows(Protocol):
    """Pictures (3, height, width) of one size in [0, 1]: a tensor of them, or what makes them one at a time."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Tensor]: ...


@dataclass(frozen=True, eq=False)
class Analysis:
    """The chosen faces, batches of pictures (n, 3, height, width) with all faces drawn, and a line for each picture."""

    faces: Faces
    drawn: tuple[Tensor, ...]
    report: str


@dataclass(frozen=True, eq=False)
class _Seen:
    faces: tuple[Face, ...]
    drawn: Tensor
    line: str


def analyse(
    analyser: FaceAnalyser,
    batches: Sequence[PictureRows],
    masks: Sequence[Tensor],
    choice: FaceAnalysisOptions,
    tick: Callable[[], None] = lambda: None,
) -> Analysis:
    """The faces of all pictures in batches of any sizes; `tick` runs after each picture and may cancel.

    Only faces in the mask count: none means everywhere, one serves all batches, or there is one for each.

    Raises PictureError for a picture or mask that cannot be used, FaceError for a missing face where `choice.missing`
    says so, or when none is left.
    """
    total = sum(map(len, batches))
    seen: list[_Seen] = []
    for batch, mask in zip(batches, masks_for_all(masks, len(batches)), strict=True):
        for picture, part in zip(batch, mask_for_each(mask, len(batch)), strict=True):
            seen.append(_look(analyser, picture, part, choice, f"picture {len(seen) + 1} of {total}", len(seen)))
            tick()
    report = "\n".join(item.line for item in seen)
    skipped = tuple(number for number, item in enumerate(seen) if not item.faces)
    if len(skipped) == total:
        raise FaceError(f"No face was found in any picture:\n{report}\n{_REMEDY}")
    faces = Faces(tuple(face for item in seen for face in item.faces), analyser.recogniser, skipped)
    shown = iter(item.drawn for item in seen)
    return Analysis(faces, tuple(torch.stack([next(shown) for _ in range(len(batch))]) for batch in batches), report)


def largest_face(analyser: FaceAnalyser, picture: Float[Tensor, "1 3 height width"]) -> Faces | None:
    """The largest face of one picture in [0, 1], or None where there is none."""
    faces = analyse(analyser, [picture], (), FaceAnalysisOptions(missing=Missing.NEUTRAL)).faces
    return faces if faces.members[0].found else None


_REMEDY = "Use a clearer picture, a lower confidence or another detector size, or let 'missing' skip it."


def _look(
    analyser: FaceAnalyser, picture: Tensor, mask: Tensor | None, choice: FaceAnalysisOptions, name: str, number: int
) -> _Seen:
    found = find_faces(analyser, picture, choice.size, choice.confidence, inside(mask, picture))
    faces = ordered(found.faces, choice.which)
    places = chosen(faces, choice.which, choice.index)
    line = f"{name} ({picture.shape[-1]}x{picture.shape[-2]}): {_count(found)}"
    if not places:
        wanted = "" if not len(faces) else f", so there is no face {choice.index}"
        if choice.missing is Missing.ERROR:
            raise FaceError(f"Expected a face in {line}{wanted}. {_REMEDY}")
        instead = () if choice.missing is Missing.SKIP else (neutral_face(number),)
        return _Seen(instead, drawn(picture, faces, ()), f"{line}{wanted}; {_INSTEAD[choice.missing]}")
    points = faces.points[places.start : places.stop]
    vectors = analyser.embed(torch.stack([aligned(picture, five, RECOGNISED) for five in points])).float().cpu()
    result: list[Face] = []
    for index, vector in zip(places, vectors, strict=True):
        place = faces.place(index)
        result.append(Face(number, vector, float(faces.scores[index]), place, crops_of(picture, place)))
    used = "; ".join(_described(faces, place) for place in places)
    return _Seen(tuple(result), drawn(picture, faces, places), f"{line}; used {used}")


_INSTEAD = {Missing.SKIP: "skipped", Missing.NEUTRAL: "a neutral face instead"}


def _count(found: Found) -> str:
    count = len(found.faces)
    return "no face" if not count else f"{count} face{'s' if count > 1 else ''} {found}"


def _described(faces: Detections, place: int) -> str:
    left, top, right, bottom = faces.boxes[place].tolist()
    return f"face {place} ({right - left:.0f}x{bottom - top:.0f} px, confidence {faces.scores[place]:.2f})"
