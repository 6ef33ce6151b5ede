"""The projector of the standard adapter: one linear layer to a few tokens, then a layer norm."""

from dataclasses import dataclass

from torch import Tensor, nn

from .shapes import Float


@dataclass(frozen=True)
class LinearConfig:
    """Sizes of a `LinearProjector`: width of the pooled embedding, number of tokens, width of the text context."""

    feature_width: int
    tokens: int
    width: int


class LinearProjector(nn.Module):
    """`LayerNorm(reshape(W c + b))` of a pooled image embedding c.

    Source: Ye et al. 2023 (arXiv 2308.06721) section 3.2; parameter names of `ImageProjModel` in
    https://github.com/tencent-ailab/IP-Adapter/blob/62e4af9/ip_adapter/ip_adapter.py
    """

    def __init__(self, config: LinearConfig) -> None:
        super().__init__()
        self.config = config
        self.proj = nn.Linear(config.feature_width, config.tokens * config.width)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, features: Float[Tensor, "batch feature_width"]) -> Float[Tensor, "batch tokens width"]:
        tokens = self.proj(features).unflatten(-1, (self.config.tokens, self.config.width))
        return self.norm(tokens)
