"""The shipped adapter, at any weight, on any base of its shape."""

from __future__ import annotations

import torch
from safetensors.torch import load_file

from ...ip_adapter.training.trainable import TrainableAdapter
from ..files import WEIGHTS
from ..training.adapter import build
from ..training.text_to_image import TextToImage


def load_adapter(base: TextToImage, weight: float = 1.0) -> TrainableAdapter:
    """With V' times the weight, which is the same as the image branch times it."""
    model = build(base.unet)
    tensors = load_file(WEIGHTS / "demo_ip_adapter.safetensors")
    model.go_on_from({name: tensor.float() for name, tensor in tensors.items()})
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("to_v_ip.weight"):
                parameter.mul_(weight)
    return model.eval()
