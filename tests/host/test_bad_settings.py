"""Numbers, ranges and masks of the apply node: a named error with the model left alone, or a sensible result."""

import pytest
import torch
from factories import make_adapter, make_prompt
from host_support.sampling import sample
from host_support.state import digests
from ip_adapter_nodes.ip_adapter.errors import PictureError, SettingError
from ip_adapter_nodes.ip_adapter.weights.layer_weights import LayerWeights
from ip_adapter_nodes.nodes.apply import ApplyIPAdapter

GOOD = {"weight": 1.0, "start_percent": 0.0, "end_percent": 1.0, "weight_type": "linear"}


@pytest.fixture(scope="module")
def adapter(sd15_sites):
    return make_adapter(sd15_sites)


@pytest.fixture
def apply(sd15, adapter):
    """The node on a model that has an adapter already."""
    model = ApplyIPAdapter.execute(sd15, adapter, make_prompt(), **GOOD).result[0]

    def call(**settings):
        before = digests(model)
        try:
            return ApplyIPAdapter.execute(model, adapter, make_prompt(seed=30), **(GOOD | settings)).result[0]
        finally:
            assert digests(model) == before

    return call


BAD_NUMBERS = {
    "weight too high": ({"weight": 10.5}, ("10.0", "10.5")),
    "weight too low": ({"weight": -12.0}, ("-10.0", "-12.0")),
    "weight NaN": ({"weight": float("nan")}, ("10.0", "nan")),
    "weight infinite": ({"weight": float("inf")}, ("10.0", "inf")),
    "start after end": ({"start_percent": 0.8, "end_percent": 0.2}, ("start_percent <= end_percent", "0.8 and 0.2")),
    "start below 0": ({"start_percent": -0.1}, ("0 <= start_percent", "-0.1")),
    "end above 1": ({"end_percent": 1.5}, ("end_percent <= 1", "1.5")),
    "start NaN": ({"start_percent": float("nan")}, ("0 <= start_percent", "nan")),
    "weight type": ({"weight_type": "wobbly"}, ("linear", "wobbly")),
    "layer": ({"layer_weights": LayerWeights((("input 99", 0.5),))}, ("input 99", "mid")),
}


@pytest.mark.parametrize(("settings", "named"), BAD_NUMBERS.values(), ids=BAD_NUMBERS)
def test_numbers_out_of_range_are_named_with_their_range(apply, settings, named):
    with pytest.raises(SettingError) as error:
        apply(**settings)
    assert all(part in str(error.value) for part in named)


BAD_MASKS = {
    "no mask": (torch.rand(0, 8, 8), "(0, 8, 8)"),
    "no height": (torch.rand(1, 0, 8), "(1, 0, 8)"),
    "NaN": (torch.rand(1, 8, 8).index_fill(1, torch.tensor([3]), torch.nan), "NaN"),
    "infinite": (torch.full((1, 8, 8), torch.inf), "NaN"),
    "one row of numbers": (torch.rand(8), "(8,)"),
    "one number": (torch.tensor(0.5), "()"),
}


@pytest.mark.parametrize(("mask", "named"), BAD_MASKS.values(), ids=BAD_MASKS)
def test_unusable_masks_are_named_before_sampling(apply, mask, named):
    with pytest.raises(PictureError, match="mask") as error:
        apply(mask=mask)
    assert named in str(error.value)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (7, 5), (64, 64), (1024, 1024)], ids=str)
def test_a_constant_mask_of_any_size_is_a_weight(apply, size):
    masked = sample(apply(mask=torch.full((1, *size), 0.5)), steps=1)
    expected = sample(apply(weight=0.5), steps=1)
    assert torch.allclose(masked, expected, rtol=1e-4, atol=1e-4 * float(expected.std()))


def test_a_mask_without_a_batch_dimension_or_of_another_type_is_the_same_mask(apply):
    mask = (torch.rand(20, 30, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    expected = sample(apply(mask=mask[None]), steps=1)
    for same in (mask, mask[None, None], mask.half()[None], mask.bool()[None], 2 * mask[None]):
        assert torch.equal(sample(apply(mask=same), steps=1), expected)


@pytest.mark.parametrize("weight", [-10.0, -1.0, 1e-6, 10.0])
def test_every_weight_in_the_range_gives_finite_latents(apply, weight):
    assert sample(apply(weight=weight), steps=1).isfinite().all()
