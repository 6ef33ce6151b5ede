"""What an adapter is, in a line for people."""

from ..bases.base_models import fitting_bases
from ..bases.image_encoders import encoder_name
from ..spec import AdapterSpec


def summary(spec: AdapterSpec) -> str:
    """As "plus for SDXL ..., 16 tokens, reads CLIP ViT-H/14 (clip_vision_h.safetensors), by tensor shapes"."""
    bases = fitting_bases(spec.context_width, len(spec.site_indices), spec.base)
    encoder = f", reads {encoder_name(spec.stage, spec.feature_width)}" if spec.stage else ""
    faces = ", reads faces" if spec.face else ""
    lora = f", LoRA of rank {spec.lora_rank} inside" if spec.lora_rank else ""
    return f"{spec.kind.value} for {bases}, {spec.tokens} tokens{faces}{encoder}{lora}, by {spec.decided_by}"
