"""The projector of the full-face adapter: every patch becomes a token through one hidden layer."""

from dataclasses import dataclass

from torch import Tensor, nn

from .shapes import Float


@dataclass(frozen=True)
class MlpConfig:
    """Sizes of an `MlpProjector`: width of the patch features, of the hidden layer, and of the text context."""

    feature_width: int
    hidden_width: int
    width: int


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
