"""The projector of the full-face adapter: every patch becomes a token through one hidden layer."""

from dataclasses import dataclass

from torch import Tensor, nn

from .facts import FileShapes, Kind, NegativeFeatures, Network, PublishedKind, Stage, TrainingFacts, Widths
from .kolors import of_kolors
from .shapes import Float

# Patches and class token of ViT-H/14 at 224 pixels, the encoder of the published adapter. The network takes any number
# of them, so no tensor tells.
_PATCHES = 257


@dataclass(frozen=True)
class MlpConfig:
    """Sizes of an `MlpProjector`: width of the patch features, of the hidden layer, and of the text context."""

    feature_width: int
    hidden_width: int
    width: int

    @property
    def tokens(self) -> int:
        return _PATCHES


class MlpProjector(nn.Module):
    """`LayerNorm(W2 GELU(W1 x + b1) + b2)` of every patch feature x.

    Parameter names of `MLPProjModel` in https://github.com/tencent-ailab/IP-Adapter/blob/62e4af9/ip_adapter/ip_adapter.py
    """

    def __init__(self, config: MlpConfig) -> None:
        super().__init__()
        self.config = config
        self.proj = nn.Sequential(
            nn.Linear(config.feature_width, config.hidden_width),
            nn.GELU(),
            nn.Linear(config.hidden_width, config.width),
            nn.LayerNorm(config.width),
        )

    def forward(self, features: Float[Tensor, "batch patches feature_width"]) -> Float[Tensor, "batch patches width"]:
        return self.proj(features)


def _recognise(file: FileShapes) -> MlpConfig | None:
    first, second = (file.projector.get(f"proj.{layer}.weight", ()) for layer in (0, 2))
    if "proj.3.weight" not in file.projector or len(first) != 2 or len(second) != 2:
        return None
    return MlpConfig(first[1], first[0], second[0])


def _sizes(widths: Widths, _: int) -> MlpConfig:
    return MlpConfig(widths.features, widths.features, widths.context)


_FULL_FACE = PublishedKind(
    Kind.FULL_FACE, Stage.PENULTIMATE, NegativeFeatures.ZERO_PICTURE, training=TrainingFacts(0, _sizes)
)
MLP = Network(MlpConfig, MlpProjector, _recognise, (of_kolors(_FULL_FACE), _FULL_FACE))
