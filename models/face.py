"""The projector of FaceID and Portrait: from a face recogniser's embedding to tokens."""

from dataclasses import dataclass, replace

from torch import Tensor, nn

from .facts import (
    FaceRecogniser,
    FaceVector,
    FileShapes,
    Kind,
    NegativeFeatures,
    Network,
    PublishedKind,
    Shapes,
    TrainingFacts,
    Widths,
)
from .kolors import of_kolors
from .shapes import Float

FACE_WIDTH = 512  # of the embeddings of every published recogniser, which all face adapters read
_MOST_TOKENS = 4  # of FaceID; the network of a portrait gives more
LORA_RANK = 128  # of every published FaceID's LoRA


@dataclass(frozen=True)
class FaceConfig:
    """Sizes of a `FaceProjector`: width of the face vector, of the hidden layer, tokens, width of the text context."""

    feature_width: int
    hidden_width: int
    tokens: int
    width: int


class IdentityNetwork(nn.Module):
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


class FaceProjector(IdentityNetwork):
    """Tokens of a face vector alone (FaceID and Portrait).

    Parameter names of `MLPProjModel` in
    https://github.com/tencent-ailab/IP-Adapter/blob/62e4af9/ip_adapter/ip_adapter_faceid.py
    """

    def forward(self, face: Float[Tensor, "batch face_width"]) -> Float[Tensor, "batch tokens width"]:
        return self.identity(face)


def identity_sizes(shapes: Shapes) -> FaceConfig | None:
    """The sizes of the network that reads a face vector, None for another network."""
    first, second, norm = (shapes.get(name, ()) for name in ("proj.0.weight", "proj.2.weight", "norm.weight"))
    if (len(first), len(second), len(norm)) != (2, 2, 1) or first[1] != FACE_WIDTH or second[0] % norm[0]:
        return None
    return FaceConfig(first[1], first[0], second[0] // norm[0], norm[0])


def face_sizes(widths: Widths, tokens: int) -> FaceConfig:
    """The published proportions for a base of any width."""
    return FaceConfig(FACE_WIDTH, 2 * FACE_WIDTH, tokens, widths.context)


def _recognise(file: FileShapes) -> FaceConfig | None:
    return identity_sizes(file.projector)


_FACEID = PublishedKind(
    Kind.FACEID,
    None,
    NegativeFeatures.ZERO_EMBEDDING,
    face=FaceVector.NORMED,
    recogniser=FaceRecogniser.BUFFALO_L,
    has_lora=True,
    fits=lambda config, _: config.tokens <= _MOST_TOKENS,
    training=TrainingFacts(_MOST_TOKENS, face_sizes, LORA_RANK),
)
_PORTRAIT = replace(
    _FACEID,
    kind=Kind.FACEID_PORTRAIT,
    has_lora=False,
    fits=lambda config, _: config.tokens > _MOST_TOKENS,
    training=TrainingFacts(16, face_sizes),
)
FACE = Network(FaceConfig, FaceProjector, _recognise, (of_kolors(_FACEID), _FACEID, of_kolors(_PORTRAIT), _PORTRAIT))
