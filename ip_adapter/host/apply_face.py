"""A FaceID adapter and faces into a clone of the host's model, with the LoRA that lies inside the adapter's file."""

import logging
from dataclasses import dataclass
from typing import Any

import comfy.lora

from ..adapter import Adapter
from ..errors import SettingError
from ..faces.face import Faces
from ..faces.lora import lora_pairs
from ..faces.prompt import FacePrompt, Look
from ..patching.sites import Site
from ..prompts.encoder import encode
from ..prompts.preprocess import Fit, fitted
from ..prompts.prompt import Combine
from ..spec import AdapterSpec, Base, Kind
from ..weights.weight import MAX_WEIGHT
from .apply import Settings, apply
from .encode import HostEncoder
from .progress import Progress

log = logging.getLogger(__name__)
_ATTACHMENT = "ip_adapter_nodes_lora:"  # notes on a model which adapters' LoRAs it carries
_WITH_LORA = (Kind.FACEID, Kind.FACEID_PLUS, Kind.FACEID_PLUS_V2)


@dataclass(frozen=True)
class FaceSettings:
    """What the user chose on Apply FaceID beside the settings of every apply node."""

    structure_weight: float = 1.0
    lora_weight: float = 1.0
    combine: Combine = Combine.CONCAT

    def __post_init__(self) -> None:
        for name in ("structure_weight", "lora_weight"):
            if not abs(getattr(self, name)) <= MAX_WEIGHT:
                raise SettingError(f"Expected {name} from {-MAX_WEIGHT} to {MAX_WEIGHT}, got {getattr(self, name)}.")


def apply_face(
    model: Any, adapter: Adapter, faces: Faces, clip_vision: Any, settings: Settings, choice: FaceSettings
) -> Any:
    """A clone of the model that also attends to the faces; the incoming model is left as it is.

    `clip_vision` may be None for adapters that see only the face vector. Raises what `apply` raises, and FaceError.
    """
    look = None if clip_vision is None or adapter.spec.stage is None else _look(adapter.spec, faces, clip_vision)
    prompt = FacePrompt(faces, look, choice.structure_weight, choice.combine)

    def also(clone: Any, sites: tuple[Site, ...]) -> None:
        add_lora(clone, adapter, sites, choice.lora_weight)

    return apply(model, adapter, prompt, settings, also)


def _look(spec: AdapterSpec, faces: Faces, clip_vision: Any) -> Look:
    """What the image encoder sees of each face: the crop that the adapter's training used."""
    encoder = HostEncoder(clip_vision)
    crops = faces.squares if spec.base is Base.KOLORS else faces.crops
    features = encode(encoder, fitted(crops, encoder.size, Fit.CROP), Progress(len(crops)))
    return Look(features, encoder.encode_zeros())


def add_lora(clone: Any, adapter: Adapter, sites: tuple[Site, ...], weight: float) -> None:
    """The host's own weight patches, once per file: two people by the same adapter share one LoRA."""
    name, mark = adapter.source.name, f"{_ATTACHMENT}{adapter.source.name}"
    if adapter.spec.lora_rank is None:
        if adapter.spec.kind in _WITH_LORA and adapter.spec.base is not Base.KOLORS and weight:
            log.warning("%s holds no LoRA; load the one published with it by LoraLoader for a better likeness", name)
        return
    if not weight:
        return
    if clone.get_attachment(mark) is not None:
        log.info("The LoRA of %s is in the model already and is not added again", name)
        return
    pairs = list(lora_pairs(adapter, sites))
    matrices = {f"{pair.module}.lora_down.weight": pair.down for pair in pairs}
    matrices |= {f"{pair.module}.lora_up.weight": pair.up for pair in pairs}
    targets = {pair.module: f"diffusion_model.{pair.module}.weight" for pair in pairs}
    added = clone.add_patches(comfy.lora.load_lora(matrices, targets), weight)
    log.info("LoRA of %s added to %d weights", name, len(added))
    clone.set_attachments(mark, weight)
