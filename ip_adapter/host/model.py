"""ComfyUI's objects as far as we use them: the types of what comes in on its wires, and what a plan asks of a model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..applying.plan import ModelFacts
from ..bases.backbone import Site
from ..bases.backbones import find_sites
from ..bases.base_models import family_of
from ..errors import WrongBaseError

Wrapper = Callable[..., Any]


class HostNetwork(Protocol):
    """`comfy.model_base.BaseModel`: the network with its latents' scale and its noise schedule."""

    diffusion_model: nn.Module
    model_type: Any  # an enumeration of what it predicts
    model_config: Any
    model_sampling: Any
    adm_channels: int  # 0 for a base that reads no vector of pooled text and sizes

    def get_dtype(self) -> torch.dtype: ...

    def process_latent_in(self, latent: Tensor) -> Tensor: ...

    def process_latent_out(self, latent: Tensor) -> Tensor: ...

    def encode_adm(self, **facts: Any) -> Tensor: ...


class HostModel(Protocol):
    """`comfy.model_patcher.ModelPatcher`: what is on a MODEL wire."""

    model: HostNetwork
    model_options: dict[str, Any]

    def clone(self, **options: bool) -> "HostModel": ...

    def get_model_object(self, name: str) -> Any: ...

    def set_model_attn2_replace(self, patch: Any, block_name: str, number: int, transformer_index: int) -> None: ...

    def get_wrappers(self, wrapper_type: str, key: str) -> Sequence[Wrapper]: ...

    def add_wrapper_with_key(self, wrapper_type: str, key: str, wrapper: Wrapper) -> None: ...

    def remove_wrappers_with_key(self, wrapper_type: str, key: str) -> None: ...

    def add_callback_with_key(self, call_type: str, key: str, callback: Wrapper) -> None: ...

    def remove_callbacks_with_key(self, call_type: str, key: str) -> None: ...

    def get_attachment(self, key: str) -> Any: ...

    def set_attachments(self, key: str, attachment: Any) -> None: ...

    def add_patches(self, patches: Mapping[str, Any], strength_patch: float = 1.0) -> Sequence[str]: ...


class HostClipVision(Protocol):
    """`comfy.clip_vision.ClipVisionModel`: what is on a CLIP_VISION wire."""

    model: Callable[..., Any]
    patcher: Any
    load_device: torch.device

    def encode_image(self, image: Tensor, crop: bool = True) -> Any: ...


class HostClip(Protocol):
    """`comfy.sd.CLIP`: what is on a CLIP wire."""

    cond_stage_model: nn.Module

    def tokenize(self, text: str) -> Any: ...

    def encode_from_tokens(self, tokens: Any, return_pooled: bool | str = False) -> Any: ...

    def encode_from_tokens_scheduled(self, tokens: Any) -> list[Any]: ...


class HostVae(Protocol):
    """`comfy.sd.VAE`: what is on a VAE wire; pictures (n, height, width, 3) in [0, 1]."""

    def encode(self, pixel_samples: Tensor) -> Tensor: ...

    def decode(self, samples_in: Tensor) -> Tensor: ...


def network_of(model: HostModel) -> nn.Module:
    """What runs at each step: the UNet or transformer."""
    return model.get_model_object("diffusion_model")


def facts_of(model: HostModel) -> ModelFacts:
    """What a plan asks of the model."""
    network = network_of(model)
    return ModelFacts(
        sites=find_sites(network),
        family=family_of(network),
        to_sigma=lambda percent: model.get_model_object("model_sampling").percent_to_sigma(percent),
        projects_text=text_projection(network) is not None,
    )


def text_projection(network: nn.Module) -> nn.Linear | None:
    """Kolors' projection of its text to the width of its cross-attentions; None for other models."""
    return getattr(network, "encoder_hid_proj", None)


def sites_of(model: HostModel) -> tuple[Site, ...]:
    """All cross-attentions of the model. Raises WrongBaseError for a model that has none."""
    sites = find_sites(network_of(model))
    if not sites:
        raise WrongBaseError("The connected model has no UNet cross-attention (it may be Flux). Connect another.")
    return sites
