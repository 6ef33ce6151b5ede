"""A FaceID adapter and faces into a clone of the host's model."""

from dataclasses import dataclass

from ...models.facts import FaceCrop
from ..adapter import Adapter
from ..applying.plan import ApplyOptions
from ..errors import SettingError
from ..faces.face import Faces
from ..faces.prompt import FaceFeatures, FacePrompt
from ..prompts.combine import Combine
from ..prompts.encoder import encode
from ..prompts.preprocess import Fit, fitted
from ..weights.weight import MAX_WEIGHT
from .apply import apply
from .encode import HostEncoder
from .feedback import Progress
from .model import HostClipVision, HostModel


@dataclass(frozen=True)
class FaceOptions:
    """What the user chose on Apply FaceID beside the options of every apply node; `combine` by name."""

    structure_weight: float = 1.0
    lora_weight: float = 1.0
    combine: str = Combine.CONCAT

    def __post_init__(self) -> None:
        for name in ("structure_weight", "lora_weight"):
            if not abs(getattr(self, name)) <= MAX_WEIGHT:
                raise SettingError(f"Expected {name} from {-MAX_WEIGHT} to {MAX_WEIGHT}, got {getattr(self, name)}.")


def apply_face(
    model: HostModel,
    adapter: Adapter,
    faces: Faces,
    clip_vision: HostClipVision | None,
    options: ApplyOptions,
    face_options: FaceOptions,
) -> HostModel:
    """A clone of the model that also attends to the faces; the incoming model is left as it is.

    `clip_vision` may be None for adapters that see only the face vector. Raises what `apply` raises, and FaceError.
    """
    combine, features = Combine(face_options.combine), None
    if clip_vision is not None and adapter.spec.stage is not None:
        features = _features(adapter.spec.crop, faces, clip_vision)
    prompt = FacePrompt(faces, features, face_options.structure_weight, combine)
    return apply(model, adapter, prompt, options, face_options.lora_weight)


def _features(crop: FaceCrop | None, faces: Faces, clip_vision: HostClipVision) -> FaceFeatures:
    """What the image encoder sees of each face: the crop that the adapter's training used."""
    encoder = HostEncoder(clip_vision)
    crops = faces.squares if crop is FaceCrop.SQUARE else faces.crops
    features = encode(encoder, fitted(crops, encoder.size, Fit.CROP), Progress(len(crops)))
    return FaceFeatures(features, encoder.encode_zeros())
