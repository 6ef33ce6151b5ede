"""Host models and adapters of the published topologies with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.supported_models
import torch
from safetensors.torch import save_file
from torch import Tensor

from ..ip_adapter.adapter import Adapter
from ..ip_adapter.bases.backbone import Site
from ..ip_adapter.bases.backbones import find_sites
from ..ip_adapter.library.inventory import load_adapter
from ..ip_adapter.prompts.combine import Combine
from ..ip_adapter.prompts.features import Features
from ..ip_adapter.prompts.prompt import ImagePrompt
from ..models.linear import LinearConfig, LinearProjector
from ..models.resampler import Resampler, ResamplerConfig

_COMMON = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "use_spatial_transformer": True,
    "use_temporal_attention": False,
    "use_temporal_resblock": False,
    "legacy": False,
    "use_checkpoint": False,
}
_SD15 = {
    "num_res_blocks": [2, 2, 2, 2],
    "channel_mult": [1, 2, 4, 4],
    "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
    "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
    "transformer_depth_middle": 1,
    "context_dim": 768,
    "use_linear_in_transformer": False,
    "adm_in_channels": None,
}
_SDXL = {
    "num_res_blocks": [2, 2, 2],
    "channel_mult": [1, 2, 4],
    "transformer_depth": [0, 0, 2, 2, 10, 10],
    "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10],
    "transformer_depth_middle": 10,
    "context_dim": 2048,
    "use_linear_in_transformer": True,
    "num_classes": "sequential",
    "adm_in_channels": 2816,
}
TOPOLOGIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "SD1.5": (comfy.supported_models.SD15, _SD15),
    "SDXL": (comfy.supported_models.SDXL, _SDXL),
}


def make_model(
    topology: str, channels: int = 320, dtype: torch.dtype = torch.float32, device: torch.device | None = None
) -> Any:
    """A MODEL of the host's own class; random weights small enough that values stay in range.

    On the meta device it has shapes only: enough to apply an adapter to, at no memory.
    """
    kind, config = TOPOLOGIES[topology]
    settings = kind({**_COMMON, **config, "model_channels": channels})
    settings.set_inference_dtype(dtype, None)
    load_device = comfy.model_management.get_torch_device()
    model = comfy.model_base.BaseModel(settings, device=device or load_device)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.02)
    return comfy.model_patcher.ModelPatcher(model, load_device, comfy.model_management.unet_offload_device())


def sites_of(model: Any) -> tuple[Site, ...]:
    return find_sites(model.get_model_object("diffusion_model"))


def write_adapter(path: Path, sites: tuple[Site, ...], kind: str) -> Adapter:
    """A float16 file in the published layout: "standard" (ViT-H) or "plus", with random tensors."""
    context_width = sites[0].context_width
    inner_width = 1280 if context_width == 2048 else 768
    projector = (
        LinearProjector(LinearConfig(1024, 4, context_width))
        if kind == "standard"
        else Resampler(ResamplerConfig(1280, 16, context_width, inner_width, inner_width // 64))
    )
    tensors: dict[str, Tensor] = {f"image_proj.{name}": t.detach().half() for name, t in projector.state_dict().items()}
    for index, site in enumerate(sites):
        for name in ("to_k_ip", "to_v_ip"):
            tensors[f"ip_adapter.{2 * index + 1}.{name}.weight"] = (
                torch.randn(site.width, context_width).mul(0.03).half()
            )
    save_file(tensors, path)
    return load_adapter(path)


def random_prompt(pictures: int = 1, combine: Combine = Combine.CONCAT) -> ImagePrompt:
    """Pictures as ViT-H would describe them."""

    def features(count: int) -> Features:
        return Features(torch.randn(count, 1024), torch.randn(count, 257, 1280))

    return ImagePrompt(features(pictures), None, features(1), (1.0,) * pictures, combine)
