"""Every site against decoupled cross-attention written out by hand, for every order of rows and set of pictures."""

from dataclasses import replace

import pytest
import torch
from factories import adapter_tensors, make_prompt, relative_error
from host_support import formula
from host_support.calls import call_at, patches_of
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict
from ip_adapter_nodes.ip_adapter.prompts.combine import Combine
from ip_adapter_nodes.ip_adapter.prompts.prompt import ImagePrompt
from torch import Tensor

WEIGHT = 0.7
PATTERNS = [[0], [1], [0, 1], [1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 1]]
PROMPTS = {
    "one picture": make_prompt(1),
    "one picture, its weight 0.4": replace(make_prompt(1), weights=(0.4,)),
    "two pictures": replace(make_prompt(2), weights=(1.0, 0.3)),
    "three pictures": replace(make_prompt(3), weights=(0.2, -0.5, 2.0)),
    "two pictures against three": replace(make_prompt(2, negatives=3), weights=(1.0, 0.3)),
    "three pictures against two": make_prompt(3, negatives=2),
    "average of three": replace(make_prompt(3, combine=Combine.AVERAGE), weights=(1.0, 0.5, 2.0)),
    "average of two against three": replace(make_prompt(2, negatives=3, combine=Combine.AVERAGE), weights=(1.0, 0.5)),
}


@pytest.fixture(scope="module")
def tensors(sd15_sites):
    return adapter_tensors(sd15_sites)


def _sides(prompt: ImagePrompt, tensors: dict[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Tokens and their strengths by the host's label: 0 is the positive side, 1 the negative."""
    weights = torch.tensor(prompt.weights)
    positive, strengths = prompt.positive.pooled, weights.repeat_interleave(4)
    negative = torch.zeros(1, 1024) if prompt.negative is None else prompt.negative.pooled
    if prompt.combine is Combine.AVERAGE:
        positive = (weights @ positive / weights.sum())[None]
        strengths, negative = weights.mean().expand(4), negative.mean(dim=0, keepdim=True)
    tokens = [formula.image_tokens(side, tensors) for side in (positive, negative)]
    return [(tokens[0], strengths), (tokens[1], weights.mean().expand(len(tokens[1])))]


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
@pytest.mark.parametrize("chunks", PATTERNS, ids=str)
def test_every_site_equals_the_formula(sd15, sd15_sites, tensors, chunks, prompt):
    model = host.apply(sd15, Adapter.of(TensorDict("test", tensors)), prompt, host.ApplyOptions(weight=WEIGHT))
    sides, patches = _sides(prompt, tensors), patches_of(model)
    for n, site in enumerate(sd15_sites):
        for batch in (1, 3):
            call = call_at(site, chunks, batch, seed=n)
            expected = []
            for row, (query, key, value) in enumerate(zip(call.query, call.key, call.value, strict=True)):
                text = formula.attention(query, key, value, site.heads)
                picture = formula.image_row(query, *sides[chunks[row // batch]], tensors, n, site.heads)
                expected.append(text + WEIGHT * picture)
            assert relative_error(call.of(patches[site.block]), torch.stack(expected)) <= 1e-5, (site.name, batch)


def test_the_sides_differ_enough_to_be_told_apart(sd15, sd15_sites, tensors):
    """Rows of the wrong side would not stay within the tolerance of the test above."""
    prompt = PROMPTS["two pictures"]
    model = host.apply(sd15, Adapter.of(TensorDict("test", tensors)), prompt, host.ApplyOptions(weight=WEIGHT))
    for site in sd15_sites:
        patch = patches_of(model)[site.block]
        positive, negative = (call_at(site, chunks).of(patch) for chunks in ([0], [1]))
        assert relative_error(positive, negative) > 0.01


def test_a_guider_with_more_lists_gets_the_positive_side(sd15, sd15_sites, tensors):
    model = host.apply(sd15, Adapter.of(TensorDict("test", tensors)), make_prompt(), host.ApplyOptions())
    for site in sd15_sites:
        patch = patches_of(model)[site.block]
        mixed = call_at(site, [2, 1, 0, 3])
        as_positive = replace(mixed, options=mixed.options | {"cond_or_uncond": [0, 1, 0, 0]})
        assert torch.equal(mixed.of(patch), as_positive.of(patch))
