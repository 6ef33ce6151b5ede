"""An image prompt: what an encoder saw in one or more pictures. It knows no adapter."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite

import torch

from ..errors import PictureError, SettingError, WrongEncoderError, WrongPromptError
from ..spec import AdapterSpec
from .combine import SIDE_BY_SIDE, Combine, combined
from .features import Features, check_encoder, check_same_encoder, join
from .negative import PICTURES, Negative
from .preprocess import Preparation
from .projector_inputs import ProjectorInputs


@dataclass(frozen=True)
class Origin:
    """How the pictures became features: the side of the encoder's square in pixels, and how they were fitted to it."""

    size: int
    preparation: Preparation


@dataclass(frozen=True, eq=False)
class ImagePrompt:
    """Features of positive and negative pictures; `zero_picture` is the encoder's output for zeros, one picture.

    `negative_kind` says what stands in for negative pictures where there are none; `origin` is for people and files.
    """

    positive: Features
    negative: Features | None
    zero_picture: Features
    weights: tuple[float, ...]
    combine: Combine = Combine.CONCAT
    negative_kind: Negative = Negative.AUTO
    origin: Origin | None = None

    def __post_init__(self) -> None:
        if not len(self.positive):
            raise PictureError("An image prompt needs at least one picture, and got none. Connect an image.")
        if len(self.weights) != len(self.positive) or not all(map(isfinite, self.weights)):
            raise SettingError(
                f"Expected one finite weight per picture: {len(self.positive)} pictures, {len(self.weights)} weights, "
                f"of which {sum(map(isfinite, self.weights))} are finite."
            )
        if not all(side.finite for side in (self.positive, self.negative, self.zero_picture) if side is not None):
            raise PictureError(
                "The image encoder gave NaN or infinite features. Load the encoder in another precision (ComfyUI's "
                "--fp32-text-enc) or check its file."
            )
        if self.negative_kind in PICTURES and self.negative is None:
            raise SettingError(f"Expected features of a {self.negative_kind.value} as negative, got none. Encode it.")

    def check(self, spec: AdapterSpec, file: str) -> None:
        """Raises WrongPromptError for an adapter of faces, WrongEncoderError unless the encoder is the one it needs."""
        if spec.face is not None or spec.stage is None:
            raise WrongPromptError(
                f"{file} is a {spec.kind.value} adapter: it reads faces, not an image prompt. Use Apply FaceID with "
                "faces from Analyze Faces."
            )
        check_encoder(self.positive, spec, file)
        is_zero_picture = self.negative is None and self._kind(spec) is Negative.ZERO_PICTURE
        if is_zero_picture and not self.zero_picture.holds(spec.stage):
            raise WrongEncoderError(
                f"{file} shows its negative side the encoder's output for zeros, which the file of this image prompt "
                "does not hold. Choose a negative file in Load Image Prompt, or encode the picture again."
            )

    def picture(self, index: int) -> "ImagePrompt":
        """The prompt of one of its pictures, with all that is negative."""
        return replace(self, positive=self.positive.picture(index), weights=(self.weights[index],))

    def settled(self) -> "ImagePrompt":
        """The prompt with its pictures combined, unless they stay side by side.

        Negative pictures stay side by side where the positive ones do, and are averaged otherwise.
        """
        if self.combine in SIDE_BY_SIDE:
            return self
        positive, weights = _combined(self.positive, self.weights, self.combine)
        negative = None if self.negative is None else _average(self.negative)
        return replace(self, positive=positive, negative=negative, weights=weights, combine=Combine.CONCAT)

    def inputs(self, spec: AdapterSpec) -> ProjectorInputs:
        """Features of the stage that the adapter reads, after combining; the reference's negative if none is given."""
        assert spec.stage is not None, "checked before"
        prompt, kind = self.settled(), self._kind(spec)
        positive = prompt.positive.at(spec.stage)
        if prompt.negative is not None:
            negative = prompt.negative.at(spec.stage)
        elif kind is Negative.ZERO_PICTURE:
            negative = prompt.zero_picture.at(spec.stage)
        else:
            negative = torch.zeros_like(positive[:1])
        strength = 0.0 if kind is Negative.NONE else 1.0
        return ProjectorInputs(
            (negative,), (positive,), prompt.weights, negative_strength=strength, share=prompt.combine.share
        )

    def _kind(self, spec: AdapterSpec) -> Negative:
        return Negative(spec.negative.value) if self.negative_kind is Negative.AUTO else self.negative_kind


def combine_prompts(prompts: Sequence[ImagePrompt], factors: Sequence[float], how: Combine) -> ImagePrompt:
    """One prompt of several, each first combined as it says itself, with its weights times its factor.

    Concat and one per latent put all pictures side by side. Every other way combines the first pictures of all prompts,
    then the second ones, and so on; a prompt of one picture goes with every one of the others. Negative pictures are
    joined. Raises WrongEncoderError for different encoders, SettingError for prompts that do not go together.
    """
    check_same_encoder([(prompt.positive, prompt.zero_picture) for prompt in prompts])
    parts = [
        replace(part, weights=tuple(factor * weight for weight in part.weights))
        for part, factor in zip([prompt.settled() for prompt in prompts], factors, strict=True)
    ]
    groups = [parts] if how in SIDE_BY_SIDE else _picture_by_picture(parts, how)
    combinations = [
        _combined(join([part.positive for part in group]), [w for part in group for w in part.weights], how)
        for group in groups
    ]
    negatives = [part.negative for part in parts if part.negative is not None]
    against = join(negatives) if negatives else None
    return replace(
        parts[0],
        positive=join([features for features, _ in combinations]),
        negative=against if against is None or how in SIDE_BY_SIDE else _average(against),
        weights=tuple(weight for _, weights in combinations for weight in weights),
        combine=how if how in SIDE_BY_SIDE else Combine.CONCAT,
        negative_kind=_common_kind(parts),
        origin=parts[0].origin if len({part.origin for part in parts}) == 1 else None,
    )


def _picture_by_picture(parts: Sequence[ImagePrompt], how: Combine) -> list[list[ImagePrompt]]:
    counts = [len(part.positive) for part in parts]
    if not {1, max(counts)}.issuperset(counts):
        raise SettingError(
            f"Expected prompts of one picture, or all of the same number, for {how.value}, got {counts} pictures. "
            "Combine the pictures of each prompt first, in Encode Image Prompt, or use concat."
        )
    return [[part.picture(min(index, len(part.positive) - 1)) for part in parts] for index in range(max(counts))]


def _common_kind(parts: Sequence[ImagePrompt]) -> Negative:
    kinds = {Negative.AUTO if part.negative is not None else part.negative_kind for part in parts}
    if len(kinds) > 1:
        names = ", ".join(sorted(kind.value for kind in kinds))
        raise SettingError(
            f"The prompts want different things on the negative side: {names}. Set negative to the same in all of them."
        )
    return kinds.pop()


def _combined(features: Features, weights: Sequence[float], how: Combine) -> tuple[Features, tuple[float, ...]]:
    pooled, strengths = combined(features.pooled, weights, how)
    return Features(pooled, combined(features.penultimate, weights, how)[0]), tuple(strengths)


def _average(features: Features) -> Features:
    return _combined(features, [1.0] * len(features), Combine.AVERAGE)[0]
