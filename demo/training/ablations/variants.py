"""What is compared: each variant is trained alike and differs in one thing from the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from torch import nn

from ....ip_adapter.bases.backbones import find_sites
from ....ip_adapter.training.kinds import projector_for
from ....ip_adapter.training.trainable import TrainableAdapter
from ....models.face import FaceConfig
from ....models.facts import Kind, Widths
from ...clip_vision import CONFIG as VISION_CONFIG
from ...text_encoder import WIDTH
from .. import plus_adapter
from ..adapter import TOKENS
from .concatenation import ConcatenatingAdapter

POOLED = VISION_CONFIG["projection_dim"]


class Reads(str, Enum):
    """What a projector reads of the image encoder."""

    POOLED = "pooled"  # one embedding of the whole picture
    PATCHES = "patches"  # hidden states of every patch, of the last layer but one


@dataclass(frozen=True)
class Variant:
    slug: str  # of its files
    name: str
    reads: Reads
    build: Callable[[nn.Module], nn.Module]


def _global(tokens: int) -> Variant:
    projector = projector_for(Kind.STANDARD, Widths(WIDTH, POOLED), tokens)
    name = f"decoupled, {tokens} token{'s' if tokens > 1 else ''}"
    return Variant(f"decoupled-{tokens}", name, Reads.POOLED, lambda unet: TrainableAdapter(unet, projector))


def _concatenated(unet: nn.Module) -> nn.Module:
    return ConcatenatingAdapter(unet, projector_for(Kind.STANDARD, Widths(WIDTH, POOLED), TOKENS))


def _hidden_layer(unet: nn.Module) -> FaceConfig:
    """A projector with one, which costs what key and value matrices cost the decoupled adapter."""
    matrices = sum(2 * site.width * site.context_width for site in find_sites(unet))
    linear = TOKENS * WIDTH * (POOLED + 1)
    hidden = round((matrices + linear - TOKENS * WIDTH) / (POOLED + 1 + TOKENS * WIDTH))
    return FaceConfig(POOLED, hidden, TOKENS, WIDTH)


DECOUPLED = _global(TOKENS)
CONCATENATED = Variant("concatenated", "concatenated, the same projector", Reads.POOLED, _concatenated)
CONCATENATED_WIDE = Variant(
    "concatenated-wide",
    "concatenated, a hidden layer: as many parameters as the first",
    Reads.POOLED,
    lambda unet: ConcatenatingAdapter(unet, _hidden_layer(unet)),
)
DECOUPLED_WIDE = Variant(
    "decoupled-wide",
    "decoupled, the same hidden layer",
    Reads.POOLED,
    lambda unet: TrainableAdapter(unet, _hidden_layer(unet)),
)
FINE_GRAINED = Variant(
    "fine-grained", "decoupled, 16 tokens of a resampler over patches", Reads.PATCHES, plus_adapter.build
)
VARIANTS = (DECOUPLED, CONCATENATED, CONCATENATED_WIDE, DECOUPLED_WIDE, _global(1), _global(16), FINE_GRAINED)


def size(model: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(parameter.numel() for parameter in model.parameters())
