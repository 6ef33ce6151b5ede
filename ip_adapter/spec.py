"""What an adapter file is: read once from its tensors, then passed on as a value."""

from dataclasses import dataclass
from enum import Enum

from ..models.face import FaceConfig, FacePerceiverConfig
from ..models.linear import LinearConfig
from ..models.mlp import MlpConfig
from ..models.resampler import ResamplerConfig
from .choice import Choice

ProjectorConfig = LinearConfig | ResamplerConfig | MlpConfig | FaceConfig | FacePerceiverConfig


class Kind(Choice):
    """The family of an adapter, which decides how its features are made and projected."""

    STANDARD = "standard"
    PLUS = "plus"
    FULL_FACE = "full-face"
    FACEID = "faceid"
    FACEID_PLUS = "faceid-plus"
    FACEID_PLUS_V2 = "faceid-plus-v2"
    FACEID_PORTRAIT = "faceid-portrait"
    FACEID_PORTRAIT_UNNORM = "faceid-portrait-unnorm"


class Base(str, Enum):
    """The family of base models whose cross-attentions an adapter was trained for."""

    SD15 = "sd15"
    SD2 = "sd2"
    SDXL = "sdxl"
    SDXL_REFINER = "sdxl-refiner"
    SSD_1B = "ssd-1b"
    VEGA = "vega"
    KOALA_700M = "koala-700m"
    KOALA_1B = "koala-1b"
    SDXS = "sdxs"
    KOLORS = "kolors"
    OTHER = "other"


class Stage(str, Enum):
    """Where in the image encoder the features are taken."""

    POOLED = "pooled"  # the projected embedding of the whole picture
    PENULTIMATE = "penultimate"  # one vector per patch, and the class token, before the last layer


class FaceVector(str, Enum):
    """How the face recogniser's embedding is handed to the adapter."""

    NORMED = "normed"  # scaled to length 1
    RAW = "raw"


class NegativeFeatures(str, Enum):
    """What the unconditional side sees of the image encoder when no negative picture is given."""

    ZERO_EMBEDDING = "zero embedding"  # zeros in place of the encoder's output
    ZERO_PICTURE = "zero picture"  # the encoder's output for zeros after normalisation


# Patches and class token of ViT-H/14 at 224 pixels, the encoder of the published full-face adapter. Its network takes
# any number of them, so no tensor tells.
_PATCHES = 257


@dataclass(frozen=True)
class AdapterSpec:
    """The facts of one adapter, each read from a tensor's name or shape unless `decided_by` says otherwise."""

    kind: Kind
    projector: ProjectorConfig
    stage: Stage | None  # what it reads of an image encoder; None for adapters that see only the face vector
    negative: NegativeFeatures
    context_width: int
    site_indices: tuple[int, ...]  # the published number of each cross-attention, in order
    site_widths: tuple[int, ...]
    base: Base = Base.OTHER
    face: FaceVector | None = None  # what it reads of a face recogniser
    lora_rank: int | None = None  # of the LoRA inside the file
    decided_by: str = "tensor shapes"

    @property
    def feature_width(self) -> int:
        """Width of the image encoder's features (of the face vector for adapters that see nothing else)."""
        return self.projector.feature_width

    @property
    def tokens(self) -> int:
        """Image tokens per picture or face."""
        return _PATCHES if isinstance(self.projector, MlpConfig) else self.projector.tokens

    @property
    def tokens_width(self) -> int:
        """Width of the tokens; where it is not `context_width`, the base's own projection lies between (Kolors)."""
        return self.projector.width
