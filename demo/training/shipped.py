"""The shipped weights as networks that can be trained on: where a training starts that needs the repository alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import comfy.clip_vision
from safetensors.torch import load_file
from torch import Tensor, nn

from ...ip_adapter.host.encode import HostEncoder
from .. import clip_vision
from ..files import WEIGHTS
from .autoencoder import Autoencoder, from_stock
from .host_classes import build_image_encoder
from .text_to_image import TextToImage

CHECKPOINT, IMAGE_ENCODER = "demo_checkpoint.safetensors", "demo_clip_vision.safetensors"
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


def load_trainable_image_encoder(weights: Path = WEIGHTS) -> nn.Module:
    model = build_image_encoder()
    model.load_state_dict({name: value.float() for name, value in load_file(weights / IMAGE_ENCODER).items()})
    return model


def load_image_encoder(weights: Path = WEIGHTS) -> HostEncoder:
    clip_vision.register()
    return HostEncoder(comfy.clip_vision.load(str(weights / IMAGE_ENCODER)))
