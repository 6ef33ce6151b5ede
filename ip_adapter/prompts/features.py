"""What an image encoder saw in pictures, and which encoder that was."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ...models.facts import Stage
from ...models.shapes import Float
from ..bases.image_encoders import encoder_name
from ..errors import WrongEncoderError
from ..spec import AdapterSpec

# Least cosine of what one encoder makes of zeros. Weights rounded to 8 bits leave it above 0.99, other weights bring it
# to about 0 (random CLIPs of 12 layers).
_SAME = 0.9


@dataclass(frozen=True, eq=False)
class Features:
    """An encoder's output for n pictures, float32 on the CPU. A stage that a file left out has width 0."""

    pooled: Float[Tensor, "pictures pooled_width"]
    penultimate: Float[Tensor, "pictures patches hidden_width"]

    def __len__(self) -> int:
        return len(self.pooled)

    def at(self, stage: Stage) -> Tensor:
        return {Stage.POOLED: self.pooled, Stage.PENULTIMATE: self.penultimate}[stage]

    def holds(self, stage: Stage) -> bool:
        return self.at(stage).numel() > 0

    @property
    def encoder(self) -> str:
        """The encoder in words, as far as widths tell."""
        stage = Stage.PENULTIMATE if self.holds(Stage.PENULTIMATE) else Stage.POOLED
        return encoder_name(stage, self.at(stage).shape[-1])

    def picture(self, index: int) -> "Features":
        return Features(self.pooled[index : index + 1], self.penultimate[index : index + 1])

    @property
    def finite(self) -> bool:
        return bool(self.pooled.isfinite().all()) and bool(self.penultimate.isfinite().all())


NOTHING = Features(torch.zeros(1, 0), torch.zeros(1, 0, 0))  # one picture of which a file holds neither stage


def join(parts: Sequence[Features]) -> Features:
    """The pictures of several outputs of one encoder, in order."""
    return Features(torch.cat([part.pooled for part in parts]), torch.cat([part.penultimate for part in parts]))


def check_encoder(features: Features, spec: AdapterSpec, file: str) -> None:
    """Raises WrongEncoderError unless the features are of the encoder that the adapter was trained with."""
    assert spec.stage is not None, "only for adapters that read an image encoder"
    given = features.at(spec.stage)
    needed = f"{encoder_name(spec.stage, spec.feature_width)} ({spec.stage.value} width {spec.feature_width})"
    if not features.holds(spec.stage):
        raise WrongEncoderError(
            f"{file} needs image prompts of {needed}, and the file of this one holds no {spec.stage.value} features. "
            "Encode the picture again."
        )
    if given.shape[-1] != spec.feature_width:
        raise WrongEncoderError(
            f"{file} needs image prompts of {needed}, but this one was encoded by "
            f"{encoder_name(spec.stage, given.shape[-1])} (width {given.shape[-1]}). Load that encoder in the CLIP "
            "vision loader."
        )
    patches = spec.published.patches
    if patches is not None and given.shape[1] != patches:
        raise WrongEncoderError(
            f"{file} needs CLIP ViT-L/14 at 336 pixels, which gives {patches} features of a picture; this "
            f"prompt has {given.shape[1]}. Load Kolors' image encoder in the CLIP vision loader."
        )


def check_same_encoder(prompts: Sequence[tuple[Features, Features]]) -> None:
    """Raises WrongEncoderError unless all pairs of features and zero picture are of one encoder.

    Encoders of equal sizes are told apart by what they make of zeros, where that is known of both.
    """
    (first, first_zero), *others = prompts
    for number, (features, zero) in enumerate(others, start=2):
        sizes = [_sizes(first), _sizes(features)]
        if sizes[0] != sizes[1]:
            raise WrongEncoderError(
                f"Expected image prompts of one encoder: the first has {sizes[0]}, number {number} has {sizes[1]}. "
                "Encode all pictures with the same CLIP vision model."
            )
        if not _alike(first_zero, zero):
            raise WrongEncoderError(
                f"Expected image prompts of one encoder: number {number} was made by another one than the first, of "
                "the same size. Encode all pictures with the same CLIP vision model."
            )


def _sizes(features: Features) -> str:
    pooled, (_, patches, width) = features.pooled.shape[-1], features.penultimate.shape
    return f"pooled width {pooled} and {patches} patches of width {width}"


def _alike(one: Features, other: Features) -> bool:
    stages = [stage for stage in Stage if one.holds(stage) and other.holds(stage)]
    pairs = [(one.at(stage).flatten(), other.at(stage).flatten()) for stage in stages]
    return all(float(functional.cosine_similarity(a, b, dim=0)) > _SAME for a, b in pairs)
