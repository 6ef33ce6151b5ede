"""Faces as a prompt: what a FaceID adapter reads of them."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ...models.facts import FaceRecogniser, FaceVector, NegativeFeatures
from ...models.shapes import Float
from ..bases.image_encoders import encoder_name
from ..errors import FaceError, WrongEncoderError, WrongPromptError
from ..prompts.combine import SIDE_BY_SIDE, Combine, combined
from ..prompts.features import Features, check_encoder
from ..prompts.projector_inputs import ProjectorInputs
from ..spec import AdapterSpec
from .face import Faces

_KNOWN = {recogniser.value for recogniser in FaceRecogniser}


@dataclass(frozen=True, eq=False)
class FaceFeatures:
    """What an image encoder saw of the faces' crops, one row per face, and its output for zeros."""

    features: Features
    zero_picture: Features


@dataclass(frozen=True, eq=False)
class FacePrompt:
    """Faces of one person; `look` is needed by the Plus kinds alone, as is `structure_weight`, the look's share."""

    faces: Faces
    look: FaceFeatures | None = None
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
        expected, given = spec.recogniser, self.faces.recogniser.name
        # Vectors of another recogniser have the same width and mean somebody else.
        if expected is not None and given in _KNOWN and given != expected.value:
            raise FaceError(
                f"{file} was trained with the face recogniser {expected.value}, and these faces are from {given}; it "
                f"would draw somebody else. Choose {expected.value} in Load Face Analysis."
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
        if spec.published.in_sequence:
            vectors = vectors[:, None]
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
