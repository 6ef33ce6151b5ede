"""What an adapter file is: read once from its tensors, then passed on as a value."""

from dataclasses import dataclass
from enum import Enum

from ..models.linear import LinearConfig
from ..models.resampler import ResamplerConfig

ProjectorConfig = LinearConfig | ResamplerConfig


class Kind(str, Enum):
    """The family of an adapter, which decides how its features are made and projected."""

    STANDARD = "standard"
    PLUS = "plus"


class Stage(str, Enum):
    """Where in the image encoder the features are taken."""

    POOLED = "pooled"  # the projected embedding of the whole picture
    PENULTIMATE = "penultimate"  # one vector per patch, and the class token, before the last layer


class NegativeFeatures(str, Enum):
    """What the unconditional side sees when no negative picture is given."""

    ZERO_EMBEDDING = "zero embedding"  # zeros in place of the encoder's output
    ZERO_PICTURE = "zero picture"  # the encoder's output for zeros after normalisation


@dataclass(frozen=True)
class AdapterSpec:
    """The facts of one adapter, each read from a tensor's name or shape."""

    kind: Kind
    projector: ProjectorConfig
    stage: Stage
    negative: NegativeFeatures
    context_width: int
    site_indices: tuple[int, ...]  # the published number of each cross-attention, in order
    site_widths: tuple[int, ...]
    decided_by: str = "tensor shapes"

    @property
    def feature_width(self) -> int:
        return self.projector.feature_width

    @property
    def tokens(self) -> int:
        """Image tokens per picture."""
        return self.projector.tokens
