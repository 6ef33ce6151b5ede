"""The host's CLIP vision models through our encoder: the same pixels, the same features."""

import comfy.clip_vision
import pytest
import torch
from factories import relative_error
from host_support.clip import SIZE, pictures, tiny_clip_vision
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.prompts.combine import Combine
from ip_adapter_nodes.ip_adapter.prompts.encoder import EncodeOptions
from ip_adapter_nodes.ip_adapter.prompts.negative import Negative
from ip_adapter_nodes.ip_adapter.prompts.preprocess import Fit, Position
from ip_adapter_nodes.ip_adapter.prompts.transformers_encoder import TransformersEncoder
from ip_adapter_nodes.nodes.encode import EncodeImagePrompt

SIZES = [(32, 32), (64, 64), (48, 80), (80, 48), (33, 100), (20, 31), (7, 5), (224, 301)]


@pytest.fixture(scope="module")
def clip_vision():
    return tiny_clip_vision()


def _encode(clip_vision, image, mask=None, negative=None, stand_in=Negative.AUTO, **choice):
    negative, choice = (
        None if negative is None else host.reference(negative),
        EncodeOptions(negative=stand_in, **choice),
    )
    return host.encode_prompt(clip_vision, host.reference(image, mask), negative, choice)


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


@pytest.mark.parametrize(
    ("position", "sharpening"), [(Position.CENTER, 0.0), (Position.LEFT, 0.0), (Position.TOP, 1.5)]
)
@pytest.mark.parametrize("fit", list(Fit))
def test_encoding_the_returned_image_again_gives_identical_features(clip_vision, fit, position, sharpening):
    image, mask = pictures(2, 48, 90), torch.rand(1, 24, 45) if fit is Fit.PAD else None
    prompt, seen = _encode(clip_vision, image, mask, fit=fit, position=position, sharpening=sharpening)
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


@pytest.mark.parametrize("batch", [1, 4, 19])
def test_the_batch_size_bounds_what_the_network_sees_and_changes_nothing(clip_vision, pixels, batch):
    image = pictures(19, 32, 32)
    expected, _ = _encode(clip_vision, image)
    pixels.clear()
    prompt, _ = _encode(clip_vision, image, encode_batch_size=batch)
    assert max(map(len, pixels)) == batch
    assert relative_error(prompt.positive.pooled, expected.positive.pooled) <= 1e-6
    assert relative_error(prompt.positive.penultimate, expected.positive.penultimate) <= 1e-6


def test_a_black_picture_is_black_before_normalisation(clip_vision, pixels):
    prompt, _ = _encode(clip_vision, pictures(1, 40, 32), stand_in=Negative.BLACK_PICTURE)
    black = clip_vision.encode_image(torch.zeros(1, SIZE, SIZE, 3))
    assert torch.allclose(pixels[1].flatten(2).mean(2), torch.tensor([[-1.7923, -1.7521, -1.4802]]), atol=1e-4)
    assert torch.equal(prompt.negative.penultimate, black.penultimate_hidden_states)


def test_encoding_leaves_the_hosts_random_numbers_alone(clip_vision):
    before = torch.get_rng_state()
    first, again = (_encode(clip_vision, pictures(1, 40, 32), stand_in=Negative.NOISE)[0] for _ in range(2))
    assert torch.equal(first.negative.pooled, again.negative.pooled)
    assert torch.equal(torch.get_rng_state(), before)


def test_optional_inputs_left_out_are_their_defaults(clip_vision):
    """A workflow saved before there were any of them."""
    image = pictures(2, 40, 70)
    old = {"fit": "crop", "combine": "average", "weight": 0.7}
    widgets = {given.id: given.default for given in EncodeImagePrompt.GET_SCHEMA().inputs if hasattr(given, "default")}
    prompts = [EncodeImagePrompt.execute(clip_vision, image, **choice).result[0] for choice in (old, widgets | old)]
    assert {"position", "sharpening", "weights", "negative", "encode_batch_size"} <= widgets.keys()
    assert torch.equal(prompts[0].positive.pooled, prompts[1].positive.pooled)
    assert prompts[0].weights == prompts[1].weights == (0.7, 0.7)
    assert prompts[0].negative_kind is prompts[1].negative_kind is Negative.AUTO
    assert torch.equal(prompts[0].positive.pooled, clip_vision.encode_image(image, crop=True).image_embeds)


def test_the_encoder_of_transformers_gives_the_same(clip_vision):
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    weights = clip_vision.get_sd()
    config = CLIPVisionConfig(
        hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=2, projection_dim=48
    )
    config.image_size, config.patch_size, config.hidden_act = SIZE, 8, "gelu"
    model = CLIPVisionModelWithProjection(config).eval()
    missing, unexpected = model.load_state_dict(
        {name: weight.float() for name, weight in weights.items()}, strict=False
    )
    assert not missing
    assert not unexpected
    theirs, ours = TransformersEncoder(model), host.encode.HostEncoder(clip_vision)
    squares = pictures(3, SIZE, SIZE).movedim(-1, 1)
    squares = (squares * 255).round() / 255  # the host rounds to bytes
    for given, expected in (
        (theirs.encode(squares), ours.encode(squares)),
        (theirs.encode_zeros(), ours.encode_zeros()),
    ):
        assert relative_error(given.pooled, expected.pooled) <= 1e-5
        assert relative_error(given.penultimate, expected.penultimate) <= 1e-5
