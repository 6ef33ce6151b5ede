"""The projector of FaceID-Plus: identity tokens that read the encoder's patches of the face."""

import re
from dataclasses import dataclass, replace

from torch import Tensor

from .face import LORA_RANK, FaceConfig, IdentityNetwork, face_sizes, identity_sizes
from .facts import (
    FaceCrop,
    FaceRecogniser,
    FaceVector,
    FileShapes,
    Hints,
    Kind,
    NegativeFeatures,
    Network,
    PublishedKind,
    Stage,
    TrainingFacts,
    Widths,
)
from .kolors import of_kolors
from .resampler import HEAD_WIDTH, Perceiver, ResamplerConfig, perceiver_sizes
from .shapes import Float


@dataclass(frozen=True)
class FacePerceiverConfig:
    """Sizes of a `FacePerceiver`: those of its two networks."""

    identity: FaceConfig
    perceiver: ResamplerConfig
    shortcut: bool  # whether the identity tokens are added to the result: version 2

    @property
    def feature_width(self) -> int:
        return self.perceiver.feature_width

    @property
    def tokens(self) -> int:
        return self.identity.tokens

    @property
    def width(self) -> int:
        return self.perceiver.width


class FacePerceiver(IdentityNetwork):
    """Identity tokens that read the encoder's patches of the face through a perceiver (FaceID-Plus).

    Version 1 gives what they read, r; version 2 gives `identity + structure_weight * r`. Parameter names of
    `ProjPlusModel` in https://github.com/tencent-ailab/IP-Adapter/blob/62e4af9/ip_adapter/ip_adapter_faceid.py
    """

    def __init__(self, config: FacePerceiverConfig) -> None:
        super().__init__(config.identity)
        self.shortcut = config.shortcut
        self.perceiver_resampler = Perceiver(config.perceiver)

    def forward(
        self,
        face: Float[Tensor, "batch face_width"],
        features: Float[Tensor, "batch patches feature_width"],
        structure_weight: float = 1.0,
    ) -> Float[Tensor, "batch tokens width"]:
        identity = self.identity(face)
        read = self.perceiver_resampler.read(identity, features)
        return identity + structure_weight * read if self.shortcut else read


def _recognise(file: FileShapes) -> FacePerceiverConfig | None:
    prefix = "perceiver_resampler."
    inner = {key.removeprefix(prefix): shape for key, shape in file.projector.items() if key.startswith(prefix)}
    identity, sizes = identity_sizes(file.projector), perceiver_sizes(inner)
    if identity is None or sizes is None:
        return None
    out = inner.get("proj_out.weight", ())
    width = out[0] if len(out) == 2 else identity.width
    perceiver = ResamplerConfig(tokens=identity.tokens, width=width, inner_width=identity.width, **sizes)
    return FacePerceiverConfig(identity, perceiver, shortcut=True)


def _sizes(widths: Widths, tokens: int) -> FacePerceiverConfig:
    heads, width = max(1, widths.context // HEAD_WIDTH), widths.context
    perceiver = ResamplerConfig(widths.features, tokens, width, inner_width=width, heads=heads)
    return FacePerceiverConfig(face_sizes(widths, tokens), perceiver, shortcut=True)


def _without_shortcut(config: FacePerceiverConfig) -> FacePerceiverConfig:
    return replace(config, shortcut=False)


_V2 = PublishedKind(
    Kind.FACEID_PLUS_V2,
    Stage.PENULTIMATE,
    NegativeFeatures.ZERO_PICTURE,
    face=FaceVector.NORMED,
    recogniser=FaceRecogniser.BUFFALO_L,
    crop=FaceCrop.ALIGNED,
    has_lora=True,
    hints=Hints(
        re.compile(r"plus[-_ ]?v2", re.IGNORECASE),
        context_width=2048,
        why="SDXL, for which only version 2 exists",
    ),
    training=TrainingFacts(4, _sizes, LORA_RANK),
)
_V1 = replace(
    _V2,
    kind=Kind.FACEID_PLUS,
    configured=_without_shortcut,
    hints=Hints(re.compile(r"faceid[-_ ]?plus", re.IGNORECASE)),
    training=TrainingFacts(4, lambda widths, tokens: _without_shortcut(_sizes(widths, tokens)), LORA_RANK),
)
FACE_PERCEIVER = Network(FacePerceiverConfig, FacePerceiver, _recognise, (of_kolors(_V2), of_kolors(_V1), _V2, _V1))
