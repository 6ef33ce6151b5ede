"""What adapters for Kolors have in common, whatever their network.

Kolors has the cross-attentions of SDXL; its adapters read ViT-L patches, and raw face vectors of another recogniser.
Source: https://github.com/Kwai-Kolors/Kolors, ipadapter and ipadapter_FaceID.
"""

from dataclasses import replace
from typing import Any

from .facts import BaseModel, FaceCrop, FaceRecogniser, FaceVector, FileShapes, NegativeFeatures, PublishedKind, Stage

_FEATURES = 1024  # ViT-L, which no adapter for SDXL reads patch by patch
_PATCHES = 577  # patches and class token of ViT-L/14 at 336 pixels; at 224 its features are as wide


def of_kolors(published: PublishedKind) -> PublishedKind:
    """The same kind as trained for Kolors, told by what it reads and by tokens as wide as Kolors' text."""
    reads_patches = published.stage is Stage.PENULTIMATE

    def fits(config: Any, file: FileShapes) -> bool:
        reads_its_encoder = reads_patches and config.feature_width == _FEATURES
        # Its own projection brings tokens as wide as its text to the width of SDXL's.
        is_kolors = reads_its_encoder or config.width != file.context_width
        return file.base is BaseModel.SDXL and is_kolors and published.fits(config, file)

    patches = _PATCHES if reads_patches else None
    kind = replace(published, base=BaseModel.KOLORS, fits=fits, patches=patches, training=None)
    if published.face is None:
        return kind
    return replace(
        kind,
        negative=NegativeFeatures.ZERO_EMBEDDING,  # its face network sees zeros, not an encoded picture
        face=FaceVector.RAW,
        recogniser=FaceRecogniser.ANTELOPEV2,
        crop=FaceCrop.SQUARE if reads_patches else None,
        has_lora=False,
    )
