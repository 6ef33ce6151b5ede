"""The host's CLIP vision models through our encoder: the same pixels, the same features."""

import comfy.clip_vision
import pytest
import torch
from factories import relative_error
from host_support.clip import SIZE, pictures, tiny_clip_vision
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.encoder import Reference
from ip_adapter_nodes.ip_adapter.preprocess import Fit
from ip_adapter_nodes.ip_adapter.prompt import Combine

SIZES = [(32, 32), (64, 64), (48, 80), (80, 48), (33, 100), (20, 31), (7, 5), (224, 301)]


@pytest.fixture(scope="module")
def clip_vision():
    return tiny_clip_vision()


def _encode(clip_vision, image, mask=None, negative=None, **choice):
    negative = None if negative is None else Reference(negative)
    return host.encode_prompt(clip_vision, Reference(image, mask), negative, host.EncodeChoice(**choice))


@pytest.fixture
def pixels(clip_vision, monkeypatch):
    """What the network itself receives, normalised, in order."""
    received, network = [], clip_vision.model

    def listen(*arguments, pixel_values, **options):
        received.append(pixel_values)
        return network(*arguments, pixel_values=pixel_values, **options)

    monkeypatch.setattr(clip_vision, "model", listen)
    return received


def _host_pixels(image):
    return comfy.clip_vision.clip_preprocess(image, size=SIZE, crop=True)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_crop_gives_the_network_what_the_host_would(clip_vision, pixels, size):
    image = pictures(2, *size)
    _encode(clip_vision, image)
    assert torch.equal(pixels[0], _host_pixels(image))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_stretch_gives_the_network_what_the_host_would_without_crop(clip_vision, pixels, size):
    image = pictures(1, *size)
    _encode(clip_vision, image, fit=Fit.STRETCH)
    assert torch.equal(pixels[0], comfy.clip_vision.clip_preprocess(image, size=SIZE, crop=False))


def test_crop_equals_the_host_at_the_size_of_the_published_encoders(clip_vision, pixels, monkeypatch):
    monkeypatch.setattr(clip_vision, "image_size", 224)
    image = pictures(1, 300, 401)
    with pytest.raises(RuntimeError):  # the tiny network has no positions for this size; what it was given counts
        _encode(clip_vision, image)
    assert torch.equal(pixels[0], comfy.clip_vision.clip_preprocess(image, size=224, crop=True))


def test_an_opaque_alpha_channel_changes_nothing_and_a_clear_one_does(clip_vision, pixels):
    image = pictures(1, 48, 80)
    for alpha in (1.0, 0.25):
        _encode(clip_vision, torch.cat([image, torch.full_like(image[..., :1], alpha)], dim=-1))
    opaque, _, clear, _ = pixels
    assert torch.equal(opaque, _host_pixels(image))
    assert relative_error(clear, opaque) > 0.1
    # A quarter of the picture over a colour that is zero after normalisation, but for steps of 1/255.
    assert (clear - 0.25 * opaque).abs().max() <= 1 / 255 / 0.26


def test_features_are_those_of_the_host(clip_vision):
    image = pictures(3, 48, 80)
    prompt, _ = _encode(clip_vision, image)
    expected = clip_vision.encode_image(image, crop=True)
    assert torch.equal(prompt.positive.pooled, expected.image_embeds)
    assert torch.equal(prompt.positive.penultimate, expected.penultimate_hidden_states)


@pytest.mark.parametrize("fit", list(Fit))
def test_encoding_the_returned_image_again_gives_identical_features(clip_vision, fit):
    image = pictures(2, 48, 90)
    prompt, seen = _encode(clip_vision, image, torch.rand(1, 24, 45) if fit is Fit.PAD else None, fit=fit)
    for again_fit in (Fit.CROP, fit):
        again, seen_again = _encode(clip_vision, seen, fit=again_fit)
        assert torch.equal(seen_again, seen)
        assert torch.equal(again.positive.pooled, prompt.positive.pooled)
        assert torch.equal(again.positive.penultimate, prompt.positive.penultimate)


def test_the_zero_picture_is_zero_after_normalisation(clip_vision):
    prompt, _ = _encode(clip_vision, pictures(1, 32, 32))
    output = clip_vision.model(pixel_values=torch.zeros(1, 3, SIZE, SIZE), intermediate_output=-2)
    assert torch.equal(prompt.zero_picture.pooled, output[2])
    assert torch.equal(prompt.zero_picture.penultimate, output[1])
    assert len(prompt.zero_picture) == 1


def test_long_batches_equal_whole_ones(clip_vision, pixels):
    image = pictures(19, 40, 32)
    prompt, seen = _encode(clip_vision, image, combine=Combine.AVERAGE, weight=0.5)
    assert len(seen) == len(prompt.positive) == len(prompt.weights) == 19
    assert max(map(len, pixels)) < 19
    whole = clip_vision.encode_image(image, crop=True)
    assert relative_error(prompt.positive.pooled, whole.image_embeds) <= 1e-6
    assert relative_error(prompt.positive.penultimate, whole.penultimate_hidden_states) <= 1e-6


def test_a_negative_picture_is_encoded_the_same_way(clip_vision):
    image, negative = pictures(1, 40, 32), pictures(2, 32, 50, seed=3)
    prompt, _ = _encode(clip_vision, image, negative=negative)
    assert prompt.negative is not None
    assert torch.equal(prompt.negative.pooled, clip_vision.encode_image(negative, crop=True).image_embeds)
