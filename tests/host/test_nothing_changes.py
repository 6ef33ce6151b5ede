"""What has no effect is bitwise the bare model, and applying leaves everything that was there as it was."""

import copy

import pytest
import torch
from factories import make_adapter, make_prompt, relative_error
from host_support.calls import patches_of
from host_support.sampling import noise_of, sample, text
from host_support.state import digests, tensor_bytes
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.weights.layer_weights import LayerWeights

HALF_MASK = torch.cat([torch.ones(1, 32, 16), torch.zeros(1, 32, 16)], dim=2)


@pytest.fixture(scope="module")
def adapter(sd15_sites):
    return make_adapter(sd15_sites)


@pytest.fixture
def apply(sd15, adapter):
    """Applies the adapter to the bare model, or to the model given."""

    def call(model=None, *, prompt=None, **settings):
        return host.apply(model or sd15, adapter, prompt or make_prompt(), host.ApplyOptions(**settings))

    return call


BLOCKS = [*(f"input {n}" for n in (1, 2, 4, 5, 7, 8)), *(f"output {n}" for n in range(3, 12)), "middle 0"]
INERT = {
    "weight 0": {"weight": 0.0},
    "zero mask": {"mask": torch.zeros(1, 40, 24)},
    "closed range at the start": {"start_percent": 0.0, "end_percent": 0.0},
    "closed range in the middle": {"start_percent": 0.5, "end_percent": 0.5},
    "closed range at the end": {"start_percent": 1.0, "end_percent": 1.0},
    "range between two steps": {"start_percent": 0.4, "end_percent": 0.6},
    "layer weights of 0": {"layer_weights": LayerWeights(tuple((block, 0.0) for block in BLOCKS))},
}


@pytest.mark.parametrize("settings", INERT.values(), ids=INERT)
def test_settings_without_effect_give_the_bare_model(sd15, apply, settings):
    assert torch.equal(sample(apply(**settings)), sample(sd15))


def test_prompts_of_weight_zero_give_the_bare_model(sd15, apply):
    prompt = make_prompt(pictures=2)
    silent = type(prompt)(prompt.positive, None, prompt.zero_picture, (0.0, 0.0))
    assert torch.equal(sample(apply(prompt=silent)), sample(sd15))


def test_a_branch_without_the_node_gives_the_bare_model(sd15, apply):
    before = sample(sd15)
    patched = sample(apply())
    assert relative_error(patched, before) > 0.01
    assert torch.equal(sample(sd15), before)


@pytest.mark.parametrize("size", [(8, 8), (64, 64), (7, 130)])
def test_a_mask_of_ones_equals_no_mask(apply, size):
    assert torch.equal(sample(apply(mask=torch.ones(1, *size))), sample(apply()))


@pytest.mark.parametrize("settings", [{}, {"mask": HALF_MASK}, {"start_percent": 0.2}, {"weight": 0.0}])
def test_the_incoming_model_is_unchanged(apply, settings):
    first = apply(mask=HALF_MASK, end_percent=0.8)
    before = digests(first)
    second = apply(first, **settings)
    assert digests(first) == before
    assert second is not first


def test_the_digest_notices_changes(sd15, apply):
    """The test above would see a value in a patch's tensor, a module's forward, and an added patch."""
    model = apply()
    before = digests(model)
    branch = next(iter(patches_of(model).values())).branches[0]
    branch.value[0, 0, 0, 0] += 1.0
    assert digests(model) != before
    branch.value[0, 0, 0, 0] -= 1.0
    before = digests(model)
    module = sd15.model.diffusion_model.input_blocks[1][1]
    module.forward = lambda *arguments: None
    assert digests(model) != before
    del module.forward
    assert digests(model) == before
    model.set_model_attn2_patch(lambda *arguments: None)
    assert digests(model) != before


def test_sampling_leaves_model_and_patch_as_they_were(sd15, apply):
    model = apply(mask=HALF_MASK, end_percent=0.8)
    sample(model)
    # The host notes facts of its own about the last run on the model; everything else must stay.
    parts = [model.model_options, model.wrappers, model.patches, model.object_patches, model.model.diffusion_model]
    before = digests(parts)
    sample(model)
    assert digests(parts) == before


def test_a_second_apply_does_not_leak_into_the_first(sd15, apply):
    bare = sample(sd15)
    first = apply(weight=0.7)
    alone = sample(first)
    second = apply(first, prompt=make_prompt(seed=50), mask=HALF_MASK, end_percent=0.5)
    assert relative_error(sample(second), alone) > 0.01
    assert torch.equal(sample(first), alone)
    assert torch.equal(sample(sd15), bare)


def test_weights_changed_back_and_forth_give_the_same_again(apply):
    first, other, again = (sample(apply(weight=weight)) for weight in (0.5, 1.0, 0.5))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_two_runs_are_equal(apply):
    model = apply(mask=HALF_MASK, start_percent=0.1)
    assert torch.equal(sample(model), sample(model))


def test_global_random_state_is_untouched(apply):
    before = torch.get_rng_state()
    model = apply(mask=HALF_MASK, start_percent=0.1)
    assert torch.equal(torch.get_rng_state(), before)
    sample(model, steps=1)
    after_ours = torch.get_rng_state()
    torch.set_rng_state(before)
    sample(apply(weight=0.0), steps=1)
    assert torch.equal(torch.get_rng_state(), after_ours), "the adapter must not draw from the generator the host uses"


def test_every_link_of_a_long_chain_is_one_branch(sd15, sd15_sites, apply):
    model = sd15
    for length in range(1, 21):
        model = apply(model, weight=0.05, mask=HALF_MASK if length % 2 else None).clone()
        assert {len(patch.branches) for patch in patches_of(model).values()} == {length}
    assert len(patches_of(model)) == len(sd15_sites)
    again = sd15
    for _ in range(20):
        again = apply(sd15, weight=0.05).clone()
    assert {len(patch.branches) for patch in patches_of(again).values()} == {1}


def test_the_order_of_two_adapters_does_not_matter(sd15, sd15_sites):
    one, two = (make_adapter(sd15_sites, kind, seed) for kind, seed in (("standard", 1), ("plus", 2)))
    settings = host.ApplyOptions(weight=0.6), host.ApplyOptions(weight=0.9, mask=HALF_MASK)
    forth = host.apply(host.apply(sd15, one, make_prompt(seed=1), settings[0]), two, make_prompt(seed=2), settings[1])
    back = host.apply(host.apply(sd15, two, make_prompt(seed=2), settings[1]), one, make_prompt(seed=1), settings[0])
    # One evaluation without guidance: both amplify the rounding of another order of additions.
    assert relative_error(sample(forth, steps=1, cfg=1.0), sample(back, steps=1, cfg=1.0)) <= 1e-6


def _apart(model, cfg: float) -> float:
    """How far a batch of three is from three single runs, in one evaluation."""
    noise = noise_of(batch=3)
    alone = [sample(model, noise=noise[n : n + 1], steps=1, cfg=cfg) for n in range(3)]
    return relative_error(sample(model, noise=noise, steps=1, cfg=cfg), torch.cat(alone))


def test_a_batch_equals_single_runs(sd15, apply):
    model = apply(mask=HALF_MASK)
    assert _apart(model, cfg=1.0) <= 1e-6
    # Guidance amplifies rounding: the bare model's is the measure.
    assert _apart(model, cfg=5.0) <= 2 * _apart(sd15, cfg=5.0)


@pytest.mark.parametrize("settings", [{}, {"mask": HALF_MASK, "end_percent": 0.5}])
def test_a_downstream_clone_adds_no_tensors(sd15, apply, settings):
    model = apply(**settings)
    sample(model, steps=1)
    size = tensor_bytes(model)
    assert size > tensor_bytes(sd15)
    assert tensor_bytes(model, model.clone()) == size
    assert tensor_bytes(model, copy.deepcopy(model.model_options)) == size


def test_copies_of_patches_hold_the_very_same_branches(apply):
    model = apply(mask=HALF_MASK, end_percent=0.5)
    originals = patches_of(model)
    copied, cloned = copy.deepcopy(originals), patches_of(model.clone().clone())
    assert copied.keys() == cloned.keys() == originals.keys()
    assert all(copied[key] is patch for key, patch in originals.items())
    # A clone has patches of its own, for packs that add to them, around the same keys and values.
    assert all(cloned[key] is not patch for key, patch in originals.items())
    assert all(cloned[key].branches is patch.branches for key, patch in originals.items())


def test_text_and_picture_both_matter(sd15, apply):
    """The other tests of this file would hold for a patch that ignores one of its inputs."""
    model = apply()
    assert relative_error(sample(model, positive=text(sd15, 9)), sample(model)) > 0.01
    assert relative_error(sample(apply(prompt=make_prompt(seed=70))), sample(model)) > 0.01
