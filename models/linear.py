"""The projector of the standard adapter: one linear layer to a few tokens, then a layer norm."""

from dataclasses import dataclass

from torch import Tensor, nn

from .facts import FileShapes, Kind, NegativeFeatures, Network, PublishedKind, Stage, TrainingFacts, Widths
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


def _recognise(file: FileShapes) -> LinearConfig | None:
    shapes = file.projector
    projection = shapes.get("proj.weight", ())
    if set(shapes) != {"proj.weight", "proj.bias", "norm.weight", "norm.bias"} or len(projection) != 2:
        return None
    rows, feature_width = projection
    tokens, rest = divmod(rows, file.context_width)
    return None if rest else LinearConfig(feature_width, tokens, file.context_width)


def _sizes(widths: Widths, tokens: int) -> LinearConfig:
    return LinearConfig(widths.features, tokens, widths.context)


LINEAR = Network(
    LinearConfig,
    LinearProjector,
    _recognise,
    (PublishedKind(Kind.STANDARD, Stage.POOLED, NegativeFeatures.ZERO_EMBEDDING, training=TrainingFacts(4, _sizes)),),
)
