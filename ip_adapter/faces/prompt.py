"""Faces as a prompt: what a FaceID adapter reads of them."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ...models.resampler import ResamplerConfig
from ...models.shapes import Float
from ..errors import FaceError, WrongEncoderError, WrongPromptError
from ..names import encoder_name
from ..prompts.combine import SIDE_BY_SIDE, combined
from ..prompts.projector_inputs import ProjectorInputs
from ..prompts.prompt import Combine, Features, check_encoder
from ..spec import AdapterSpec, Base, FaceVector, NegativeFeatures
from .face import Faces

# The recogniser each family was trained with. Vectors of another have the same width and mean somebody else.
_RECOGNISERS = {Base.KOLORS: "antelopev2"}
_USUAL_RECOGNISER = "buffalo_l"


@dataclass(frozen=True, eq=False)
class Look:
    """What an image encoder saw of the faces' crops, one row per face, and its output for zeros."""

    features: Features
    zero_picture: Features


@dataclass(frozen=True, eq=False)
class FacePrompt:
    """Faces of one person; `look` is needed by the Plus kinds alone, as is `structure_weight`, the look's share."""

    faces: Faces
    look: Look | None = None
    structure_weight: float = 1.0
    combine: Combine = Combine.CONCAT

    def check(self, spec: AdapterSpec, file: str) -> None:
        """Raises WrongPromptError for an adapter of pictures, WrongEncoderError for a missing or wrong image encoder,
        FaceError for faces of another recogniser."""
        if spec.face is None:
            raise WrongPromptError(
                f"{file} is a {spec.kind.value} adapter: it reads an image prompt, not faces. Use Apply IP-Adapter "
                "with Encode Image Prompt."
            )
        expected, given = _RECOGNISERS.get(spec.base, _USUAL_RECOGNISER), self.faces.recogniser.name
        if given in {*_RECOGNISERS.values(), _USUAL_RECOGNISER} and given != expected:
            raise FaceError(
                f"{file} was trained with the face recogniser {expected}, and these faces are from {given}; it would "
                f"draw somebody else. Choose {expected} in Load Face Analysis."
            )
        if spec.stage is None:
            return
        if self.look is None:
            raise WrongEncoderError(
                f"{file} also looks at the face. Connect {encoder_name(spec.stage, spec.feature_width)} to clip_vision."
            )
        check_encoder(self.look.features, spec, file)

    def inputs(self, spec: AdapterSpec) -> ProjectorInputs:
        """Face vectors in the adapter's form, and the encoder's view of each face if it reads one."""
        vectors = self._combined(self.faces.normed if spec.face is FaceVector.NORMED else self.faces.embeddings)
        if spec.face is FaceVector.NORMED and self.combine not in SIDE_BY_SIDE:
            vectors = functional.normalize(vectors, dim=-1)
        if isinstance(spec.projector, ResamplerConfig):
            vectors = vectors[:, None]  # a resampler reads a sequence, here of one
        nobody = torch.zeros_like(vectors[:1])
        weights = [1.0] * len(vectors)
        if spec.stage is None or self.look is None:
            return ProjectorInputs((nobody,), (vectors,), weights, share=self.combine.share)
        features = self._combined(self.look.features.at(spec.stage))
        unseen = self.look.zero_picture.at(spec.stage)
        if spec.negative is NegativeFeatures.ZERO_EMBEDDING:
            unseen = torch.zeros_like(unseen)
        options = {"structure_weight": self.structure_weight}
        return ProjectorInputs((nobody, unseen), (vectors, features), weights, options, share=self.combine.share)

    def _combined(self, rows: Float[Tensor, "faces ..."]) -> Tensor:
        return combined(rows, [1.0] * len(rows), self.combine)[0]
