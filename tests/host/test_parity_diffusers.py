"""The same random weights in the host with our adapter and in diffusers with its own: the same latents."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest
import torch
from factories import make_prompt, relative_error, site_tensors
from host_support.diffusers_twin import denoise, load_adapter, pair
from host_support.sampling import noise_of, sample, text
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.checkpoint import TensorDict
from ip_adapter_nodes.ip_adapter.prompt import ImagePrompt
from ip_adapter_nodes.ip_adapter.sites import Site, find_sites
from ip_adapter_nodes.models.linear import LinearConfig, LinearProjector
from ip_adapter_nodes.models.resampler import Resampler, ResamplerConfig
from torch import Tensor

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning:diffusers")
WEIGHT = 0.8
LATENTS, EFFECT = 1e-4, 1e-3  # relative tolerances of the issue


@dataclass(frozen=True)
class Case:
    """One base and kind: the host's model, the adapter file's tensors, and what diffusers makes of both."""

    model: Any
    tensors: dict[str, Tensor]
    prompt: ImagePrompt
    bare: Tensor
    patched: Tensor

    @cached_property
    def host_bare(self) -> Tensor:
        return self.model.model.process_latent_in(sample(self.model))

    @cached_property
    def host_patched(self) -> Tensor:
        return self.sample(self.tensors)

    def sample(self, tensors: dict[str, Tensor]) -> Tensor:
        adapter = Adapter.of(TensorDict("twin", tensors))
        model = host.apply(self.model, adapter, self.prompt, host.Settings(weight=WEIGHT))
        return self.model.model.process_latent_in(sample(model))


def _tensors(model: Any, kind: str) -> dict[str, Tensor]:
    sites = find_sites(model.model.diffusion_model)
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


@pytest.fixture(scope="module", params=["sd15-standard", "sd15-plus", "sdxl-standard", "sdxl-plus"])
def case(request) -> Case:
    base, kind = request.param.split("-")
    with torch.inference_mode():
        model, unet = pair(base)
        tensors, prompt = _tensors(model, kind), make_prompt(pictures=2)
        inputs = noise_of(), text(model, 2), text(model, 3)
        bare = denoise(unet, *inputs, None)
        load_adapter(unet, tensors, WEIGHT)
        patched = denoise(unet, *inputs, _pictures(prompt, kind))
    return Case(model, tensors, prompt, bare, patched)


def test_latents_of_the_bare_model_equal_those_of_diffusers(case):
    assert relative_error(case.host_bare, case.bare) <= LATENTS


def test_latents_equal_those_of_diffusers(case):
    assert relative_error(case.host_patched, case.patched) <= LATENTS


def test_the_effect_of_the_pictures_equals_that_in_diffusers(case):
    effect, expected = case.host_patched - case.host_bare, case.patched - case.bare
    assert relative_error(case.patched, case.bare) > 0.1, "the pictures must matter for this comparison to say anything"
    assert relative_error(effect, expected) <= EFFECT


def _chosen(sites: tuple[Site, ...]) -> list[int]:
    """Positions in published order: all of SD1.5; of SDXL one of each part and two of the middle."""
    return list(range(16)) if len(sites) == 16 else [13, 33, 60, 69]


standard = pytest.mark.parametrize("case", ["sd15-standard", "sdxl-standard"], indirect=True)


@standard
def test_leaving_out_any_site_would_be_noticed(case):
    sites = find_sites(case.model.model.diffusion_model)
    for n in _chosen(sites):
        name = f"ip_adapter.{2 * n + 1}.to_v_ip.weight"
        without = case.tensors | {name: torch.zeros_like(case.tensors[name])}
        assert relative_error(case.sample(without), case.patched) > 10 * LATENTS, sites[n].name


@standard
def test_swapping_two_sites_would_be_noticed(case):
    sites = find_sites(case.model.model.diffusion_model)
    for n in _chosen(sites):
        alike = [m for m, site in enumerate(sites) if site.width == sites[n].width and m != n]
        other = min(alike, key=lambda m: abs(m - n))
        swapped = dict(case.tensors)
        for matrix in ("to_k_ip", "to_v_ip"):
            here, there = (f"ip_adapter.{2 * m + 1}.{matrix}.weight" for m in (n, other))
            swapped[here], swapped[there] = case.tensors[there], case.tensors[here]
        assert relative_error(case.sample(swapped), case.patched) > 10 * LATENTS, (sites[n].name, sites[other].name)
