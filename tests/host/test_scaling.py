"""Where the weight enters, in the patched attention of a real model."""

from dataclasses import replace

import pytest
import torch
from factories import adapter_tensors, make_prompt, relative_error
from host_support import formula
from host_support.calls import call_at, patches_of
from host_support.sampling import sample
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.attention.scaling import Scaling
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict
from ip_adapter_nodes.nodes.apply import ApplyIPAdapter

PROMPT = replace(make_prompt(2), weights=(1.0, 0.4))
WEIGHT = 0.7


@pytest.fixture(scope="module")
def tensors(sd15_sites):
    return adapter_tensors(sd15_sites)


def applied(model, tensors, prompt=PROMPT, weight=WEIGHT, **settings):
    choice = {"start_percent": 0.0, "end_percent": 1.0, "weight_type": "linear"} | settings
    return ApplyIPAdapter.execute(
        model, Adapter.of(TensorDict("test", tensors)), prompt, weight=weight, **choice
    ).result[0]


@pytest.mark.parametrize("how", Scaling)
def test_every_site_equals_the_formula(sd15, sd15_sites, tensors, how):
    patches = patches_of(applied(sd15, tensors, embeds_scaling=how.value))
    tokens = formula.image_tokens(PROMPT.positive.pooled, tensors)
    for n, site in enumerate(sd15_sites):
        call = call_at(site, [0], seed=n)
        weights = WEIGHT * torch.tensor(PROMPT.weights).repeat_interleave(4)
        if how is Scaling.PENALISED:
            weights = weights * site.width / 1280
        key, value = (tokens @ tensors[f"ip_adapter.{2 * n + 1}.to_{x}_ip.weight"].T for x in "kv")
        key = key if how is Scaling.VALUES else key * weights[:, None]
        text = formula.attention(call.query[0], call.key[0], call.value[0], site.heads)
        picture = formula.attention(call.query[0], key, value * weights[:, None], site.heads)
        assert relative_error(call.of(patches[site.block])[0], text + picture) <= 1e-5, site.name


def test_the_default_is_the_papers(sd15, tensors):
    assert torch.equal(
        sample(applied(sd15, tensors), steps=1), sample(applied(sd15, tensors, embeds_scaling="V only"), steps=1)
    )


@pytest.mark.parametrize("how", Scaling)
def test_weight_zero_is_the_bare_model(sd15, tensors, how):
    silent = replace(PROMPT, weights=(0.0, 0.0))
    for given in (applied(sd15, tensors, weight=0.0, embeds_scaling=how.value), applied(sd15, tensors, silent)):
        assert torch.equal(sample(given, steps=1), sample(sd15, steps=1))
