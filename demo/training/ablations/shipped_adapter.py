"""The shipped adapters, at any weight, on any base of their shape."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from ...files import WEIGHTS
from ..text_to_image import TextToImage
from .variants import DECOUPLED, FINE_GRAINED, Variant

STANDARD = replace(DECOUPLED, slug="shipped", name="the shipped adapter, 4 tokens")
PLUS = replace(FINE_GRAINED, slug="shipped-plus", name="the shipped Plus adapter")
_FILES = {STANDARD: "demo_ip_adapter.safetensors", PLUS: "demo_ip_adapter_plus.safetensors"}


def load_adapter(
    base: TextToImage, weight: float = 1.0, which: Variant = STANDARD, weights: Path = WEIGHTS
) -> nn.Module:
    """With V' times the weight, which is the same as the image branch times it."""
    model = which.build(base.unet)
    model.load_state_dict({name: tensor.float() for name, tensor in load_file(weights / _FILES[which]).items()})
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("to_v_ip.weight"):
                parameter.mul_(weight)
    return model.eval()
