"""Faces: who is in a picture, as a recogniser sees it, and what the face looks like. They know no adapter."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ...models.face import FACE_WIDTH
from ...models.shapes import Float
from ..errors import FaceError
from ..prompts.preprocess import NEUTRAL

WIDTH = FACE_WIDTH  # numbers in an embedding
CROP, SQUARE = 224, 336  # sides of the two crops, in pixels
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Recogniser:
    """The network that made embeddings: those of different ones have the same width and cannot be compared."""

    name: str = _UNKNOWN
    sha256: str = ""

    def differs_from(self, other: "Recogniser") -> bool:
        """False also where one of the two is unknown, so that nothing can be said."""
        if self.sha256 and other.sha256:
            return self.sha256 != other.sha256
        return _UNKNOWN not in (self.name, other.name) and self.name != other.name


# By the file's hash, because packs are renamed and rearranged; the names are the catalogue's.
RECOGNISERS = {
    "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43": "buffalo_l",  # w600k_r50.onnx
    "4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf": "antelopev2",  # glintr100.onnx
    "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f": "buffalo_s",  # w600k_mbf.onnx
}


@dataclass(frozen=True, eq=False)
class Crops:
    """Two cuts of one face for image encoders, RGB in 8 bits: FaceID-Plus reads `aligned`, Kolors reads `square`."""

    aligned: Tensor  # uint8 (3, 224, 224)
    square: Tensor  # uint8 (3, 336, 336)


@dataclass(frozen=True, eq=False)
class FaceLandmarks:
    """Where a face lies, in pixels: left, top, right, bottom; then eyes, nose and corners of the mouth as x, y."""

    box: Float[Tensor, "4"]
    points: Float[Tensor, "5 2"]


@dataclass(frozen=True, eq=False)
class Face:
    """One face of picture number `picture` (from 0). The embedding is raw, as the recogniser gives it.

    A neutral face (`found` is False) stands for a picture without a face: its embedding is zero, which is what the
    adapters' negative side reads. Raises FaceError for an embedding of another width, of zero norm, or not finite.
    """

    picture: int
    embedding: Float[Tensor, "512"]
    score: float = 1.0
    place: FaceLandmarks | None = None
    crops: Crops | None = None
    found: bool = True

    def __post_init__(self) -> None:
        if tuple(self.embedding.shape) != (WIDTH,):
            raise FaceError(
                f"Expected a face embedding of {WIDTH} numbers, got shape {tuple(self.embedding.shape)}. "
                "Use a recogniser of the ArcFace family, as in the packs buffalo_l and antelopev2."
            )
        length = float(self.embedding.norm())
        if not math.isfinite(length):
            raise FaceError("The face embedding holds NaN or infinite values. Check the recogniser's file.")
        if self.found and length == 0:
            raise FaceError("The face embedding is zero, which stands for nobody. Use another picture or recogniser.")


def neutral_face(picture: int) -> Face:
    """A face that says nothing, with crops of the encoders' mean colour."""
    colour = (torch.tensor(NEUTRAL) * 255).round().to(torch.uint8)[:, None, None]
    crops = Crops(*(colour.expand(3, side, side).clone() for side in (CROP, SQUARE)))
    return Face(picture, torch.zeros(WIDTH), score=0.0, crops=crops, found=False)


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces in the order of their pictures, whose recogniser they are from, and which pictures were skipped."""

    members: tuple[Face, ...]
    recogniser: Recogniser
    skipped: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.members:
            raise FaceError("There is no face in any picture. Use a clearer picture, or a lower confidence.")

    def __len__(self) -> int:
        return len(self.members)

    @property
    def embeddings(self) -> Float[Tensor, "faces 512"]:
        """Raw, as Portrait-unnorm and Kolors read them."""
        return torch.stack([face.embedding for face in self.members])

    @property
    def normed(self) -> Float[Tensor, "faces 512"]:
        """Of length 1, as FaceID reads them; those of neutral faces stay zero."""
        return torch.nn.functional.normalize(self.embeddings, dim=1, eps=torch.finfo(torch.float32).tiny)

    @property
    def crops(self) -> Float[Tensor, "faces 3 224 224"]:
        """Faces aligned to insightface's template. Raises FaceError where a face came without its picture."""
        return torch.stack([crops.aligned for crops in self._all_crops()]) / 255

    @property
    def squares(self) -> Float[Tensor, "faces 3 336 336"]:
        """Squares around the boxes. Raises FaceError where a face came without its picture."""
        return torch.stack([crops.square for crops in self._all_crops()]) / 255

    def _all_crops(self) -> list[Crops]:
        crops = [face.crops for face in self.members if face.crops is not None]
        if len(crops) < len(self):
            raise FaceError(
                f"{len(self) - len(crops)} of {len(self)} faces are embeddings without a picture, but this adapter "
                "also looks at the face. Connect their pictures to Load Faces, or use Analyze Faces."
            )
        return crops
