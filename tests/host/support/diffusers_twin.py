"""diffusers' UNet with the weights of a small host model, and the published adapter loaded its way."""

from dataclasses import dataclass
from typing import Any

import comfy.utils
import torch
from diffusers import EulerDiscreteScheduler, UNet2DConditionModel
from torch import Tensor

from .sampling import SIZE
from .small_models import LATENT_CHANNELS, empty_model

_EMBEDDING = 256  # width in which each size is embedded
_SIZES = {2816: (SIZE, SIZE, 0, 0, SIZE, SIZE), 2560: (SIZE, SIZE, 0, 0)}  # by width of the added vector
_REFINER, _AESTHETIC_SCORES = 2560, (2.5, 6.0)  # which it is told beside the sizes, of negative and positive texts
_MIDDLE = {-1: "UNetMidBlock2D", -2: None}  # by the host's depth: one residual block, or nothing at all


@dataclass(frozen=True)
class Inputs:
    """What both sides are given: noise, CONDITIONINGs, and what the model sees beside the latents."""

    noise: Tensor
    positive: list[list[Any]]
    negative: list[list[Any]]
    concatenated: Tensor | None = None


def architecture(config: dict[str, Any]) -> dict[str, Any]:
    """diffusers' description of a UNet of which the host has this one."""
    channels = [config["model_channels"] * times for times in config["channel_mult"]]
    blocks, middle = config["num_res_blocks"][0], config["transformer_depth_middle"]
    down = _stages(config["transformer_depth"], blocks)
    up = _stages(config["transformer_depth_output"][::-1], blocks + 1)
    head_width, added = config.get("num_head_channels", -1), config["adm_in_channels"]
    return {
        "in_channels": config["in_channels"],
        "out_channels": LATENT_CHANNELS,
        "block_out_channels": tuple(channels),
        "layers_per_block": blocks,
        "cross_attention_dim": config["context_dim"],
        "attention_head_dim": tuple(c // head_width for c in channels) if head_width > 0 else config["num_heads"],
        "only_cross_attention": tuple(config.get("disable_self_attentions") or [False] * len(channels)),
        "use_linear_projection": config["use_linear_in_transformer"],
        "down_block_types": tuple("CrossAttnDownBlock2D" if any(depths) else "DownBlock2D" for depths in down),
        "up_block_types": tuple("CrossAttnUpBlock2D" if any(depths) else "UpBlock2D" for depths in up),
        "mid_block_type": _MIDDLE.get(middle, "UNetMidBlock2DCrossAttn"),
        # The middle takes the depth of the last stage, which says nothing else where that has no attention.
        "transformer_layers_per_block": [*down[:-1], down[-1] if any(down[-1]) else [max(middle, 0)]],
        "reverse_transformer_layers_per_block": up,
        "addition_embed_type": None if added is None else "text_time",
        "addition_time_embed_dim": _EMBEDDING,
        "projection_class_embeddings_input_dim": added,
    }


def _stages(depths: list[int], size: int) -> list[list[int]]:
    return [depths[start : start + size] for start in range(0, len(depths), size)]


def pair(base: str) -> tuple[Any, UNet2DConditionModel]:
    """A host MODEL and diffusers' UNet holding the same weights, drawn by diffusers and moved by the host's own map."""
    torch.manual_seed(0)
    model = empty_model(base)
    config = model.model.model_config.unet_config
    with torch.no_grad():
        unet = UNet2DConditionModel(sample_size=8, **architecture(config)).eval()
        names = comfy.utils.unet_to_diffusers(config)
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
    inputs: Inputs,
    pictures: tuple[Tensor, Tensor] | None,
    *,
    prediction: str = "epsilon",
    cfg: float = 5.0,
    steps: int = 4,
) -> Tensor:
    """The loop of diffusers' pipelines with its own scheduler; `pictures` are negative and positive features."""
    noises = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    scheduler = EulerDiscreteScheduler(**noises, prediction_type=prediction)
    scheduler.set_timesteps(steps)
    batch = len(inputs.noise)
    added = _added(unet, inputs)
    if pictures is not None:
        added["image_embeds"] = [torch.cat([side[None].repeat(batch, *[1] * side.ndim) for side in pictures])]
    context = torch.cat([side[0][0].repeat(batch, 1, 1) for side in (inputs.negative, inputs.positive)])
    latents = inputs.noise * (1 + scheduler.sigmas[0] ** 2) ** 0.5
    for timestep in scheduler.timesteps:
        given = scheduler.scale_model_input(torch.cat([latents, latents]), timestep)
        if inputs.concatenated is not None:
            given = torch.cat([given, inputs.concatenated.repeat(2, 1, 1, 1)], dim=1)
        without, with_text = unet(given, timestep, context, added_cond_kwargs=added).sample.chunk(2)
        latents = scheduler.step(without + cfg * (with_text - without), timestep, latents).prev_sample
    return latents


def _added(unet: UNet2DConditionModel, inputs: Inputs) -> dict[str, Any]:
    width = unet.config.projection_class_embeddings_input_dim
    if width is None:
        return {}
    batch = len(inputs.noise)
    pooled = [side[0][1]["pooled_output"].repeat(batch, 1) for side in (inputs.negative, inputs.positive)]
    scores = [(score,) if width == _REFINER else () for score in _AESTHETIC_SCORES]
    sizes = [torch.tensor([*_SIZES[width], *score], dtype=torch.float32).repeat(batch, 1) for score in scores]
    return {"text_embeds": torch.cat(pooled), "time_ids": torch.cat(sizes)}
