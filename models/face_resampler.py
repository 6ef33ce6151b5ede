"""A resampler over one raw face vector: FaceID Portrait unnorm, and InstantID, whose tensors are equal."""

import re

from .face import FACE_WIDTH
from .facts import (
    BaseModel,
    FaceRecogniser,
    FaceVector,
    FileShapes,
    Hints,
    Kind,
    NegativeFeatures,
    Network,
    PublishedKind,
    TrainingFacts,
    Widths,
)
from .resampler import Resampler, ResamplerConfig, recognise_resampler, resampler_sizes


def _recognise(file: FileShapes) -> ResamplerConfig | None:
    config = recognise_resampler(file)
    return config if config is not None and config.feature_width == FACE_WIDTH else None


def _sizes(widths: Widths, tokens: int) -> ResamplerConfig:
    return resampler_sizes(Widths(widths.context, FACE_WIDTH), tokens)


FACE_RESAMPLER = Network(
    ResamplerConfig,
    Resampler,
    _recognise,
    (
        PublishedKind(
            Kind.FACEID_PORTRAIT_UNNORM,
            None,
            NegativeFeatures.ZERO_EMBEDDING,
            face=FaceVector.RAW,
            recogniser=FaceRecogniser.BUFFALO_L,
            in_sequence=True,
            hints=Hints(re.compile(r"unnorm", re.IGNORECASE)),
            training=TrainingFacts(16, _sizes),
        ),
        PublishedKind(
            Kind.INSTANT_ID,
            None,
            NegativeFeatures.ZERO_EMBEDDING,
            face=FaceVector.RAW,
            recogniser=FaceRecogniser.ANTELOPEV2,
            in_sequence=True,
            base=BaseModel.SDXL,
            hints=Hints(
                re.compile(r"instant[-_ ]?id", re.IGNORECASE),
                dtype="F32",
                why="float32 throughout, as InstantID is published",
            ),
            supported=False,
        ),
    ),
)
