"""Other packs' patches at the same cross-attentions, before and after ours, and other attention functions."""

import pytest
import torch
from factories import adapter_tensors, make_adapter, make_prompt, relative_error
from host_support import formula
from host_support.calls import call_at, patches_of
from host_support.sampling import sample
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict
from torch.nn import functional

CHUNKS = [1, 0]
OVERRIDE = "optimized_attention_override"


@pytest.fixture(scope="module")
def tensors(sd15_sites):
    return adapter_tensors(sd15_sites)


@pytest.fixture
def apply(tensors):
    adapter = Adapter.of(TensorDict("test", tensors))
    return lambda model, **settings: host.apply(model, adapter, make_prompt(), host.ApplyOptions(**settings))


@pytest.fixture
def picture(tensors):
    """The image branch of a call at site number n by the formula."""
    tokens = [formula.image_tokens(side, tensors) for side in (make_prompt().positive.pooled, torch.zeros(1, 1024))]

    def of(call, n: int, heads: int):
        chunks = call.options["cond_or_uncond"]
        rows = zip(call.query, chunks, strict=True)
        return torch.stack([formula.image_row(q, tokens[side], torch.ones(4), tensors, n, heads) for q, side in rows])

    return of


class Foreign:
    """A replacement of another pack, which notes that it was called and takes text and query into account."""

    def __init__(self) -> None:
        self.calls = 0

    def __deepcopy__(self, memo):
        return self

    def __call__(self, query, key, value, options):
        self.calls += 1
        return 0.5 * query + value.mean(dim=1, keepdim=True) - key.mean(dim=1, keepdim=True)


@pytest.mark.parametrize("key", [("input", 4), ("input", 4, 0)], ids=["whole block", "one depth"])
def test_a_function_already_there_becomes_the_base(sd15, sd15_sites, apply, picture, key):
    foreign, n = Foreign(), 2
    model = sd15.clone()
    model.set_model_attn2_replace(foreign, *key)
    patched = apply(model)
    call = call_at(sd15_sites[n], CHUNKS)
    assert sd15_sites[n].block == ("input", 4, 0)
    expected = foreign(call.query, call.key, call.value, call.options) + picture(call, n, sd15_sites[n].heads)
    assert relative_error(call.of(patches_of(patched)["input", 4, 0]), expected) <= 1e-5
    foreign.calls = 0
    results = [sample(each, steps=2) for each in (patched, model, apply(sd15))]
    assert foreign.calls == 2 + 2, "once per evaluation in both models that hold it"
    assert all(relative_error(results[0], other) > 0.01 for other in results[1:])


def test_a_function_for_a_whole_block_becomes_the_base_at_every_depth(sdxl, sdxl_sites):
    foreign = Foreign()
    model = sdxl.clone()
    model.set_model_attn2_replace(foreign, "input", 7)
    patched = host.apply(model, make_adapter(sdxl_sites), make_prompt(), host.ApplyOptions())
    sample(patched, steps=1)
    assert foreign.calls == len([site for site in sdxl_sites if site.block[:2] == ("input", 7)]) == 10


def test_two_adapters_keep_the_foreign_base_once(sd15, apply, picture, sd15_sites):
    foreign, n = Foreign(), 15
    model = sd15.clone()
    model.set_model_attn2_replace(foreign, "middle", 0)
    patched = apply(apply(model, weight=0.5), weight=0.25)
    call = call_at(sd15_sites[n], CHUNKS)
    expected = foreign(call.query, call.key, call.value, call.options) + 0.75 * picture(call, n, sd15_sites[n].heads)
    assert relative_error(call.of(patches_of(patched)["middle", 0, 0]), expected) <= 1e-5


def test_a_pack_that_comes_later_gets_ours_as_its_base(sd15, sd15_sites, apply, picture):
    n = 2
    key, heads = sd15_sites[n].block, sd15_sites[n].heads
    model = apply(sd15).clone()
    found = patches_of(model).get(key, patches_of(model).get(key[:2]))
    model.set_model_attn2_replace(lambda q, k, v, options: 2.0 * found(q, k, v, options), *key)
    call = call_at(sd15_sites[n], CHUNKS)
    rows = zip(call.query, call.key, call.value, strict=True)
    text = torch.stack([formula.attention(*row, heads) for row in rows])
    stacked = 2.0 * (text + picture(call, n, heads))
    assert relative_error(call.of(patches_of(model)[key]), stacked) <= 1e-5
    again = apply(model, weight=0.5)
    assert relative_error(call.of(patches_of(again)[key]), stacked + 0.5 * picture(call, n, heads)) <= 1e-5


def _recorded(model, **arguments) -> list[tuple]:
    """Shapes of query and key of every attention the host runs in one evaluation, through its own override."""
    seen = []

    def override(function, query, key, value, *others, **options):
        assert key.shape[0] == value.shape[0] == query.shape[0], "some attention functions do not broadcast"
        seen.append((tuple(query.shape), tuple(key.shape)))
        return function(query, key, value, *others, **options)

    model = model.clone()
    model.model_options["transformer_options"][OVERRIDE] = override
    sample(model, steps=1, **arguments)
    return seen


@pytest.mark.parametrize("mask", [None, torch.eye(16)[None]], ids=["whole picture", "masked"])
def test_the_override_sees_text_attention_as_without_the_adapter_and_never_image_tokens(sd15, sd15_sites, apply, mask):
    expected = _recorded(sd15)
    given = _recorded(apply(apply(sd15), mask=mask))
    assert len(expected) == 2 * len(sd15_sites)
    assert given == expected


def test_the_override_may_replace_the_text_attention(sd15, sd15_sites, apply, picture):
    n = 2
    call = call_at(sd15_sites[n], CHUNKS)
    call.options[OVERRIDE] = lambda function, query, *others, **options: torch.full_like(query, 3.0)
    given = call.of(patches_of(apply(sd15))[sd15_sites[n].block])
    assert relative_error(given, 3.0 + picture(call, n, sd15_sites[n].heads)) <= 1e-5


def test_the_text_attention_is_told_what_the_host_would_tell_it(sd15, sd15_sites, apply):
    site, heard = sd15_sites[2], []
    call = call_at(site, CHUNKS)

    def override(function, query, key, value, heads, **options):
        heard.append((heads, options["attn_precision"], options["transformer_options"]))
        return function(query, key, value, heads, **options)

    call.options.update({OVERRIDE: override, "attn_precision": torch.float32, "from another pack": "kept"})
    call.of(patches_of(apply(sd15))[site.block])
    assert [(heads, precision) for heads, precision, _ in heard] == [(site.heads, torch.float32)]
    assert dict(heard[0][2]) == call.options


@pytest.mark.parametrize("chunks", [[0], [1], [1, 0], [0, 1], [1, 0, 0]], ids=str)
def test_the_image_attention_does_not_rely_on_broadcasting(sd15, sd15_sites, apply, monkeypatch, chunks):
    plain, calls = functional.scaled_dot_product_attention, []

    def strict(query, key, value, *others, **options):
        assert key.shape[:2] == value.shape[:2] == query.shape[:2]
        calls.append(key.shape)
        return plain(query, key, value, *others, **options)

    patch = patches_of(apply(sd15))[sd15_sites[2].block]
    monkeypatch.setattr(functional, "scaled_dot_product_attention", strict)
    call_at(sd15_sites[2], chunks, batch=2).of(patch)
    assert [shape[-2] for shape in calls if shape[-2] == 4] == [4], "one image attention of four tokens"
