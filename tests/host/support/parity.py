"""One base, one adapter file and one set of inputs, in the host with our adapter and in diffusers with its own."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from factories import make_prompt, site_tensors
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.bases.backbone import Site
from ip_adapter_nodes.ip_adapter.bases.backbones import find_sites
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict
from ip_adapter_nodes.ip_adapter.prompts.prompt import ImagePrompt
from ip_adapter_nodes.models.linear import LinearConfig, LinearProjector
from ip_adapter_nodes.models.resampler import Resampler, ResamplerConfig
from torch import Tensor
from torch.nn import functional

from nodes import InpaintModelConditioning  # the host's

from .autoencoder import CELL, CellAutoencoder
from .diffusers_twin import Inputs, denoise, load_adapter, pair
from .sampling import noise_of, sample, text
from .small_models import LAYOUTS

WEIGHT = 0.8


@dataclass(frozen=True)
class Twin:
    """What diffusers makes of an adapter without and with it, and all that the host needs to do the same."""

    model: Any
    tensors: dict[str, Tensor]
    prompt: ImagePrompt
    inputs: Inputs
    bare: Tensor
    patched: Tensor

    @classmethod
    def of(cls, base: str, kind: str) -> "Twin":
        model, unet = pair(base)
        tensors, prompt = _tensors(find_sites(model.model.diffusion_model), kind), make_prompt(pictures=2)
        inputs = _inputs(model, base)
        prediction = "v_prediction" if LAYOUTS[base].is_v_prediction else "epsilon"
        bare = denoise(unet, inputs, None, prediction=prediction)
        load_adapter(unet, tensors, WEIGHT)
        patched = denoise(unet, inputs, _pictures(prompt, kind), prediction=prediction)
        return cls(model, tensors, prompt, inputs, bare, patched)

    @property
    def sites(self) -> tuple[Site, ...]:
        return find_sites(self.model.model.diffusion_model)

    @cached_property
    def host_bare(self) -> Tensor:
        return self._sample(self.model, 4)

    @cached_property
    def host_patched(self) -> Tensor:
        return self.sample(self.tensors)

    def sample(self, tensors: dict[str, Tensor], steps: int = 4) -> Tensor:
        adapter = Adapter.of(TensorDict("twin", tensors))
        return self._sample(host.apply(self.model, adapter, self.prompt, host.ApplyOptions(weight=WEIGHT)), steps)

    def _sample(self, model: Any, steps: int) -> Tensor:
        texts = {"positive": self.inputs.positive, "negative": self.inputs.negative}
        return model.model.process_latent_in(sample(model, noise=self.inputs.noise, steps=steps, **texts))


def _tensors(sites: tuple[Site, ...], kind: str) -> dict[str, Tensor]:
    width = sites[0].context_width
    module = LinearProjector(LinearConfig(1024, 4, width))
    if kind == "plus":
        module = Resampler(ResamplerConfig(1280, 16, width, inner_width=128, heads=2))
    projector = {f"image_proj.{name}": tensor.detach() for name, tensor in module.state_dict().items()}
    return projector | site_tensors(sites, torch.Generator().manual_seed(1))


def _pictures(prompt: ImagePrompt, kind: str) -> tuple[Tensor, Tensor]:
    """Negative and positive features in the form diffusers takes, the reference's choice of negative for each kind."""
    if kind == "standard":
        return torch.zeros_like(prompt.positive.pooled), prompt.positive.pooled
    positive = prompt.positive.penultimate
    return prompt.zero_picture.penultimate.expand_as(positive), positive


def _inputs(model: Any, base: str) -> Inputs:
    noise, positive, negative = noise_of(), text(model, 2), text(model, 3)
    if LAYOUTS[base].inputs != 9:
        return Inputs(noise, positive, negative)
    generator = torch.Generator().manual_seed(4)
    size = [side * CELL for side in noise.shape[-2:]]
    pixels = torch.rand(1, *size, 3, generator=generator)
    mask = torch.zeros(1, *size)
    mask[:, : size[0] // 2, CELL:] = 1.0
    node = InpaintModelConditioning()
    positive, negative, _ = node.encode(positive, negative, pixels, CellAutoencoder(), mask, noise_mask=False)
    masked = torch.where(mask[..., None] > 0, 0.5, pixels)
    latents = model.model.process_latent_in(CellAutoencoder().encode(masked))
    cells = functional.max_pool2d(mask[:, None], CELL)
    return Inputs(noise, positive, negative, torch.cat([cells, latents], dim=1).repeat(len(noise), 1, 1, 1))
