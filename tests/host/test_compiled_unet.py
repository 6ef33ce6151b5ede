"""A UNet, or a part of one, behind torch.compile: its sites are found, and an adapter applied to it does the same."""

import operator

import pytest
import torch
from factories import make_adapter, make_prompt
from host_support.calls import patches_of
from host_support.sampling import noise_of, sample
from host_support.small_models import published_unet
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.bases.backbones import find_sites
from ip_adapter_nodes.ip_adapter.bases.base_models import family_of
from ip_adapter_nodes.models.facts import BaseModel
from torch import nn

# Where other nodes put it: blocks of the UNet, a list of layers inside, or a single transformer block.
PARTS = ["input_blocks.4", "middle_block", "output_blocks.3.1", "input_blocks.7.1.transformer_blocks.0"]


def _compiled(module: nn.Module) -> nn.Module:
    return torch.compile(module, backend="eager")


@pytest.mark.parametrize("part", PARTS)
def test_sites_are_found_where_a_part_is_compiled(part):
    unet = published_unet("sdxl")
    expected = find_sites(unet)
    outer, _, name = part.rpartition(".")
    setattr(operator.attrgetter(outer)(unet) if outer else unet, name, _compiled(unet.get_submodule(part)))
    assert f"{part}._orig_mod" in dict(unet.named_modules())
    assert find_sites(unet) == expected


@pytest.mark.parametrize(("base", "family"), [("sdxl", BaseModel.SDXL), ("kolors", BaseModel.KOLORS), ("sd15", None)])
def test_the_family_is_known_behind_the_compiler(base, family):
    unet = published_unet(base)
    assert family_of(unet) is family
    assert family_of(_compiled(unet)) is family


def test_an_adapter_works_in_a_compiled_unet(sd15, sd15_sites):
    """Without the tracing, which takes a minute; test_compile.py has the patch itself traced."""
    compiled, settings = sd15.clone(), host.ApplyOptions(weight=0.7)
    compiled.add_object_patch("diffusion_model", _compiled(sd15.model.diffusion_model))
    with torch.compiler.set_stance("force_eager"):
        applied = [host.apply(model, make_adapter(sd15_sites), make_prompt(), settings) for model in (sd15, compiled)]
        expected, given, bare = (sample(model, noise=noise_of(1), steps=1) for model in (*applied, compiled))
    assert len(patches_of(applied[1])) == 16
    assert torch.equal(given, expected)
    assert not torch.equal(given, bare)
