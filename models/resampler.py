"""The projector of the Plus adapters: learned queries that read the encoder's patch features through attention."""

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional

from .facts import (
    FileShapes,
    Kind,
    NegativeFeatures,
    Network,
    PublishedKind,
    Shapes,
    Stage,
    TrainingFacts,
    Widths,
)
from .kolors import of_kolors
from .shapes import Float

HEAD_WIDTH = 64  # of every published resampler; no tensor states it
_MOST_INNER_WIDTH = 1280  # of the latents; SD1.5's are as wide as its text, SDXL's narrower
# Networks that look like a resampler and need more than a picture: SD3.5, Instruct, PuLID.
_FOREIGN = ("time_embedding.", "proj_new_input.", "id_embedding_mapping.", "layers.0.2.")


@dataclass(frozen=True)
class ResamplerConfig:
    """Sizes of a `Resampler`, each of which a published file states in a tensor's shape."""

    feature_width: int
    tokens: int
    width: int
    inner_width: int
    heads: int
    head_width: int = HEAD_WIDTH
    depth: int = 4
    hidden_width: int = 0  # of the feed-forward layers; 0 is four times the inner width

    @property
    def feedforward_width(self) -> int:
        return self.hidden_width or 4 * self.inner_width


class PerceiverAttention(nn.Module):
    """The latents attend to the image features and to themselves."""

    def __init__(self, config: ResamplerConfig) -> None:
        super().__init__()
        width, attention_width = config.inner_width, config.heads * config.head_width
        self.heads = config.heads
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, attention_width, bias=False)
        self.to_kv = nn.Linear(width, 2 * attention_width, bias=False)
        self.to_out = nn.Linear(attention_width, width, bias=False)

    def forward(
        self, image: Float[Tensor, "batch patches width"], latents: Float[Tensor, "batch tokens width"]
    ) -> Float[Tensor, "batch tokens width"]:
        image, latents = self.norm1(image), self.norm2(latents)
        key, value = self.to_kv(torch.cat([image, latents], dim=1)).chunk(2, dim=-1)
        query, key, value = (
            rearrange(x, "batch n (heads width) -> batch heads n width", heads=self.heads)
            for x in (self.to_q(latents), key, value)
        )
        out = functional.scaled_dot_product_attention(query, key, value)
        return self.to_out(rearrange(out, "batch heads n width -> batch n (heads width)"))


def _feedforward(width: int, hidden_width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, hidden_width, bias=False),
        nn.GELU(),
        nn.Linear(hidden_width, width, bias=False),
    )


class Perceiver(nn.Module):
    """Latents that read the encoder's patch features, layer by layer (Alayrac et al. 2022, arXiv 2204.14198)."""

    def __init__(self, config: ResamplerConfig) -> None:
        super().__init__()
        self.proj_in = nn.Linear(config.feature_width, config.inner_width)
        self.proj_out = nn.Linear(config.inner_width, config.width)
        self.norm_out = nn.LayerNorm(config.width)
        self.layers = nn.ModuleList(
            nn.ModuleList([PerceiverAttention(config), _feedforward(config.inner_width, config.feedforward_width)])
            for _ in range(config.depth)
        )

    def read(
        self,
        latents: Float[Tensor, "batch tokens inner_width"],
        features: Float[Tensor, "batch patches feature_width"],
    ) -> Float[Tensor, "batch tokens width"]:
        image = self.proj_in(features)
        for layer in self.layers:
            attention, feedforward = layer.children()
            latents = latents + attention(image, latents)
            latents = latents + feedforward(latents)
        return self.norm_out(self.proj_out(latents))


class Resampler(Perceiver):
    """A perceiver whose latents are learned queries, over the encoder's last-but-one layer.

    Parameter names of `Resampler` in https://github.com/tencent-ailab/IP-Adapter/blob/62e4af9/ip_adapter/resampler.py
    """

    def __init__(self, config: ResamplerConfig) -> None:
        super().__init__(config)
        self.latents = nn.Parameter(torch.randn(1, config.tokens, config.inner_width) / config.inner_width**0.5)

    def forward(self, features: Float[Tensor, "batch patches feature_width"]) -> Float[Tensor, "batch tokens width"]:
        return self.read(self.latents.expand(len(features), -1, -1), features)


def perceiver_sizes(shapes: Shapes) -> dict[str, int] | None:
    """The sizes that a resampler and the perceiver of FaceID-Plus have in common."""
    names = ("proj_in.weight", "layers.0.0.to_q.weight", "layers.0.1.1.weight")
    entry, query, hidden = (shapes.get(name, ()) for name in names)
    if any(len(shape) != 2 for shape in (entry, query, hidden)) or query[0] % HEAD_WIDTH:
        return None
    numbers = {key.split(".")[1] for key in shapes if key.startswith("layers.")}
    if numbers != {str(number) for number in range(len(numbers))}:
        return None  # the layers are numbered with a gap
    return {
        "feature_width": entry[1],
        "heads": query[0] // HEAD_WIDTH,
        "head_width": HEAD_WIDTH,
        "depth": len(numbers),
        "hidden_width": hidden[0],
    }


def recognise_resampler(file: FileShapes) -> ResamplerConfig | None:
    """The sizes of a resampler with learned queries, None for another network."""
    shapes = file.projector
    latents, hidden = shapes.get("latents", ()), shapes.get("layers.0.1.1.weight", ())
    if len(latents) != 3 or any(key.startswith(_FOREIGN) for key in shapes):
        return None
    sizes = perceiver_sizes(shapes)
    if sizes is None or len(hidden) != 2:
        return None
    return ResamplerConfig(tokens=latents[1], width=file.context_width, inner_width=latents[2], **sizes)


def resampler_sizes(widths: Widths, tokens: int) -> ResamplerConfig:
    """The published proportions for a base and an encoder of any widths."""
    heads = max(1, min(widths.context, _MOST_INNER_WIDTH) // HEAD_WIDTH)
    return ResamplerConfig(widths.features, tokens, widths.context, inner_width=heads * HEAD_WIDTH, heads=heads)


_PLUS = PublishedKind(
    Kind.PLUS, Stage.PENULTIMATE, NegativeFeatures.ZERO_PICTURE, training=TrainingFacts(16, resampler_sizes)
)
RESAMPLER = Network(ResamplerConfig, Resampler, recognise_resampler, (of_kolors(_PLUS), _PLUS))
