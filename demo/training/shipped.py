"""The shipped weights as networks that can be trained on: where a training starts that needs the repository alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import comfy.clip_vision
from safetensors.torch import load_file
from torch import Tensor

from ...ip_adapter.host.encode import HostEncoder
from .. import clip_vision
from ..files import WEIGHTS
from .autoencoder import Autoencoder, from_stock
from .text_to_image import TextToImage

CHECKPOINT = "demo_checkpoint.safetensors"
IMAGE_ENCODER, ADAPTER = "demo_clip_vision.safetensors", "demo_ip_adapter.safetensors"
_UNET, _TEXT, _AUTOENCODER = "model.diffusion_model.", "cond_stage_model.clip_demo.transformer.", "first_stage_model."


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value.float() for name, value in tensors.items() if name.startswith(prefix)}


def load_base(weights: Path = WEIGHTS) -> tuple[TextToImage, Autoencoder]:
    """The text-to-image model and the autoencoder, in float32."""
    tensors = load_file(weights / CHECKPOINT)
    model = TextToImage()
    model.unet.load_state_dict(_part(tensors, _UNET))
    model.text.load_state_dict(_part(tensors, _TEXT))
    return model.eval(), from_stock(_part(tensors, _AUTOENCODER))


def load_image_encoder(weights: Path = WEIGHTS) -> HostEncoder:
    clip_vision.register()
    return HostEncoder(comfy.clip_vision.load(str(weights / IMAGE_ENCODER)))
