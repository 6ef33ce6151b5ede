"""diffusers' UNet with the weights of a small host model, and the published adapter loaded its way."""

from typing import Any

import comfy.utils
import torch
from diffusers import EulerDiscreteScheduler, UNet2DConditionModel
from torch import Tensor

from .sampling import SIZE
from .small_models import CHANNELS, CONTEXT_WIDTH, HEAD_WIDTH, HEADS, LATENT_CHANNELS, empty_model

_ARCHITECTURES = {
    "sd15": {
        "block_out_channels": (CHANNELS, 2 * CHANNELS, 4 * CHANNELS, 4 * CHANNELS),
        "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        "attention_head_dim": HEADS,
    },
    "sdxl": {
        "block_out_channels": (CHANNELS, 2 * CHANNELS, 4 * CHANNELS),
        "down_block_types": ("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 2,
        "up_block_types": ("CrossAttnUpBlock2D",) * 2 + ("UpBlock2D",),
        "attention_head_dim": tuple(CHANNELS * times // HEAD_WIDTH for times in (1, 2, 4)),
        "transformer_layers_per_block": (1, 2, 10),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}


def pair(base: str) -> tuple[Any, UNet2DConditionModel]:
    """A host MODEL and diffusers' UNet holding the same weights, drawn by diffusers and moved by the host's own map."""
    torch.manual_seed(0)
    with torch.no_grad():
        unet = UNet2DConditionModel(
            sample_size=8,
            in_channels=LATENT_CHANNELS,
            out_channels=LATENT_CHANNELS,
            layers_per_block=2,
            cross_attention_dim=CONTEXT_WIDTH[base],
            **_ARCHITECTURES[base],
        ).eval()
        model = empty_model(base)
        names = comfy.utils.unet_to_diffusers(model.model.model_config.unet_config)
        weights = {names[name]: tensor for name, tensor in unet.state_dict().items()}
        model.model.diffusion_model.load_state_dict(weights, strict=True)
    return model, unet


def load_adapter(unet: UNet2DConditionModel, tensors: dict[str, Tensor], weight: float) -> None:
    """The adapter in its published layout, as `load_ip_adapter` of diffusers' pipelines hands it to the UNet."""
    parts: dict[str, dict[str, Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for name, tensor in tensors.items():
        part, inner = name.split(".", 1)
        parts[part][inner] = tensor
    unet._load_ip_adapter_weights([parts])
    for processor in unet.attn_processors.values():
        if hasattr(processor, "to_k_ip"):
            processor.scale = [weight]


def denoise(
    unet: UNet2DConditionModel,
    noise: Tensor,
    positive: list[list[Any]],
    negative: list[list[Any]],
    pictures: tuple[Tensor, Tensor] | None,
    *,
    cfg: float = 5.0,
    steps: int = 4,
) -> Tensor:
    """The loop of diffusers' pipelines with its own scheduler; `pictures` are negative and positive features."""
    scheduler = EulerDiscreteScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    scheduler.set_timesteps(steps)
    batch = len(noise)
    added = _added(positive, negative, batch)
    if pictures is not None:
        added["image_embeds"] = [torch.cat([side[None].repeat(batch, *[1] * side.ndim) for side in pictures])]
    context = torch.cat([side[0][0].repeat(batch, 1, 1) for side in (negative, positive)])
    latents = noise * (1 + scheduler.sigmas[0] ** 2) ** 0.5
    for timestep in scheduler.timesteps:
        scaled = scheduler.scale_model_input(torch.cat([latents, latents]), timestep)
        without, with_text = unet(scaled, timestep, context, added_cond_kwargs=added).sample.chunk(2)
        latents = scheduler.step(without + cfg * (with_text - without), timestep, latents).prev_sample
    return latents


def _added(positive: list[list[Any]], negative: list[list[Any]], batch: int) -> dict[str, Any]:
    if "pooled_output" not in positive[0][1]:
        return {}
    pooled = torch.cat([side[0][1]["pooled_output"].repeat(batch, 1) for side in (negative, positive)])
    sizes = torch.tensor([SIZE, SIZE, 0, 0, SIZE, SIZE], dtype=torch.float32)
    return {"text_embeds": pooled, "time_ids": sizes.repeat(2 * batch, 1)}
