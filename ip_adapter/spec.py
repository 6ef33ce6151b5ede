"""What an adapter file is: read once from its tensors, then passed on as a value."""

from dataclasses import dataclass

from ..models.facts import (
    BaseModel,
    FaceCrop,
    FaceRecogniser,
    FaceVector,
    Kind,
    NegativeFeatures,
    ProjectorConfig,
    PublishedKind,
    Stage,
)


@dataclass(frozen=True)
class AdapterSpec:
    """The facts of one adapter, each read from a tensor's name or shape unless `decided_by` says otherwise."""

    published: PublishedKind  # what is known of all adapters of its kind
    projector: ProjectorConfig
    context_width: int
    site_indices: tuple[int, ...]  # the published number of each cross-attention, in order
    site_widths: tuple[int, ...]
    base: BaseModel = BaseModel.OTHER
    lora_rank: int | None = None  # of the LoRA inside the file
    decided_by: str = "tensor shapes"

    @property
    def kind(self) -> Kind:
        return self.published.kind

    @property
    def stage(self) -> Stage | None:
        """What it reads of an image encoder; None for adapters that see only the face vector."""
        return self.published.stage

    @property
    def negative(self) -> NegativeFeatures:
        return self.published.negative

    @property
    def face(self) -> FaceVector | None:
        """What it reads of a face recogniser."""
        return self.published.face

    @property
    def recogniser(self) -> FaceRecogniser | None:
        return self.published.recogniser

    @property
    def crop(self) -> FaceCrop | None:
        return self.published.crop

    @property
    def feature_width(self) -> int:
        """Width of the image encoder's features (of the face vector for adapters that see nothing else)."""
        return self.projector.feature_width

    @property
    def tokens(self) -> int:
        """Image tokens per picture or face."""
        return self.projector.tokens

    @property
    def tokens_width(self) -> int:
        """Width of the tokens; where it is not `context_width`, the base's own projection lies between (Kolors)."""
        return self.projector.width
