"""The demo model class, which the host's standard checkpoint loader recognises by its shapes."""

from __future__ import annotations

from typing import Any, ClassVar

import comfy.supported_models
from comfy import latent_formats, model_base, supported_models_base

from .text_encoder import WIDTH, DemoClipModel, DemoTokenizer
from .vae import padded

UNET: dict[str, Any] = {
    "image_size": 16,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 64,
    "channel_mult": [1, 2, 2],
    "num_res_blocks": [1, 1, 1],
    "transformer_depth": [0, 1, 1],
    "transformer_depth_output": [0, 0, 1, 1, 1, 1],
    "transformer_depth_middle": 1,
    "num_head_channels": 32,
    "use_linear_in_transformer": True,
    "context_dim": WIDTH,
    "use_spatial_transformer": True,
    "legacy": False,
}
SCHEDULE = {"linear_start": 0.00085, "linear_end": 0.03}  # the usual end leaves the mean colour readable in the noise


class DemoLatent(latent_formats.LatentFormat):
    scale_factor = 1.0
    latent_channels = 4
    taesd_decoder_name = None


class DemoModel(supported_models_base.BASE):
    unet_config: ClassVar[dict[str, Any]] = {
        "model_channels": UNET["model_channels"],
        "context_dim": UNET["context_dim"],
        "use_linear_in_transformer": True,
        "adm_in_channels": None,
        "use_temporal_attention": False,
    }
    unet_extra_config: ClassVar[dict[str, Any]] = {"num_heads": -1, "num_head_channels": UNET["num_head_channels"]}
    sampling_settings: ClassVar[dict[str, Any]] = SCHEDULE
    latent_format = DemoLatent
    memory_usage_factor = 1.0

    def model_type(self, state_dict: Any, prefix: str = "") -> Any:
        return model_base.ModelType.V_PREDICTION

    def process_vae_state_dict(self, state_dict: Any) -> Any:
        return padded(state_dict)

    def clip_target(self, state_dict: Any = None) -> Any:
        return supported_models_base.ClipTarget(DemoTokenizer, DemoClipModel)


def register() -> None:
    """Adds the demo class to those the host tries, once."""
    known = comfy.supported_models.models
    if not any(model.__name__ == DemoModel.__name__ for model in known):
        known.append(DemoModel)
