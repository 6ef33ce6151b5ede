"""What the comparison with diffusers would notice: a site left out, and two sites exchanged."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pytest
import torch
from factories import adapter_tensors, make_prompt, relative_error
from host_support.sampling import noise_of, sample
from host_support.small_models import random_model
from host_support.spy import Spy
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.bases.backbone import Site
from ip_adapter_nodes.ip_adapter.bases.backbones import find_sites
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict
from torch import Tensor

LATENTS = 1e-4  # the relative tolerance of test_parity_diffusers
# Positions in published order, of large models one or more of each part.
CHOSEN = {
    "sd15": range(16),
    "vega": range(15),
    "ssd-1b": range(34),
    "sdxl-refiner": [0, 15, 27, 40, 43],
    "sdxl": [0, 13, 33, 59, 60, 69],
}


@dataclass(frozen=True)
class Case:
    """A model, and the tensors of an adapter file for it."""

    model: Any
    sites: tuple[Site, ...]
    chosen: list[int]
    tensors: dict[str, Tensor]

    def applied(self, changed: dict[str, Tensor]) -> Any:
        adapter = Adapter.of(TensorDict("test", self.tensors | changed))
        return host.apply(self.model, adapter, make_prompt(), host.ApplyOptions())

    @cached_property
    def latents(self) -> Tensor:
        return _latents(self.applied({}))

    def error_with(self, changed: dict[str, Tensor]) -> float:
        """How far the latents move when the file has some other tensors."""
        return relative_error(_latents(self.applied(changed)), self.latents)


def _latents(model: Any) -> Tensor:
    return sample(model, noise=noise_of(1), steps=1, cfg=1.0)


def _name(n: int, matrix: str) -> str:
    return f"ip_adapter.{2 * n + 1}.to_{matrix}_ip.weight"


@pytest.fixture(scope="module", params=CHOSEN)
def case(request) -> Case:
    with torch.inference_mode():
        model = random_model(request.param)
    sites = find_sites(model.model.diffusion_model)
    return Case(model, sites, list(CHOSEN[request.param]), adapter_tensors(sites))


def test_every_site_is_called(case):
    spy = Spy()
    _latents(spy.on(case.applied({})))
    assert sorted(block for block, _, _ in spy.calls) == sorted(site.block for site in case.sites)


def test_leaving_out_any_site_would_be_noticed(case):
    for n in case.chosen:
        nothing = torch.zeros_like(case.tensors[_name(n, "v")])
        assert case.error_with({_name(n, "v"): nothing}) > 10 * LATENTS, case.sites[n].name


def test_exchanging_two_sites_would_be_noticed(case):
    for n in case.chosen[::3]:
        alike = [m for m, site in enumerate(case.sites) if site.width == case.sites[n].width and m != n]
        other = min(alike, key=lambda m: abs(m - n))
        pairs = [(_name(here, x), _name(there, x)) for here, there in ((n, other), (other, n)) for x in "kv"]
        exchanged = {here: case.tensors[there] for here, there in pairs}
        assert case.error_with(exchanged) > 10 * LATENTS, (case.sites[n].name, case.sites[other].name)
