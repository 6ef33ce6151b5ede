"""Image prompts of several pictures."""

import math

import pytest
import torch
from factories import make_features
from ip_adapter_nodes.ip_adapter.errors import PictureError, SettingError
from ip_adapter_nodes.ip_adapter.prompt import Combine, Features, ImagePrompt, combined, join
from ip_adapter_nodes.ip_adapter.spec import Stage


def small(pictures, seed=0):
    return make_features(pictures, seed, pooled=6, hidden=10)


def test_concat_leaves_everything_as_it_is(generator):
    features = torch.randn(3, 5, 4, generator=generator)
    given, weights = combined(features, (1.0, 0.5, -2.0), Combine.CONCAT)
    assert torch.equal(given, features)
    assert weights == [1.0, 0.5, -2.0]


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (2.0, 1.0, 0.0), (0.5, 0.25, 0.1), (3.0, -1.0, 1.0)])
@pytest.mark.parametrize("shape", [(3, 6), (3, 5, 4)], ids=["pooled", "patches"])
def test_average_is_the_weighted_mean_with_the_mean_weight(weights, shape, generator):
    features = torch.randn(shape, generator=generator)
    given, combined_weights = combined(features, weights, Combine.AVERAGE)
    expected = sum(weight * row.double() for weight, row in zip(weights, features, strict=True)) / sum(weights)
    assert given.shape == (1, *shape[1:])
    assert torch.allclose(given[0].double(), expected, atol=1e-6)
    assert combined_weights == pytest.approx([sum(weights) / 3])


def test_average_of_one_picture_is_that_picture(generator):
    features = torch.randn(1, 6, generator=generator)
    given, weights = combined(features, (0.0,), Combine.AVERAGE)
    assert torch.equal(given, features)
    assert weights == [0.0]


def test_average_of_silent_pictures_is_silent(generator):
    features = torch.randn(2, 6, generator=generator)
    given, weights = combined(features, (0.0, 0.0), Combine.AVERAGE)
    assert torch.allclose(given[0], (features[0] + features[1]) / 2)
    assert weights == [0.0]


def test_average_with_weights_that_cancel_has_no_meaning(generator):
    with pytest.raises(SettingError, match="add up to 0"):
        combined(torch.randn(2, 6, generator=generator), (1.0, -1.0), Combine.AVERAGE)


def test_join_keeps_the_order():
    parts = [small(2, 1), small(1, 2), small(3, 3)]
    joined = join(parts)
    assert len(joined) == 6
    assert torch.equal(joined.pooled[2], parts[1].pooled[0])
    assert torch.equal(joined.penultimate[5], parts[2].penultimate[2])


def test_stage_chooses_the_features():
    features = small(2)
    assert features.at(Stage.POOLED) is features.pooled
    assert features.at(Stage.PENULTIMATE) is features.penultimate


def test_prompt_without_pictures():
    with pytest.raises(PictureError, match="at least one picture"):
        ImagePrompt(small(0), None, small(1), ())


@pytest.mark.parametrize("weights", [(), (1.0,), (1.0, 1.0, 1.0)])
def test_prompt_needs_a_weight_for_every_picture(weights):
    with pytest.raises(SettingError, match=rf"2 pictures, {len(weights)} weights"):
        ImagePrompt(small(2), None, small(1), weights)


@pytest.mark.parametrize("side", ["positive", "negative", "zero_picture"])
@pytest.mark.parametrize("stage", ["pooled", "penultimate"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_features_that_are_no_numbers_are_the_encoders_fault(side, stage, bad):
    sides = {"positive": small(1), "negative": small(1), "zero_picture": small(1)}
    parts = {name: getattr(sides[side], name).clone() for name in ("pooled", "penultimate")}
    parts[stage].flatten()[3] = bad
    with pytest.raises(PictureError, match="encoder gave NaN"):
        ImagePrompt(**{**sides, side: Features(**parts)}, weights=(1.0,))
