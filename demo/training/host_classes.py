"""The host's own network classes, built so that they can be trained: initialised, and without in-place additions."""

from __future__ import annotations

from typing import Any

import comfy.clip_model
import comfy.ops
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from torch import Tensor, nn

from ..clip_vision import CONFIG as VISION_CONFIG
from ..model import UNET
from ..text_encoder import CONFIG as TEXT_CONFIG
from ..text_encoder import DemoTextModel


class _Embedding(nn.Embedding):
    def forward(self, input: Tensor, out_dtype: torch.dtype | None = None) -> Tensor:
        return super().forward(input).to(out_dtype)


class TrainableOps(comfy.ops.disable_weight_init):
    """The operations the host's classes are built from, with PyTorch's initialisation, which inference leaves out."""

    Linear = nn.Linear
    Conv2d = nn.Conv2d
    GroupNorm = nn.GroupNorm
    LayerNorm = nn.LayerNorm
    Embedding = _Embedding

    @classmethod
    def conv_nd(cls, dims: int, *args: Any, **kwargs: Any) -> nn.Module:
        return nn.Conv2d(*args, **kwargs)


def _forward_out_of_place(self: Any, x: Tensor, mask: Tensor | None = None, optimized_attention: Any = None) -> Tensor:
    x = x + self.self_attn(self.layer_norm1(x), mask, optimized_attention)
    return x + self.mlp(self.layer_norm2(x))


# The host adds into x in place, which overwrites what the backward pass of the layer norm needs.
comfy.clip_model.CLIPLayer.forward = _forward_out_of_place


def _small_embeddings(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if "embedding" in name and "patch" not in name:
            nn.init.normal_(parameter, std=0.02)


def build_text_encoder() -> nn.Module:
    model = DemoTextModel(dict(TEXT_CONFIG), torch.float32, None, TrainableOps)
    _small_embeddings(model)
    return model


def build_image_encoder() -> nn.Module:
    model = comfy.clip_model.CLIPVisionModelProjection(dict(VISION_CONFIG), torch.float32, None, TrainableOps)
    _small_embeddings(model)
    return model


def build_unet() -> UNetModel:
    """The demo UNet; every branch that is added to a stream starts at zero, as in the original initialisation."""
    unet = UNetModel(**UNET, operations=TrainableOps)
    for name, module in unet.named_modules():
        if name.endswith((".out_layers.3", ".proj_out")) or name == "out.2":
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    return unet
