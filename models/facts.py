"""The words in which a published network says what it is, what it reads, and how its files show."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, runtime_checkable

from torch import nn

Shapes = Mapping[str, tuple[int, ...]]


class Kind(str, Enum):
    """The family of an adapter, which decides how its features are made and projected."""

    STANDARD = "standard"
    PLUS = "plus"
    FULL_FACE = "full-face"
    FACEID = "faceid"
    FACEID_PLUS = "faceid-plus"
    FACEID_PLUS_V2 = "faceid-plus-v2"
    FACEID_PORTRAIT = "faceid-portrait"
    FACEID_PORTRAIT_UNNORM = "faceid-portrait-unnorm"
    INSTANT_ID = "instantid"


class BaseModel(str, Enum):
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


class FaceRecogniser(str, Enum):
    """The pack whose recogniser an adapter was trained with, by the name it is published under."""

    BUFFALO_L = "buffalo_l"
    ANTELOPEV2 = "antelopev2"


class FaceCrop(str, Enum):
    """The part of the photograph that the image encoder of a face adapter sees."""

    ALIGNED = "aligned"  # to insightface's template, 224 pixels
    SQUARE = "square"  # around the box, 336 pixels


class NegativeFeatures(str, Enum):
    """What the unconditional side sees of the image encoder when no negative picture is given."""

    ZERO_EMBEDDING = "zero embedding"  # zeros in place of the encoder's output
    ZERO_PICTURE = "zero picture"  # the encoder's output for zeros after normalisation


@runtime_checkable
class ProjectorConfig(Protocol):
    """The sizes of a projector, each stated by the shape of a tensor in its file."""

    @property
    def feature_width(self) -> int:
        """Of the features that it reads."""
        ...

    @property
    def tokens(self) -> int:
        """That it makes of each picture or face."""
        ...

    @property
    def width(self) -> int:
        """Of each token."""
        ...


@dataclass(frozen=True)
class FileShapes:
    """What a file's shapes tell a network: its projector's tensors, and the cross-attentions that they are for."""

    projector: Shapes
    context_width: int
    base: BaseModel


@dataclass(frozen=True)
class Widths:
    """Of a base's text states, and of what the image encoder gives (unused by kinds that read only a face)."""

    context: int
    features: int = 0


@dataclass(frozen=True)
class TrainingFacts:
    """How a kind is trained: its published number of tokens (0: as many as the encoder gives), sizes, rank of LoRA."""

    tokens: int
    sizes: Callable[[Widths, int], Any]  # widths and tokens to the configuration of the projector
    lora_rank: int = 0


@dataclass(frozen=True)
class Hints:
    """What besides shapes tells one kind from others of equal tensors: each is asked only where they are equal."""

    file_name: re.Pattern[str] | None = None  # how people name its files
    context_width: int | None = None  # the one at which it alone was published
    why: str = ""  # the same in words
    dtype: str | None = None  # in which all its matrices are published, as safetensors names it


@dataclass(frozen=True)
class PublishedKind:
    """One kind of adapter that was published with a network, and all that is known of it.

    The unconditional side is that of the reference: `get_image_embeds` of each class in
    https://github.com/tencent-ailab/IP-Adapter/blob/62e4af9/ip_adapter/ip_adapter.py and ip_adapter_faceid.py
    """

    kind: Kind
    stage: Stage | None  # what it reads of an image encoder; None for adapters that see only the face vector
    negative: NegativeFeatures
    face: FaceVector | None = None  # what it reads of a face recogniser
    recogniser: FaceRecogniser | None = None
    crop: FaceCrop | None = None  # what the image encoder sees of a face
    in_sequence: bool = False  # whether it reads face vectors as a sequence, here of one
    patches: int | None = None  # of the encoder, where encoders of equal widths give different numbers of them
    has_lora: bool = False  # whether its file holds a LoRA, or one is published beside it
    base: BaseModel | None = None  # the one it belongs to, where the sizes are those of another
    fits: Callable[[Any, FileShapes], bool] = lambda config, file: True  # whether a file of these sizes can be it
    configured: Callable[[Any], Any] = lambda config: config  # the sizes with what the kind adds to them
    hints: Hints = Hints()
    training: TrainingFacts | None = None  # None where it cannot be trained
    supported: bool = True  # False for one that is recognised in order to be named


@dataclass(frozen=True)
class Network:
    """A published projector: its configuration and module, how its shapes are recognised, and its kinds.

    Of kinds with equal tensors the first is the default.
    """

    config: type[Any]
    module: Callable[[Any], nn.Module]
    recognise: Callable[[FileShapes], Any | None]
    kinds: tuple[PublishedKind, ...]

    def candidates(self, config: Any, file: FileShapes) -> tuple[PublishedKind, ...]:
        """The kinds that a file of these sizes can be, the default first."""
        return tuple(kind for kind in self.kinds if kind.fits(config, file))
