"""The host's own model classes with the topology and context widths of published bases and few channels."""

from typing import Any

import comfy.model_patcher
import comfy.supported_models
import torch
from torch import nn

CHANNELS = 32  # the fewest that the host's group norms of 32 groups allow
LATENT_CHANNELS = 4
CONTEXT_WIDTH = {"sd15": 768, "sdxl": 2048}
HEADS, HEAD_WIDTH = 8, 16  # SD1.5 fixes the number of heads, SDXL their width

_COMMON = {
    "image_size": 32,
    "in_channels": LATENT_CHANNELS,
    "out_channels": LATENT_CHANNELS,
    "use_spatial_transformer": True,
    "use_temporal_attention": False,
    "use_temporal_resblock": False,
    "use_checkpoint": False,
    "legacy": False,
}
_TOPOLOGIES = {
    "sd15": {
        "num_res_blocks": [2, 2, 2, 2],
        "channel_mult": [1, 2, 4, 4],
        "transformer_depth": [1, 1, 1, 1, 1, 1, 0, 0],
        "transformer_depth_output": [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
        "transformer_depth_middle": 1,
        "use_linear_in_transformer": False,
        "adm_in_channels": None,
    },
    "sdxl": {
        "num_res_blocks": [2, 2, 2],
        "channel_mult": [1, 2, 4],
        "transformer_depth": [0, 0, 2, 2, 10, 10],
        "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10],
        "transformer_depth_middle": 10,
        "use_linear_in_transformer": True,
        "num_classes": "sequential",
        "adm_in_channels": 2816,
    },
}
_CLASSES = {"sd15": comfy.supported_models.SD15, "sdxl": comfy.supported_models.SDXL}


def supported_model(base: str, channels: int = CHANNELS, dtype: torch.dtype = torch.float32) -> Any:
    """The host's configuration object of a base model."""
    config = _COMMON | _TOPOLOGIES[base] | {"model_channels": channels, "context_dim": CONTEXT_WIDTH[base]}
    supported = _CLASSES[base](config)
    if channels == CHANNELS:
        supported.unet_config |= {"num_heads": HEADS} if base == "sd15" else {"num_head_channels": HEAD_WIDTH}
    supported.set_inference_dtype(dtype, None)
    return supported


def empty_model(base: str) -> Any:
    """A MODEL whose weights are yet to be set."""
    cpu = torch.device("cpu")
    module = supported_model(base).get_model({}, device="cpu").eval()
    return comfy.model_patcher.ModelPatcher(module, load_device=cpu, offload_device=cpu)


def random_model(base: str, seed: int = 0) -> Any:
    """A MODEL with random weights in which signals neither vanish nor explode."""
    model = empty_model(base)
    _randomise(model.model.diffusion_model, torch.Generator().manual_seed(seed))
    return model


@torch.no_grad()
def _randomise(module: nn.Module, generator: torch.Generator) -> None:
    for name, parameter in module.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim > 1:
            parameter.copy_(noise * parameter[0].numel() ** -0.5)
        else:
            parameter.copy_(0.1 * noise + (1.0 if name.endswith("weight") else 0.0))
