"""What the projector of a picture or a face adapter is shown of a training picture, and in place of one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ...models.facts import FaceVector, Kind, NegativeFeatures, Stage
from ..errors import SettingError
from ..faces.analysis import FaceAnalysisOptions, analyse
from ..faces.detection import FaceAnalyser
from ..faces.face import WIDTH
from ..faces.onnx import open_pack
from ..faces.pack import AUTO, Pack
from ..host.encode import HostEncoder
from ..host.model import HostClipVision
from ..prompts.preprocess import Fit, fitted
from ..training.kinds import reads
from ..training.pictures import centre_crop


class Reader(Protocol):
    """The arguments of a projector, one row each."""

    def see(self, picture: Tensor) -> tuple[Tensor, ...]:
        """For a picture (1, 3, height, width) in [0, 1]. Raises FaceError where a face is read and there is none."""
        ...

    def nothing(self) -> tuple[Tensor, ...]:
        """For no picture: what guidance shows the negative side."""
        ...


@dataclass(frozen=True, eq=False)
class PictureReader:
    """The image encoder's features of the middle of the picture."""

    vision: HostEncoder
    stage: Stage
    negative: NegativeFeatures

    def see(self, picture: Tensor) -> tuple[Tensor, ...]:
        return (self.vision.encode(centre_crop(picture, self.vision.size)).at(self.stage),)

    def nothing(self) -> tuple[Tensor, ...]:
        zeros = self.vision.encode_zeros().at(self.stage)
        return (zeros if self.negative is NegativeFeatures.ZERO_PICTURE else torch.zeros_like(zeros),)


@dataclass(frozen=True, eq=False)
class FaceReader:
    """The embedding of the largest face, and what the image encoder sees of its crop where the adapter reads that."""

    analyser: FaceAnalyser
    vector: FaceVector
    in_sequence: bool  # whether the projector reads a sequence of embeddings, here of one
    look: PictureReader | None

    def see(self, picture: Tensor) -> tuple[Tensor, ...]:
        faces = analyse(self.analyser, [picture], (), FaceAnalysisOptions()).faces
        embedding = faces.normed if self.vector is FaceVector.NORMED else faces.embeddings
        look = () if self.look is None else self.look.see(fitted(faces.crops, self.look.vision.size, Fit.CROP))
        return (embedding[:, None] if self.in_sequence else embedding, *look)

    def nothing(self) -> tuple[Tensor, ...]:
        shape = (1, 1, WIDTH) if self.in_sequence else (1, WIDTH)
        return (torch.zeros(shape), *(() if self.look is None else self.look.nothing()))


def reader_for(kind: Kind, clip_vision: HostClipVision | None, analyser: FaceAnalyser | None) -> Reader:
    """What adapters of this kind read through; each of the two may be None where the kind does not need it."""
    entry = reads(kind)
    look = None if entry.stage is None else PictureReader(HostEncoder(clip_vision), entry.stage, entry.negative)
    if entry.face is None:
        assert look is not None, "every kind reads pictures or faces"
        return look
    if analyser is None:
        raise SettingError(f"Adapters of kind {kind.value} read faces. Connect Load Face Analysis.")
    return FaceReader(analyser, entry.face, kind is Kind.FACEID_PORTRAIT_UNNORM, look)


def load_face_models(folder: Path) -> FaceAnalyser:
    """The detector and the recogniser among the ONNX files of a folder. Raises FaceError where one is missing."""
    return open_pack(Pack(folder.name, folder), AUTO)
