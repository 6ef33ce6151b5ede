"""The host's own model classes with the topology and context widths of published bases and few channels."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import comfy.model_detection
import comfy.model_patcher
import comfy.ops
import comfy.supported_models
import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from torch import Tensor, nn

CHANNELS = 32  # the fewest that the host's group norms of 32 groups allow
LATENT_CHANNELS = 4
HEAD_WIDTH = 16  # where a base fixes the width of its heads; SD1.5 fixes their number
CHATGLM_WIDTH = 4096  # of the text that Kolors projects to its context width


@dataclass(frozen=True)
class Layout:
    """What the host needs to recognise a published UNet; its own table knows the rest of the topology."""

    depths: tuple[tuple[int, ...], ...]  # transformer blocks of every stage on the way down, by residual block
    context_width: int
    added: int | None = None  # width of the vector of pooled text and sizes
    channels: int = 320
    inputs: int = LATENT_CHANNELS  # more for models that see a picture or mask beside the latents
    is_v_prediction: bool = False


_SD = ((1, 1), (1, 1), (1, 1), (0, 0))
_XL = ((0, 0), (2, 2), (10, 10))
LAYOUTS = {
    "sd15": Layout(_SD, 768),
    "sd15-inpaint": Layout(_SD, 768, inputs=9),
    "sd15-instruct": Layout(_SD, 768, inputs=8),
    "sd2": Layout(_SD, 1024),
    "sd2-v": Layout(_SD, 1024, is_v_prediction=True),
    "sd2-inpaint": Layout(_SD, 1024, inputs=9),
    "sd2-unclip-l": Layout(_SD, 1024, 1536),
    "sd2-unclip-h": Layout(_SD, 1024, 2048),
    "sdxl": Layout(_XL, 2048, 2816),
    "sdxl-inpaint": Layout(_XL, 2048, 2816, inputs=9),
    "sdxl-instruct": Layout(_XL, 2048, 2816, inputs=8),
    "sdxl-refiner": Layout(((0, 0), (4, 4), (4, 4), (0, 0)), 1280, 2560, channels=384),
    "ssd-1b": Layout(((0, 0), (2, 2), (4, 4)), 2048, 2816),
    "vega": Layout(((0, 0), (1, 1), (2, 2)), 2048, 2816),
    "koala-700m": Layout(((0,), (2,), (5,)), 2048, 2816),
    "koala-1b": Layout(((0,), (2,), (6,)), 2048, 2816),
    "sdxs": Layout(((0,), (1,), (1,)), 768),
    "sdxs-09": Layout(((1,), (1,), (1,)), 1024),
    "lotus": Layout(_SD, 1024, 4),
    "kolors": Layout(_XL, 2048, 5632),
}


class _KolorsUNet(UNetModel):
    """Kolors as custom nodes bring it to the host: SDXL's UNet behind a projection of ChatGLM's text states."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        size = {name: config.get(name) for name in ("dtype", "device")}
        self.encoder_hid_proj = config["operations"].Linear(CHATGLM_WIDTH, config["context_dim"], **size)

    def forward(self, x: Tensor, timesteps: Tensor, context: Tensor, *others: Any, **named: Any) -> Tensor:
        return super().forward(x, timesteps, self.encoder_hid_proj(context), *others, **named)


class _Kolors(comfy.supported_models.SDXL):
    def get_model(self, state_dict: Any, prefix: str = "", device: Any = None) -> Any:
        model = super().get_model(state_dict, prefix, device)
        model.diffusion_model = _unet(self, _KolorsUNet, device)
        return model


def _unet(supported: Any, kind: type[UNetModel] = UNetModel, device: Any = "meta") -> UNetModel:
    return kind(**supported.unet_config, device=device, operations=comfy.ops.disable_weight_init)


@cache
def published_config(base: str) -> dict[str, Any]:
    """The host's configuration of the published UNet, by its own detection of a diffusers file."""
    layout = LAYOUTS[base]
    # The host knows neither Kolors nor every model with more inputs: it is shown what they were made from.
    added = 2816 if base == "kolors" else layout.added
    shapes = {"conv_in.weight": (layout.channels, LATENT_CHANNELS, 3, 3)}
    if added is not None:
        shapes["add_embedding.linear_1.weight"] = (layout.channels * 4, added)
    for stage, depths in enumerate(layout.depths):
        for number, depth in enumerate(depths):
            shapes[f"down_blocks.{stage}.resnets.{number}.conv1.weight"] = (1,)
            for block in range(depth):
                name = f"down_blocks.{stage}.attentions.{number}.transformer_blocks.{block}.attn2.to_k.weight"
                shapes[name] = (1, layout.context_width)
    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    config = comfy.model_detection.unet_config_from_diffusers_unet(tensors)
    return config | {"in_channels": layout.inputs, "adm_in_channels": layout.added}


def published_unet(base: str, channels: int | None = None) -> UNetModel:
    """The host's UNet of a base in its real size or with fewer channels, without memory for its weights."""
    supported = supported_model(base, channels or LAYOUTS[base].channels)
    return _unet(supported, _KolorsUNet if base == "kolors" else UNetModel)


def supported_model(base: str, channels: int = CHANNELS, dtype: torch.dtype = torch.float32) -> Any:
    """The host's configuration object of a base model."""
    config = published_config(base)
    find = comfy.model_detection.model_config_from_unet_config
    supported = _Kolors(config) if base == "kolors" else find(config, {})
    supported.unet_config["model_channels"] = channels
    if channels == CHANNELS and supported.unet_config.get("num_head_channels", -1) > 0:
        supported.unet_config["num_head_channels"] = HEAD_WIDTH
    supported.set_inference_dtype(dtype, None)
    return supported


def empty_model(base: str) -> Any:
    """A MODEL whose weights are yet to be set."""
    cpu = torch.device("cpu")
    # By the spread of this norm the host tells v-prediction models of SD2 from others.
    spread = 1.0 if LAYOUTS[base].is_v_prediction else 0.0
    tensors = {"output_blocks.11.1.transformer_blocks.0.norm1.bias": torch.tensor([spread, -spread])}
    module = supported_model(base).get_model(tensors, device="cpu").eval()
    return comfy.model_patcher.ModelPatcher(module, load_device=cpu, offload_device=cpu)


def random_model(base: str, seed: int = 0) -> Any:
    """A MODEL with random weights in which signals neither vanish nor explode."""
    model = empty_model(base)
    randomise(model.model.diffusion_model, torch.Generator().manual_seed(seed))
    return model


@torch.no_grad()
def randomise(module: nn.Module, generator: torch.Generator) -> None:
    for name, parameter in module.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim > 1:
            parameter.copy_(noise * parameter[0].numel() ** -0.5)
        else:
            parameter.copy_(0.1 * noise + (1.0 if name.endswith("weight") else 0.0))
