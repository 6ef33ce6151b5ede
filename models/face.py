"""The projectors of the FaceID adapters: from a face recogniser's embedding to tokens."""

from dataclasses import dataclass

from torch import Tensor, nn

from .resampler import Perceiver, ResamplerConfig
from .shapes import Float


@dataclass(frozen=True)
class FaceConfig:
    """Sizes of a `FaceProjector`: width of the face vector, of the hidden layer, tokens, width of the text context."""

    feature_width: int
    hidden_width: int
    tokens: int
    width: int


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


class _Identity(nn.Module):
    """`LayerNorm(reshape(W2 GELU(W1 f + b1) + b2))` of a face vector f, under the published names."""

    def __init__(self, config: FaceConfig) -> None:
        super().__init__()
        self.tokens = config.tokens
        self.proj = nn.Sequential(
            nn.Linear(config.feature_width, config.hidden_width),
            nn.GELU(),
            nn.Linear(config.hidden_width, config.tokens * config.width),
        )
        self.norm = nn.LayerNorm(config.width)

    def identity(self, face: Float[Tensor, "batch face_width"]) -> Float[Tensor, "batch tokens width"]:
        return self.norm(self.proj(face).unflatten(-1, (self.tokens, -1)))


class FaceProjector(_Identity):
    """Tokens of a face vector alone (FaceID and Portrait).

    Parameter names of `MLPProjModel` in
    https://github.com/tencent-ailab/IP-Adapter/blob/62e4af9/ip_adapter/ip_adapter_faceid.py
    """

    def forward(self, face: Float[Tensor, "batch face_width"]) -> Float[Tensor, "batch tokens width"]:
        return self.identity(face)


class FacePerceiver(_Identity):
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
