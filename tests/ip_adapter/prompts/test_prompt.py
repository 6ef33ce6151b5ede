"""Image prompts: what is checked of them, and what an adapter reads."""

import math
from dataclasses import replace

import pytest
import torch
from factories import make_adapter, make_features, make_prompt
from ip_adapter_nodes.ip_adapter.bases.backbone import Site
from ip_adapter_nodes.ip_adapter.errors import PictureError, SettingError, WrongEncoderError
from ip_adapter_nodes.ip_adapter.prompts.combine import SIDE_BY_SIDE, Combine
from ip_adapter_nodes.ip_adapter.prompts.features import NOTHING, Features, join
from ip_adapter_nodes.ip_adapter.prompts.negative import PICTURES, Negative
from ip_adapter_nodes.ip_adapter.prompts.projector_inputs import Share
from ip_adapter_nodes.ip_adapter.prompts.prompt import ImagePrompt
from ip_adapter_nodes.models.facts import Stage

SITES = (Site(("input", 1, 0), 32, 48, 4),)
KINDS = pytest.mark.parametrize("kind", ["standard", "plus"])


def small(pictures, seed=0):
    return make_features(pictures, seed, pooled=6, hidden=10)


def spec_of(kind):
    return make_adapter(SITES, kind).spec


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


@pytest.mark.parametrize("weight", [math.nan, math.inf])
def test_weights_are_finite(weight):
    with pytest.raises(SettingError, match="2 weights, of which 1 are finite"):
        ImagePrompt(small(2), None, small(1), (1.0, weight))


@pytest.mark.parametrize("side", ["positive", "negative", "zero_picture"])
@pytest.mark.parametrize("stage", ["pooled", "penultimate"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_features_that_are_no_numbers_are_the_encoders_fault(side, stage, bad):
    sides = {"positive": small(1), "negative": small(1), "zero_picture": small(1)}
    parts = {name: getattr(sides[side], name).clone() for name in ("pooled", "penultimate")}
    parts[stage].flatten()[3] = bad
    with pytest.raises(PictureError, match="encoder gave NaN"):
        ImagePrompt(**{**sides, side: Features(**parts)}, weights=(1.0,))


def stage_of(features, kind):
    return features.pooled if kind == "standard" else features.penultimate


@KINDS
def test_without_negative_pictures_the_kind_decides(kind):
    """auto: the reference's `get_image_embeds`, zeros for the standard adapter and the encoded zeros for Plus."""
    prompt, spec = make_prompt(), spec_of(kind)
    zeros, picture = torch.zeros_like(stage_of(prompt.positive, kind)), stage_of(prompt.zero_picture, kind)
    expected = {
        Negative.AUTO: zeros if kind == "standard" else picture,
        Negative.ZERO_EMBEDDING: zeros,
        Negative.ZERO_PICTURE: picture,
        Negative.NONE: zeros,
    }
    for negative, features in expected.items():
        inputs = replace(prompt, negative_kind=negative).inputs(spec)
        assert torch.equal(inputs.negative[0], features)
        assert inputs.negative_strength == (0.0 if negative is Negative.NONE else 1.0)


@KINDS
def test_negative_pictures_are_seen_as_they_are_or_averaged(kind):
    prompt, spec = make_prompt(2, negatives=3), spec_of(kind)
    against = stage_of(prompt.negative, kind)
    for how in Combine:
        given = replace(prompt, combine=how).inputs(spec).negative[0]
        expected = against if how in SIDE_BY_SIDE else against.mean(0, keepdim=True)
        assert torch.allclose(given, expected, atol=1e-6)


@KINDS
@pytest.mark.parametrize("how", Combine)
def test_a_settled_prompt_says_the_same(kind, how):
    prompt, spec = replace(make_prompt(3, negatives=2, combine=how), weights=(1.0, 0.5, 0.2)), spec_of(kind)
    settled = prompt.settled()
    assert settled.combine is (how if how in SIDE_BY_SIDE else Combine.CONCAT)
    given, expected = settled.inputs(spec), prompt.inputs(spec)
    assert torch.equal(given.positive[0], expected.positive[0])
    assert torch.equal(given.negative[0], expected.negative[0])
    assert given.weights == expected.weights
    assert given.share is expected.share is (Share.ONE_PER_LATENT if how is Combine.ONE_PER_LATENT else Share.ALL)


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_that_stands_in_must_have_been_encoded(kind):
    with pytest.raises(SettingError, match=f"features of a {kind.value}"):
        replace(make_prompt(), negative_kind=kind)
    assert replace(make_prompt(negatives=1), negative_kind=kind).negative is not None


@KINDS
def test_a_stage_that_the_file_does_not_hold_is_missed_where_it_is_read(kind):
    prompt = make_prompt()
    empty = {"standard": {"pooled": torch.zeros(1, 0)}, "plus": {"penultimate": torch.zeros(1, 1, 0)}}
    for missing, change in empty.items():
        partial = replace(prompt, positive=replace(prompt.positive, **change))
        if missing != kind:
            partial.check(spec_of(kind), "some.bin")
            continue
        with pytest.raises(WrongEncoderError, match=r"some.bin needs .*CLIP ViT-H.* holds no \w+ features"):
            partial.check(spec_of(kind), "some.bin")


def test_a_missing_zero_picture_matters_only_where_it_is_shown():
    prompt, standard, plus = replace(make_prompt(), zero_picture=NOTHING), spec_of("standard"), spec_of("plus")
    with pytest.raises(WrongEncoderError, match=r"output for zeros.*negative file in Load Image Prompt"):
        prompt.check(plus, "some.bin")
    prompt.check(standard, "some.bin")
    for sound in (make_prompt(negatives=1), replace(make_prompt(), negative_kind=Negative.ZERO_EMBEDDING)):
        replace(sound, zero_picture=NOTHING).check(plus, "some.bin")
    with pytest.raises(WrongEncoderError, match="output for zeros"):
        replace(prompt, negative_kind=Negative.ZERO_PICTURE).check(standard, "some.bin")
