"""What the negative side sees, in real runs: nothing at all, what was chosen, and no tokens without guidance."""

from dataclasses import replace

import pytest
import torch
from factories import adapter_tensors, make_adapter, make_features, make_prompt, relative_error
from host_support import formula
from host_support.calls import call_at, patches_of
from host_support.sampling import sample
from host_support.spy import Spy
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict
from ip_adapter_nodes.ip_adapter.host import patches as injection
from ip_adapter_nodes.ip_adapter.prompts.negative import Negative
from torch.profiler import ProfilerActivity, profile

KINDS = pytest.mark.parametrize("kind", ["standard", "plus"])
NONE = replace(make_prompt(2), negative_kind=Negative.NONE, weights=(1.0, 0.4))
PATTERNS = [[0], [1], [0, 1], [1, 0], [1, 0, 0], [0, 1, 1]]

pytestmark = pytest.mark.filterwarnings("default::UserWarning:torch.profiler")


def applied(model, sites, prompt, kind="standard", **settings):
    return host.apply(model, make_adapter(sites, kind), prompt, host.ApplyOptions(**settings))


@KINDS
@pytest.mark.parametrize("chunks", PATTERNS, ids=str)
def test_none_leaves_the_negative_rows_bitwise_to_the_text(sd15, sd15_sites, kind, chunks):
    model, shown = (
        applied(sd15, sd15_sites, prompt, kind) for prompt in (NONE, replace(NONE, negative_kind=Negative.AUTO))
    )
    for n, site in enumerate(sd15_sites):
        call = call_at(site, chunks, batch=2, seed=n)
        out, seen = (call.of(patches_of(patched)[site.block]) for patched in (model, shown))
        for row, side in enumerate(side for side in chunks for _ in range(2)):
            one = call_at(site, chunks, batch=2, seed=n)
            text = one.of(patches_of(model)[site.block].base)[row]
            assert torch.equal(out[row], text) == (side == 1)
            assert torch.equal(out[row], seen[row]) == (side == 0)


@KINDS
def test_none_is_finite_and_guides_with_the_pictures(sd15, sd15_sites, kind):
    bare, latents = (sample(model, steps=1) for model in (sd15, applied(sd15, sd15_sites, NONE, kind)))
    assert latents.isfinite().all()
    assert relative_error(latents, bare) > 1e-3


def test_none_costs_no_more_than_a_zero_embedding(sd15, sd15_sites):
    counts = []
    for kind in (Negative.ZERO_EMBEDDING, Negative.NONE):
        model = applied(sd15, sd15_sites, replace(make_prompt(), negative_kind=kind))
        sample(model, steps=1)
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            sample(model, steps=1)
        counts.append(sum(event.name.startswith("aten::") for event in profiler.events()))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("kind", [Negative.ZERO_EMBEDDING, Negative.ZERO_PICTURE, "pictures"])
def test_negative_rows_attend_to_what_was_chosen(sd15, sd15_sites, kind):
    """Against the formula, with the standard adapter's features by hand."""
    prompt, tensors = make_prompt(), adapter_tensors(sd15_sites)
    if kind == "pictures":
        prompt, features = replace(prompt, negative=make_features(1, 30)), make_features(1, 30).pooled
    else:
        features = prompt.zero_picture.pooled if kind is Negative.ZERO_PICTURE else torch.zeros(1, 1024)
        prompt = replace(prompt, negative_kind=kind)
    model = host.apply(sd15, Adapter.of(TensorDict("test", tensors)), prompt, host.ApplyOptions())
    tokens = formula.image_tokens(features, tensors)
    for n, site in enumerate(sd15_sites[::5]):
        call = call_at(site, [1], seed=n)
        text = formula.attention(call.query[0], call.key[0], call.value[0], site.heads)
        picture = formula.image_row(call.query[0], tokens, torch.ones(4), tensors, sd15_sites.index(site), site.heads)
        assert relative_error(call.of(patches_of(model)[site.block])[0], text + picture) <= 1e-5


@pytest.fixture
def attended(monkeypatch):
    """Shapes of the keys of every image attention."""
    shapes, attention = [], injection.image_attention

    def listening(query, key, value):
        shapes.append((len(query), tuple(key.shape)))
        return attention(query, key, value)

    monkeypatch.setattr(injection, "image_attention", listening)
    return shapes


@pytest.mark.parametrize(("cfg", "sides"), [(1.0, 1), (5.0, 2)])
def test_without_guidance_no_negative_tokens_are_attended_to(sd15, sd15_sites, attended, cfg, sides):
    sample(applied(sd15, sd15_sites, make_prompt(2)), steps=2, cfg=cfg)
    assert len(attended) == 2 * len(sd15_sites)
    assert {(rows, keys[0], keys[2]) for rows, keys in attended} == {(2 * sides, sides, 8)}


def test_without_guidance_the_negative_side_changes_nothing(sd15, sd15_sites):
    spy, outs = Spy(), []
    for prompt in (make_prompt(), NONE, make_prompt(negatives=1)):
        prompt = replace(prompt, positive=make_prompt().positive, weights=(1.0,))
        outs.append(sample(spy.on(applied(sd15, sd15_sites, prompt)), steps=1, cfg=1.0))
    assert {tuple(call.options["cond_or_uncond"]) for _, call, _ in spy.calls} == {(0,)}
    assert torch.equal(outs[0], outs[1])
    assert torch.equal(outs[0], outs[2])
