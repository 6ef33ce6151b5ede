"""The table of projectors: how each is recognised, what it reads, and which network it is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from ..models.linear import LinearConfig, LinearProjector
from ..models.resampler import Resampler, ResamplerConfig
from .checkpoint import Shapes
from .spec import Kind, NegativeFeatures, ProjectorConfig, Stage

FACE_WIDTH = 512  # of the face embeddings that FaceID adapters read in place of an image encoder's features
_HEAD_WIDTH = 64  # of every published resampler; no tensor states it


@dataclass(frozen=True)
class ProjectorEntry:
    kind: Kind
    stage: Stage
    negative: NegativeFeatures
    recognise: Callable[[Shapes, int], ProjectorConfig | None]
    build: Callable[[Any], nn.Module]


def _linear(shapes: Shapes, context_width: int) -> LinearConfig | None:
    projection = shapes.get("proj.weight", ())
    if set(shapes) != {"proj.weight", "proj.bias", "norm.weight", "norm.bias"} or len(projection) != 2:
        return None
    rows, feature_width = projection
    return LinearConfig(feature_width, rows // context_width, context_width) if rows % context_width == 0 else None


def _resampler(shapes: Shapes, context_width: int) -> ResamplerConfig | None:
    latents, entry, query = (shapes.get(name, ()) for name in ("latents", "proj_in.weight", "layers.0.0.to_q.weight"))
    hidden = shapes.get("layers.0.1.1.weight", ())
    if len(latents) != 3 or any(len(shape) != 2 for shape in (entry, query, hidden)):
        return None
    depth = _depth(shapes)
    if depth is None or query[0] % _HEAD_WIDTH or entry[1] == FACE_WIDTH:
        return None
    if any(key.startswith(("time_embedding.", "proj_new_input.", "id_embedding_mapping.")) for key in shapes):
        return None  # relatives that need more than a picture: SD3.5, Instruct, PuLID
    return ResamplerConfig(
        feature_width=entry[1],
        tokens=latents[1],
        width=context_width,
        inner_width=latents[2],
        heads=query[0] // _HEAD_WIDTH,
        head_width=_HEAD_WIDTH,
        depth=depth,
        hidden_width=hidden[0],
    )


def _depth(shapes: Shapes) -> int | None:
    """The number of layers, None unless they are numbered from 0 without a gap."""
    numbers = {key.split(".")[1] for key in shapes if key.startswith("layers.")}
    return len(numbers) if numbers == {str(number) for number in range(len(numbers))} else None


# The unconditional side is that of the reference: `get_image_embeds` of each class in
# https://github.com/tencent-ailab/IP-Adapter/blob/62e4af9/ip_adapter/ip_adapter.py
PROJECTORS = (
    ProjectorEntry(Kind.PLUS, Stage.PENULTIMATE, NegativeFeatures.ZERO_PICTURE, _resampler, Resampler),
    ProjectorEntry(Kind.STANDARD, Stage.POOLED, NegativeFeatures.ZERO_EMBEDDING, _linear, LinearProjector),
)


def build_projector(kind: Kind, config: ProjectorConfig) -> nn.Module:
    """The network of a kind, with parameters as the current default device makes them."""
    entry = next(entry for entry in PROJECTORS if entry.kind is kind)
    return entry.build(config)
