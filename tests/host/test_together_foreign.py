"""A pack that puts functions of its own at our cross-attentions, as other packs do, before and after ours."""

import logging

import pytest
import torch
from factories import relative_error
from host_support import formula
from host_support.calls import call_at, patches_of
from host_support.oracle import Oracle
from host_support.sampling import sample
from host_support.state import digests

KEYS = {"a whole block": ("input", 4), "one depth": ("input", 4, 0)}
BLOCK = ("input", 4, 0)


@pytest.fixture(scope="module")
def oracle(sd15):
    return Oracle.of(sd15)


class Foreign:
    """What the pack computes in place of the text attention."""

    def __deepcopy__(self, memo):
        return self

    def __call__(self, query, key, value, options):
        return 0.5 * query + value.mean(dim=1, keepdim=True) - key.mean(dim=1, keepdim=True)


def overwrite(model, key):
    """Sets its function and does not look what stood there."""
    clone = model.clone()
    clone.set_model_attn2_replace(Foreign(), *key)
    return clone


def wrap(model, key):
    """Doubles whatever it finds."""
    clone = model.clone()
    found = patches_of(clone).get(key) or patches_of(clone).get(key[:2])
    clone.set_model_attn2_replace(lambda q, k, v, options: 2.0 * found(q, k, v, options), *key)
    return clone


class Collector:
    """What some packs put there: an object to which others add functions."""

    def __init__(self, function, **settings):
        self.added = [(function, settings)]

    def add(self, function, **settings):
        self.added.append((function, settings))

    def __call__(self, query, key, value, options):
        out = Foreign()(query, key, value, options)
        for function, settings in self.added:
            out = out + function(out, query, key, value, options, **settings)
        return out


def addition(out, query, key, value, options, weight, **settings):
    return weight * query


def collect(model, key, weight=0.25, **settings):
    """Adds to what it finds, in the belief that it is one of its own objects."""
    clone = model.clone()
    table = clone.model_options["transformer_options"].get("patches_replace", {}).get("attn2", {})
    if key in table:
        table[key].add(addition, weight=weight, **settings)
    else:
        clone.set_model_attn2_replace(Collector(addition, weight=weight, **settings), *key)
    return clone


def run(model, steps=1, cfg=1.0):
    return sample(model, steps=steps, cfg=cfg)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_a_pack_that_overwrites_in_both_orders(sd15, oracle, key):
    before, after = oracle.apply(overwrite(sd15, key)), overwrite(oracle.apply(sd15), key)
    for cfg in (1.0, 0.0):
        assert relative_error(run(before, cfg=cfg), run(after, cfg=cfg)) <= 1e-6
    assert min(relative_error(run(after), run(x)) for x in (oracle.apply(sd15), overwrite(sd15, key))) > 1e-4
    settings = {"mask": torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(1)), "end_percent": 0.5}
    again = oracle.apply(after, **settings), oracle.apply(oracle.apply(overwrite(sd15, key)), **settings)
    assert relative_error(*map(run, again)) <= 1e-6, "and with one more adapter on top"


def test_what_was_overwritten_is_logged_once_by_name(sd15, oracle, caplog):
    quiet = [overwrite(oracle.apply(sd15), BLOCK[:2]), wrap(oracle.apply(sd15), BLOCK), oracle.apply(sd15)]
    lost = overwrite(overwrite(oracle.apply(sd15), BLOCK), ("middle", 0, 0))
    caplog.clear()  # what was said of the applying, where another test has turned that on
    with caplog.at_level(logging.WARNING):
        for model in quiet:
            run(model)
        assert caplog.messages == []
        run(lost, steps=3)
        run(lost)
    assert [("input 4 0, middle 0 0" in message) for message in caplog.messages] == [True]


def test_a_pack_that_calls_what_it_finds_gets_ours_once(sd15, oracle):
    model = wrap(oracle.apply(sd15), BLOCK)
    unwatched = model.clone()
    unwatched.remove_wrappers_with_key("apply_model", "ip_adapter_nodes")
    assert relative_error(run(model), run(unwatched)) <= 1e-6
    assert relative_error(run(model), run(oracle.apply(sd15))) > 1e-4


def test_a_pack_that_adds_to_ours(sd15, oracle):
    site = next(site for site in oracle.sites if site.block == BLOCK)
    ours = oracle.apply(sd15)
    patch, call = patches_of(ours)[BLOCK], call_at(site, [1, 0])
    before = digests(ours)
    model = collect(collect(ours, BLOCK), BLOCK, weight=0.5)
    given = call.of(patches_of(model)[BLOCK])
    assert relative_error(given, call.of(patch) + 0.75 * call.query) <= 1e-6
    assert relative_error(call.of(patches_of(oracle.apply(model))[BLOCK]), given + call.of(patch) - base(call)) <= 1e-5
    assert digests(ours) == before, "the model it came from has nothing added"
    assert torch.equal(run(ours), run(oracle.apply(sd15)))
    assert relative_error(run(model), run(ours)) > 1e-4


def base(call):
    """The text attention alone."""
    rows = zip(call.query, call.key, call.value, strict=True)
    return torch.stack([formula.attention(*row, call.options["n_heads"]) for row in rows])


@pytest.mark.parametrize(("sigma", "acts"), [(5.0, True), (2.0, True), (10.0, True), (10.1, False), (1.9, False)])
def test_what_is_added_keeps_its_range_of_noise(sd15, oracle, sigma, acts):
    site = next(site for site in oracle.sites if site.block == BLOCK)
    ours = oracle.apply(sd15)
    model, call = collect(ours, BLOCK, sigma_start=10.0, sigma_end=2.0), call_at(site, [1, 0])
    call.options["sigmas"] = torch.tensor([sigma])
    assert torch.equal(call.of(patches_of(model)[BLOCK]), call.of(patches_of(ours)[BLOCK])) == (not acts)


def test_a_pack_that_adds_is_there_in_both_orders(sd15, oracle):
    """Where the pack comes first its object is our base, where it comes second it finds ours."""
    first, call = oracle.apply(collect(sd15, BLOCK)), call_at(oracle.sites[2], [1, 0])
    assert oracle.sites[2].block == BLOCK
    branch = call.of(patches_of(oracle.apply(sd15))[BLOCK]) - base(call)
    expected = Foreign()(call.query, call.key, call.value, call.options) + 0.25 * call.query + branch
    assert relative_error(call.of(patches_of(first)[BLOCK]), expected) <= 1e-5
    second = collect(oracle.apply(sd15), BLOCK)
    assert relative_error(call.of(patches_of(second)[BLOCK]), base(call) + 0.25 * call.query + branch) <= 1e-5
