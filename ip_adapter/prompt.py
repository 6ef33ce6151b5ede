"""An image prompt: what an encoder saw in one or more pictures. It knows no adapter."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from ..models.shapes import Float
from .errors import PictureError, SettingError, WrongEncoderError, WrongPromptError
from .names import encoder_name
from .projector_inputs import ProjectorInputs
from .spec import AdapterSpec, Base, NegativeFeatures, Stage

# Patches and class token of ViT-L/14 at 336 pixels, which Kolors' adapters were trained with. The same encoder at 224
# pixels gives features of equal width and would pass unnoticed.
_KOLORS_PATCHES = 577


class Combine(str, Enum):
    """How several pictures become one prompt."""

    CONCAT = "concat"  # the tokens of all pictures side by side; attention chooses among them
    AVERAGE = "average"  # one picture's worth of tokens, from the weighted mean of the features


@dataclass(frozen=True, eq=False)
class Features:
    """An encoder's output for n pictures, float32 on the CPU."""

    pooled: Float[Tensor, "pictures pooled_width"]
    penultimate: Float[Tensor, "pictures patches hidden_width"]

    def __len__(self) -> int:
        return len(self.pooled)

    def at(self, stage: Stage) -> Tensor:
        return {Stage.POOLED: self.pooled, Stage.PENULTIMATE: self.penultimate}[stage]

    @property
    def finite(self) -> bool:
        return bool(self.pooled.isfinite().all()) and bool(self.penultimate.isfinite().all())


def join(parts: Sequence[Features]) -> Features:
    """The pictures of several outputs of one encoder, in order."""
    return Features(torch.cat([part.pooled for part in parts]), torch.cat([part.penultimate for part in parts]))


@dataclass(frozen=True, eq=False)
class ImagePrompt:
    """Features of positive and negative pictures; `zero_picture` is the encoder's output for zeros, one picture."""

    positive: Features
    negative: Features | None
    zero_picture: Features
    weights: tuple[float, ...]
    combine: Combine = Combine.CONCAT

    def __post_init__(self) -> None:
        if not len(self.positive):
            raise PictureError("An image prompt needs at least one picture, and got none. Connect an image.")
        if len(self.weights) != len(self.positive):
            raise SettingError(
                f"Expected one weight per picture: {len(self.positive)} pictures, {len(self.weights)} weights."
            )
        if not all(side.finite for side in (self.positive, self.negative, self.zero_picture) if side is not None):
            raise PictureError(
                "The image encoder gave NaN or infinite features. Load the encoder in another precision (ComfyUI's "
                "--fp32-text-enc) or check its file."
            )

    def check(self, spec: AdapterSpec, file: str) -> None:
        """Raises WrongPromptError for an adapter of faces, WrongEncoderError unless the encoder is the one it needs."""
        if spec.face is not None or spec.stage is None:
            raise WrongPromptError(
                f"{file} is a {spec.kind.value} adapter: it reads faces, not an image prompt. Use Apply FaceID with "
                "faces from Analyze Faces."
            )
        check_encoder(self.positive, spec, file)

    def inputs(self, spec: AdapterSpec) -> ProjectorInputs:
        """Features of the stage that the adapter reads, after combining; the reference's negative if none is given."""
        assert spec.stage is not None, "checked before"
        positive, weights = combined(self.positive.at(spec.stage), self.weights, self.combine)
        if self.negative is not None:
            against = self.negative.at(spec.stage)
            negative = combined(against, [1.0] * len(against), self.combine)[0]
        elif spec.negative is NegativeFeatures.ZERO_EMBEDDING:
            negative = torch.zeros_like(positive[:1])
        else:
            negative = self.zero_picture.at(spec.stage)
        return ProjectorInputs((negative,), (positive,), weights)


def combined(features: Tensor, weights: Sequence[float], how: Combine) -> tuple[Tensor, list[float]]:
    """Features and weights after combining: as they are, or their weighted mean with the mean weight."""
    if how is Combine.CONCAT or len(features) == 1:
        return features, list(weights)
    if not any(weights):
        return features.mean(0, keepdim=True), [0.0]
    share = torch.tensor(list(weights), dtype=features.dtype)
    total = float(share.sum())
    if total == 0:
        raise SettingError("The weights of averaged pictures add up to 0. Give at least one of them a weight.")
    mean = torch.tensordot(share / total, features, dims=1)[None]
    return mean, [total / len(weights)]


def check_encoder(features: Features, spec: AdapterSpec, file: str) -> None:
    """Raises WrongEncoderError unless the features are of the encoder that the adapter was trained with."""
    assert spec.stage is not None, "only for adapters that read an image encoder"
    given = features.at(spec.stage)
    if given.shape[-1] != spec.feature_width:
        raise WrongEncoderError(
            f"{file} needs image prompts of {encoder_name(spec.stage, spec.feature_width)} "
            f"({spec.stage.value} width {spec.feature_width}), but this one was encoded by "
            f"{encoder_name(spec.stage, given.shape[-1])} (width {given.shape[-1]}). Load that encoder in the CLIP "
            "vision loader."
        )
    if spec.base is Base.KOLORS and given.shape[1] != _KOLORS_PATCHES:
        raise WrongEncoderError(
            f"{file} needs CLIP ViT-L/14 at 336 pixels, which gives {_KOLORS_PATCHES} features of a picture; this "
            f"prompt has {given.shape[1]}. Load Kolors' image encoder in the CLIP vision loader."
        )
